"""Figures as a table on the terminal, as Markdown and as JSON. Knows how a number is shown, not how it was had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.figures import Aim, Figure

HEADINGS = ("scenario", "aim", "ours", "peer", "ratio", "")
_COLOURS = {"met": "\x1b[32m", "missed": "\x1b[31m", "not run": "\x1b[33m"}
_PLAIN = "\x1b[0m"
_READING = "Medians of the rounds (`worst of`: the largest), ratios ours / peer's; `±` is half the span of the rounds."
_NUMBERS_ARE_RIGHT = (False, True, True, True, True, False)

Document = dict[str, Any]


def quantity(value: float | None, unit: str) -> str:
    """A value as people read it: `81.2 k/s`, `0.42 ms`, `118 B`, `1.30 times`."""
    if value is None:
        return "—"
    if unit.endswith("/s"):
        return _rate(value)
    return f"{_digits(value)} {'B' if unit == 'bytes' else unit}"


def aim_text(aim: Aim | None, unit: str) -> str:
    if aim is None:
        return ""
    sign = "≥" if aim.comparison == "at least" else "≤"
    return f"{sign} {aim.limit:g}" if aim.measures == "ratio" else f"{sign} {aim.limit:g} {unit}"


def cells(figure: Figure, main_peer: str) -> tuple[str, ...]:
    """The row of one figure, in the order of HEADINGS. A peer other than the main one is named."""
    peer = quantity(figure.peer_value, figure.unit)
    named = peer if figure.peer_name == main_peer else f"{figure.peer_name} {peer}"
    ratio = "—" if figure.ratio is None else f"{figure.ratio:.2f}"
    ours = quantity(figure.our_value, figure.unit)
    return figure.name, aim_text(figure.aim, figure.unit), ours, named, ratio, figure.verdict


def headings(peer: str) -> tuple[str, ...]:
    return tuple(peer if heading == "peer" else heading for heading in HEADINGS)


def terminal_table(figures: Sequence[Figure], peer: str, *, colours: bool) -> str:
    rows = [headings(peer), *(cells(figure, peer) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [_terminal_row(row, widths, colours=colours) for row in rows]
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join([*lines, "", summary_line(figures), *reasons(figures)])


def summary_line(figures: Iterable[Figure]) -> str:
    verdicts = [figure.verdict for figure in figures]
    return ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in ("met", "missed", "not run"))


def reasons(figures: Iterable[Figure]) -> list[str]:
    """Why figures are missing, each reason once."""
    return [f"not run: {reason}" for reason in dict.fromkeys(figure.not_run for figure in figures if figure.not_run)]


def markdown(document: Document, figures: Sequence[Figure], plot: str | None) -> str:
    peer = document["sides"]["peer"]
    lines = [f"# Benchmark results ({document['scale']['name']} run)", ""]
    lines += [f"* {fact}" for fact in _facts(document)]
    lines += ["", _READING, ""]
    lines += _markdown_row((*headings(peer), "rounds", "note")), "| --- | ---: | ---: | ---: | ---: | --- | --- | --- |"
    for figure in figures:
        note = f"not run: {figure.not_run}" if figure.not_run else figure.note
        lines.append(_markdown_row((*cells(figure, peer), _rounds(figure), note)))
    lines += ["", summary_line(figures) + "."]
    if plot:
        lines += ["", f"![The figures drawn]({plot})"]
    return "\n".join(lines) + "\n"


def as_json(figure: Figure) -> Document:
    """The figure's fields and what follows from them."""
    derived = {
        "our_value": figure.our_value,
        "peer_value": figure.peer_value,
        "ratio": figure.ratio,
        "verdict": figure.verdict,
    }
    return asdict(figure) | derived


def spread(samples: Sequence[float]) -> str:
    """Half the span from the least to the largest sample, as a part of their middle: `± 4 %`."""
    if len(samples) < 2 or not (middle := (min(samples) + max(samples)) / 2):
        return ""
    return f"± {(max(samples) - min(samples)) / 2 / middle:.0%}"


def _facts(document: Document) -> list[str]:
    machine, versions, moment, sides = (document[part] for part in ("machine", "versions", "moment", "sides"))
    changed = " with changes" if moment["sources_changed_since"] else ""
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    return [
        f"{moment['date']}, revision {moment['git_revision'][:12]}{changed}",
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB",
        f"{machine['system']}, {machine['file_system']}, load average before the run {machine['load_average_before']}",
        f"{sides['ours']} {sides['our_version']} against {sides['peer']} {sides['peer_version']}",
        packages,
        _scale_text(document["scale"]),
    ]


def _scale_text(scale: Mapping[str, Any]) -> str:
    rounds = f"{scale['rounds']} interleaved rounds, {scale['load_seconds']:g} s of load each"
    return f"{rounds}; the load shares the cores with the servers"


def _rounds(figure: Figure) -> str:
    if not figure.ours:
        return ""
    which = "worst of " if figure.summary == "worst" else ""
    spreads = " / ".join(filter(None, (spread(figure.ours), spread(figure.peer))))
    return f"{which}{len(figure.ours)}" + (f" ({spreads})" if spreads and not which else "")


def _rate(value: float) -> str:
    for size, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{_digits(value / size)} {suffix}/s"
    return f"{_digits(value)} /s"


def _digits(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"


def _terminal_row(row: Sequence[str], widths: Sequence[int], *, colours: bool) -> str:
    padded = [
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(row, widths, _NUMBERS_ARE_RIGHT, strict=True)
    ]
    if colours and row[-1] in _COLOURS:
        padded[-1] = f"{_COLOURS[row[-1]]}{padded[-1]}{_PLAIN}"
    return "  ".join(padded).rstrip()


def _markdown_row(row: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
