"""`python -m benchmarks`: Keystead beside redis-server and beside in-process stores, in one run.

`--quick` takes about a minute and is for daily use; the full run takes about a quarter of an hour and is the one whose
results are kept. Nothing here fails on a timing: the table says which aims are met.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import report
from benchmarks.bench import Bench
from benchmarks.figures import Figure, NotMeasured
from benchmarks.machine import REPOSITORY, file_system
from benchmarks.results import describe, write_results
from benchmarks.scale import FULL, QUICK
from benchmarks.scenarios import SCENARIOS
from benchmarks.servers import ServerKind
from benchmarks.terminal import Progress

RESULTS = REPOSITORY / "benchmarks" / "results"
WORK = Path("/var/tmp")
IN_MEMORY = {"tmpfs", "ramfs"}


def main() -> None:
    given = parse_options(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, which stops the servers
    progress = Progress(sys.stderr)
    scale = QUICK if given.quick else FULL
    with working_directory(given.dir) as root:
        bench = Bench(scale, given.ours, given.peer, root, progress.show)
        document = describe(bench)
        figures = measure(bench, given.only or list(SCENARIOS), progress)
        progress.clear()
        name = "partial" if given.only else scale.results_name
        print(report.terminal_table(figures, given.peer.label, colours=sys.stdout.isatty()))
        print(write_results(given.output, name, bench, document, figures))


def measure(bench: Bench, names: Sequence[str], progress: Progress) -> list[Figure]:
    """The figures of those scenarios; one that cannot be finished says why. Ctrl-C keeps what there is."""
    figures: list[Figure] = []
    for name in names:
        progress.note(name)
        try:
            figures.extend(SCENARIOS[name](bench))
        except (NotMeasured, OSError) as error:
            figures.append(Figure(name, f"{name}: what is missing above", "", not_run=str(error)))
        except KeyboardInterrupt:
            progress.note("interrupted")
            break
    return figures


def parse_options(arguments: list[str]) -> argparse.Namespace:
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    options.add_argument("--quick", action="store_true", help="fewer rounds, smaller counts: about a minute")
    options.add_argument("--only", action="append", choices=list(SCENARIOS), help="this scenario (may be repeated)")
    options.add_argument(
        "--ours", type=ServerKind.parse, default="keystead", help="keystead[:PYTHON] or redis[:SERVER]"
    )
    options.add_argument(
        "--peer", type=ServerKind.parse, default="redis", help="the same: also another build of keystead"
    )
    options.add_argument("--dir", type=Path, help="where the servers write: a real disk (default: /var/tmp)")
    options.add_argument("--output", type=Path, default=RESULTS, help="where the results go")
    given = options.parse_args(arguments)
    given.ours, given.peer = distinct(given.ours, given.peer)
    return given


def distinct(ours: ServerKind, peer: ServerKind) -> tuple[ServerKind, ServerKind]:
    """Two sides of one kind are told apart by name."""
    if ours.label != peer.label:
        return ours, peer
    return ours, ServerKind(peer.flavour, peer.program, f"{peer.label} (peer)")


@contextmanager
def working_directory(parent: Path | None) -> Iterator[Path]:
    chosen = parent or (WORK if WORK.is_dir() else REPOSITORY)
    if file_system(chosen) in IN_MEMORY:
        raise SystemExit(f"{chosen} is in memory, where a sync costs nothing: choose a directory on a disk with --dir")
    root = Path(tempfile.mkdtemp(prefix="keystead-bench-", dir=chosen))
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
