"""What every scenario is given: the two sides, the scale, data to start from, and interleaved rounds."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from benchmarks import load as loads
from benchmarks.connection import Connection
from benchmarks.datasets import Datasets
from benchmarks.load import Load, LoadResult
from benchmarks.scale import Scale
from benchmarks.servers import Fsync, Server, ServerKind

Side = TypeVar("Side")
Sample = TypeVar("Sample")
Timeline = list[tuple[int, float]]


@dataclass(frozen=True)
class Turn(LoadResult):
    """One measurement of one server: processor time of all its processes a command, and others' commands beside it."""

    server_cpu_us: float
    beside_per_s: float


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
    ) -> tuple[list[Turn], list[Turn]]:
        """The load on each in turn, for the scale's time at its own pace; `beside` runs against the same server."""
        seconds = self.scale.load_seconds

        def warm_up(server: Server) -> int:
            with _behind(server, beside):
                return loads.requests_for(server.port, load, seconds)

        def measure(server: Server) -> Turn:
            with _behind(server, beside), server.connect() as connection:
                return _measure(server, connection, load, requests[server.port], limit_s=30 + 10 * seconds)

        self.progress(f"{name}: warming up")
        requests = {server.port: warm_up(server) for server in servers}
        return self.interleave(name, rounds, servers, measure)


def _behind(server: Server, beside: Load | None) -> AbstractContextManager[object]:
    return nullcontext() if beside is None else loads.endless(server.port, beside)


def _measure(server: Server, connection: Connection, load: Load, requests: int, limit_s: float) -> Turn:
    began, cpu, commands = time.perf_counter(), server.cpu_seconds(), _commands(connection)
    result = loads.run(server.port, load, requests, limit_s)
    all_commands = _commands(connection) - commands
    seconds = time.perf_counter() - began
    cpu_us = (server.cpu_seconds() - cpu) / max(all_commands, requests) * 1e6
    return Turn(**asdict(result), server_cpu_us=cpu_us, beside_per_s=max(0.0, (all_commands - requests) / seconds))


def _commands(connection: Connection) -> int:
    """How many commands the server has carried out so far."""
    return int(connection.info("stats").get("total_commands_processed", 0))
