"""Writes a run down: NAME.json (everything), NAME.md (the table) and NAME.png (the plot)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import report
from benchmarks.bench import Bench
from benchmarks.figures import Figure, NotMeasured
from benchmarks.machine import describe_machine, describe_moment, describe_versions
from benchmarks.plot import draw
from benchmarks.report import Document


def describe(bench: Bench) -> Document:
    """Where, when, with what and how much; names no path."""
    return {
        "schema": 1,
        "moment": describe_moment(),
        "machine": describe_machine(bench.root),
        "versions": describe_versions(),
        "sides": {
            "ours": bench.ours.label,
            "our_version": bench.ours.version(),
            "peer": bench.peer.label,
            "peer_version": bench.peer.version(),
        },
        "scale": asdict(bench.scale),
    }


def write_results(directory: Path, name: str, bench: Bench, document: Document, figures: Sequence[Figure]) -> str:
    """Returns a line that says where the results are, and why there is no plot if there is none."""
    directory.mkdir(parents=True, exist_ok=True)
    data = document | {"figures": [report.as_json(figure) for figure in figures], "timelines": bench.timelines}
    (directory / f"{name}.json").write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    plot: str | None = f"{name}.png"
    said = f"results: {directory}/{name}.json, .md, .png"
    try:
        draw(figures, bench.timelines, directory / f"{name}.png")
    except NotMeasured as error:
        plot = None
        said = f"results: {directory}/{name}.json, .md (no plot: {error})"
    (directory / f"{name}.md").write_text(report.markdown(document, figures, plot), encoding="utf-8")
    return said
