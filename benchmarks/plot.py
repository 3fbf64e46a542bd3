"""The figures drawn, by matplotlib when it is there: ratios against their aims, cost by size, latencies over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bench import Timeline
from benchmarks.figures import Figure, NotMeasured
from benchmarks.scale import short_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

_VERDICT_COLOURS = {"met": "#2a7f4f", "missed": "#b3402e", "not run": "#7a7a7a", "": "#7a7a7a"}
_OURS, _PEER = "#1f5fa8", "#c8792b"
_WIDTH = 11.0
_PANEL_HEIGHT = 3.0
_BAR_HEIGHT = 0.27

Panel = tuple[float, Callable[["SubFigure"], None]]


def draw(figures: Sequence[Figure], timelines: Mapping[str, Timeline], path: Path) -> None:
    """Write the picture. Raises NotMeasured when matplotlib is not installed or there is nothing to draw."""
    try:
        import matplotlib
    except ImportError:
        raise NotMeasured("matplotlib is not installed (it is in the bench group)") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = [*_ratio_panel(figures), *_size_panels(figures), *_time_panels(timelines)]
    if not panels:
        raise NotMeasured("no figure can be drawn")
    heights = [height for height, _ in panels]
    picture = pyplot.figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
    parts = picture.subfigures(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, (_, fill) in zip(parts, panels, strict=True):
        fill(part)
    picture.savefig(path, dpi=110)
    pyplot.close(picture)


def _ratio_panel(figures: Sequence[Figure]) -> list[Panel]:
    shown = [figure for figure in figures if figure.ratio and figure.scenario != "cost"]
    if not shown:
        return []

    def fill(part: SubFigure) -> None:
        from matplotlib.ticker import LogLocator, NullFormatter

        axes = part.subplots()
        for row, figure in enumerate(reversed(shown)):
            ratio = figure.ratio or 1.0
            axes.barh(row, ratio - 1, left=1, color=_VERDICT_COLOURS[figure.verdict], height=0.6)
            axes.annotate(f" {ratio:.2f} ", (ratio, row), va="center", ha="left" if ratio >= 1 else "right", fontsize=7)
            if figure.aim and figure.aim.measures == "ratio":
                axes.plot([figure.aim.limit], [row], marker="|", markersize=11, color="black")
        axes.set_yticks(range(len(shown)), [_ratio_label(figure) for figure in reversed(shown)], fontsize=7)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(axis="x", labelsize=7)
        axes.margins(x=0.15, y=0.01)
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set_title(
            "ours / peer's; | is the aim, green where it is met (of times and sizes, less is better)", fontsize=9
        )

    return [(1.0 + _BAR_HEIGHT * len(shown), fill)]


def _ratio_label(figure: Figure) -> str:
    return f"{figure.name} ({figure.peer_name})"


def _size_panels(figures: Sequence[Figure]) -> list[Panel]:
    measured = [figure for figure in figures if figure.scenario == "cost" and figure.keys and figure.ours]
    by_title = sorted(measured, key=lambda figure: (_size_title(figure), figure.keys or 0))
    series = [(title, list(group)) for title, group in groupby(by_title, _size_title)]
    grown = [(title, group) for title, group in series if len(group) > 1]
    return [(_PANEL_HEIGHT, _size_row(grown[first : first + 4])) for first in range(0, len(grown), 4)]


def _size_title(figure: Figure) -> str:
    """The name without the size: what the figures of one curve share."""
    name = figure.name
    for link in (", ", " at ", " with "):
        name = name.replace(f"{link}{short_count(figure.keys or 0)} keys", "")
    return f"{name} ({figure.peer_name})"


def _size_row(series: Sequence[tuple[str, Sequence[Figure]]]) -> Callable[[SubFigure], None]:
    def fill(part: SubFigure) -> None:
        for axes, (title, group) in zip(part.subplots(1, 4, squeeze=False)[0], series, strict=False):
            keys = [figure.keys or 0 for figure in group]
            axes.plot(keys, [figure.our_value for figure in group], "o-", color=_OURS, label="ours")
            axes.plot(keys, [figure.peer_value for figure in group], "s--", color=_PEER, label=group[0].peer_name)
            axes.set_xscale("log")
            axes.set_ylim(bottom=0)
            axes.set_title(title, fontsize=7)
            axes.set_xlabel("keys", fontsize=7)
            axes.set_ylabel(group[0].unit, fontsize=7)
            _finish(axes)
        for axes in part.axes[len(series) :]:
            axes.set_axis_off()

    return fill


def _time_panels(timelines: Mapping[str, Timeline]) -> list[Panel]:
    if not timelines:
        return []

    def fill(part: SubFigure) -> None:
        checkpoint = {name: line for name, line in timelines.items() if "growing" not in name}
        growing = {name: line for name, line in timelines.items() if "growing" in name}
        shown = [lines for lines in (checkpoint, growing) if lines]
        for axes, lines in zip(part.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            for name, line in lines.items():
                seconds = [moment / 1000 for moment, _ in line]
                axes.plot(seconds, [latency for _, latency in line], linewidth=0.8, label=name)
            axes.set_yscale("log")
            axes.set_xlabel("s", fontsize=7)
            axes.set_ylabel("worst latency of each 20 ms, ms", fontsize=7)
            _finish(axes)

    return [(_PANEL_HEIGHT, fill)]


def _finish(axes: Axes) -> None:
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=6)
