"""What every scenario is given: the two sides, the scale, data to start from, and interleaved rounds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from benchmarks import load as loads
from benchmarks.datasets import Datasets
from benchmarks.load import Load, LoadResult
from benchmarks.scale import Scale
from benchmarks.servers import Fsync, Server, ServerKind

Side = TypeVar("Side")
Sample = TypeVar("Sample")
Timeline = list[tuple[int, float]]


@dataclass
class Bench:
    """`root` is an empty directory on a real disk; `progress` shows what is done; `timelines` are for the plot."""

    scale: Scale
    ours: ServerKind
    peer: ServerKind
    root: Path
    progress: Callable[[str], None]
    timelines: dict[str, Timeline] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.datasets = Datasets(self.root)

    @property
    def kinds(self) -> tuple[ServerKind, ServerKind]:
        return self.ours, self.peer

    @contextmanager
    def both(
        self, keys: int, fsync: Fsync = "always", environment: Mapping[str, str] | None = None
    ) -> Iterator[tuple[Server, Server]]:
        """Both servers up at once, each with the keys 0..keys-1."""
        ours, peer = (self.one(kind, keys, fsync, environment) for kind in self.kinds)
        with ours, peer:
            yield ours, peer

    def one(
        self, kind: ServerKind, keys: int, fsync: Fsync = "always", environment: Mapping[str, str] | None = None
    ) -> Server:
        self.progress(f"starting {kind.label}")
        return Server(kind, self.datasets.copy(kind, keys), fsync, environment)

    def fresh_directory(self, name: str) -> Path:
        """A new empty directory whose name begins so."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.root))

    def interleave(
        self, name: str, rounds: int, sides: tuple[Side, Side], measure: Callable[[Side], Sample]
    ) -> tuple[list[Sample], list[Sample]]:
        """ours, peer, ours, peer …: the samples of each."""
        samples: tuple[list[Sample], list[Sample]] = ([], [])
        for number in range(1, rounds + 1):
            for side, kept in zip(sides, samples, strict=True):
                self.progress(f"{name}: round {number} of {rounds}")
                kept.append(measure(side))
        return samples

    def compare_load(
        self, name: str, load: Load, servers: tuple[Server, Server], rounds: int, beside: Load | None = None
    ) -> tuple[list[LoadResult], list[LoadResult]]:
        """The load on each in turn, for the scale's time at its own pace; `beside` runs against the same server."""
        seconds = self.scale.load_seconds

        def warm_up(server: Server) -> int:
            with _behind(server, beside):
                return loads.requests_for(server.port, load, seconds)

        def measure(server: Server) -> LoadResult:
            with _behind(server, beside):
                return loads.run(server.port, load, requests[server.port], limit_s=30 + 10 * seconds)

        self.progress(f"{name}: warming up")
        requests = {server.port: warm_up(server) for server in servers}
        return self.interleave(name, rounds, servers, measure)


def _behind(server: Server, beside: Load | None) -> AbstractContextManager[object]:
    return nullcontext() if beside is None else loads.endless(server.port, beside)
