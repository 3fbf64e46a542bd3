"""In front of a cluster: 50 clients through Keystead, beside the same load sent to the nodes by a cluster client.

The load through Keystead is redis-benchmark, as in `throughput`. A cluster client is part of the program that uses it,
so its load is a program: what both reach together is what its users have. A third pair of rows has the same program on
both sides. The nodes, their replicas, Keystead and the load share the machine's cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from benchmarks import load as loads
from benchmarks.bench import Bench
from benchmarks.connection import Connection, encode
from benchmarks.datasets import key, value
from benchmarks.figures import Aim, Figure, NotMeasured
from benchmarks.load import Load
from benchmarks.machine import REPOSITORY
from benchmarks.scale import short_count
from benchmarks.scenarios.throughput import GET, SET
from benchmarks.servers import CannotStart, Fsync, Server, ServerKind
from keystead.cluster.development import DevelopmentCluster
from keystead.errors import DevelopmentClusterFailed

CLIENTS = 50
SHARDS = 3
COMMANDS = {"GET": GET, "SET": SET}
_LIMIT_S = 120.0
_CHUNK = 500


@dataclass(frozen=True)
class Sample:
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Processor time a command: of the front door, of the program that uses a library, or of both where both work."""


Measure = Callable[[], Sample]


@dataclass(frozen=True)
class FrontDoor(ServerKind):
    """`keystead serve --cluster` as a kind of server."""

    nodes: str = ""
    acknowledge: str = "replicated"

    def command(self, directory: Path, port: int, fsync: Fsync) -> list[str]:  # noqa: ARG002  # it keeps nothing
        listen = ["--dir", str(directory), "--port", str(port), "--http-port", "0"]
        cluster = ["--cluster", self.nodes, "--cluster-acknowledge", self.acknowledge]
        return [self.program, "-m", "keystead", "serve", *listen, *cluster]


def measure(bench: Bench) -> Iterator[Figure]:
    with _cluster(bench, SHARDS) as nodes:
        yield from _beside_clients(bench, nodes)
        yield from _acknowledged(bench, nodes)
    yield from _shards(bench)


# --- the figures -----------------------------------------------------------------------------------------------------


def _beside_clients(bench: Bench, nodes: DevelopmentCluster) -> Iterator[Figure]:
    """A cluster client that waits for no replica is compared with a front door that does not either."""
    with _front_door(bench, nodes, "async") as door:
        for name, command in COMMANDS.items():
            sides: dict[str, Measure] = {
                "through Keystead": _benchmark(bench, door, command),
                "redis-py": _program(bench, "redis-py", nodes.nodes[0].port, name),
                "redis-py through Keystead": _program(bench, "redis-py-plain", door.port, name, door),
            }
            if find_spec("glide"):
                sides["GLIDE"] = _program(bench, "glide", nodes.nodes[0].port, name)
            samples = _in_turns(bench, f"cluster: {name}", sides)
            what = f"cluster: {name}, {CLIENTS} clients, {SHARDS} shards"
            ours = samples["through Keystead"]
            yield _figure(bench, what, ours, samples["redis-py"], "redis-py's cluster client", Aim("at least", 1.0))
            yield _figure(bench, what, ours, samples.get("GLIDE", []), "GLIDE", Aim("at least", 0.8))
            same = f"cluster: {name}, one program of {CLIENTS} tasks, by redis-py"
            through = samples["redis-py through Keystead"]
            yield _figure(bench, same, through, samples["redis-py"], "its cluster client", Aim("at least", 1.0))


def _acknowledged(bench: Bench, nodes: DevelopmentCluster) -> Iterator[Figure]:
    with _front_door(bench, nodes, "replicated") as replicated, _front_door(bench, nodes, "async") as plain:
        for depth in (1, 16):
            sides = {
                "replicated": _benchmark(bench, replicated, SET, depth),
                "async": _benchmark(bench, plain, SET, depth),
            }
            samples = _in_turns(bench, f"cluster: SET {depth} deep", sides)
            deep = f", {depth} deep" if depth > 1 else ""
            what = f"cluster: SET, {CLIENTS} clients{deep}, on a replica before it is acknowledged"
            yield _figure(bench, what, samples["replicated"], samples["async"], "not waited for", None)


def _shards(bench: Bench) -> Iterator[Figure]:
    """What more primaries bring: two and three of them beside one, all up at once so that they can take turns."""
    with ExitStack() as stack:
        doors: dict[str, Server] = {}
        for shards in range(1, SHARDS + 1):
            nodes = stack.enter_context(_cluster(bench, shards))
            doors[str(shards)] = stack.enter_context(_front_door(bench, nodes, "replicated"))
        for name, command in COMMANDS.items():
            sides = {shards: _benchmark(bench, door, command) for shards, door in doors.items()}
            samples = _in_turns(bench, f"cluster: {name}, shards", sides)
            for shards in range(2, SHARDS + 1):
                what = f"cluster: {name}, {CLIENTS} clients, {shards} shards, acknowledged by replicas"
                yield _figure(bench, what, samples[str(shards)], samples["1"], "one shard", None)


def _figure(bench: Bench, name: str, ours: list[Sample], peer: list[Sample], peer_name: str, aim: Aim | None) -> Figure:
    keys = bench.scale.throughput_keys
    figure = Figure(
        "cluster",
        name,
        "requests/s",
        ours=[sample.requests_per_s for sample in ours],
        peer=[sample.requests_per_s for sample in peer],
        peer_name=peer_name,
        aim=aim,
        keys=keys,
    )
    if ours and peer:
        p50, p99, cpu = (
            " / ".join(f"{median(getattr(sample, which) for sample in side):.{digits}f}" for side in (ours, peer))
            for which, digits in (("p50_ms", 2), ("p99_ms", 2), ("cpu_us", 0))
        )
        figure.note = (
            f"{short_count(keys)} random keys; p50 {p50} ms, p99 {p99} ms; processor time a command {cpu} µs, of "
            "Keystead without the load, of a program with its library"
        )
    else:
        figure.not_run = f"no measurement of {peer_name if ours else name}; it may not be installed"
    return figure


# --- how they are had ------------------------------------------------------------------------------------------------


def _in_turns(bench: Bench, name: str, sides: Mapping[str, Measure]) -> dict[str, list[Sample]]:
    """One side after the other, round by round; before that each once for nothing, which warms it up. A side that
    fails in a round has no sample of it."""
    samples: dict[str, list[Sample]] = {side: [] for side in sides}
    rounds = bench.scale.rounds
    for number in range(rounds + 1):
        for side, take in sides.items():
            bench.progress(f"{name}: {side}, " + (f"round {number} of {rounds}" if number else "warming up"))
            try:
                sample = take()
            except NotMeasured as failure:
                bench.progress(f"{name}: {failure}")
                continue
            if number:
                samples[side].append(sample)
    return samples


def _benchmark(bench: Bench, door: Server, command: tuple[str, ...], pipeline: int = 1) -> Measure:
    """redis-benchmark; how many requests it takes is found out the first time."""
    load = Load(CLIENTS, command, pipeline, bench.scale.throughput_keys)
    seconds = bench.scale.load_seconds
    requests: list[int] = []

    def take() -> Sample:
        if not requests:
            requests.append(loads.requests_for(door.port, load, seconds))
        cpu = door.cpu_seconds()
        result = loads.run(door.port, load, requests[0], limit_s=30 + 10 * seconds)
        cpu_us = (door.cpu_seconds() - cpu) / requests[0] * 1e6
        return Sample(result.requests_per_s, result.p50_ms, result.p99_ms, cpu_us)

    return take


def _program(bench: Bench, library: str, port: int, command: str, door: Server | None = None) -> Measure:
    """The same load by a program that uses a library; `door` is what works for it besides the nodes."""
    words = [sys.executable, "-m", "benchmarks.cluster_worker", library, f"127.0.0.1:{port}", command.lower()]
    words += ["--clients", str(CLIENTS), "--keys", str(bench.scale.throughput_keys)]
    words += ["--seconds", str(bench.scale.load_seconds)]

    def take() -> Sample:
        cpu = door.cpu_seconds() if door else 0.0
        try:
            done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, timeout=_LIMIT_S, check=True)
        except subprocess.TimeoutExpired:
            raise NotMeasured(f"{library} took more than {_LIMIT_S:.0f} s") from None
        except subprocess.CalledProcessError as error:
            raise NotMeasured(f"{library}: {(error.stderr.strip().splitlines() or ['failed'])[-1]}") from None
        measured = json.loads(done.stdout.splitlines()[-1])  # GLIDE writes its log there too
        commands = measured.pop("commands")
        if door is not None:
            measured["cpu_us"] += (door.cpu_seconds() - cpu) / commands * 1e6
        return Sample(**measured)

    return take


@contextmanager
def _cluster(bench: Bench, shards: int) -> Iterator[DevelopmentCluster]:
    """Real nodes with a replica each, holding the keys that are read."""
    bench.progress(f"starting a cluster of {shards} shards")
    cluster = DevelopmentCluster(bench.fresh_directory("cluster"), shards=shards, node_timeout_ms=5000)
    try:
        cluster.start()
    except DevelopmentClusterFailed as failure:
        raise CannotStart(str(failure)) from None
    try:
        with _front_door(bench, cluster, "async") as door, Connection(door.port) as connection:
            names = [key(number) for number in range(bench.scale.throughput_keys)]
            chunks = (names[first : first + _CHUNK] for first in range(0, len(names), _CHUNK))
            connection.stream((b"".join(encode("SET", name, value(0)) for name in c), len(c)) for c in chunks)
        yield cluster
    finally:
        cluster.stop()


@contextmanager
def _front_door(bench: Bench, cluster: DevelopmentCluster, acknowledge: str) -> Iterator[Server]:
    nodes = ",".join(f"{host}:{port}" for host, port in cluster.addresses)
    kind = FrontDoor("keystead", bench.ours.program, "Keystead in front of a cluster", nodes, acknowledge)
    with Server(kind, bench.fresh_directory("front-door")) as server:
        yield server
