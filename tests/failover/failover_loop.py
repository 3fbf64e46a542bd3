"""Nodes of a cluster fail under load, again and again: nothing acknowledged may be lost, no answer may be wrong.

Each round sets clients to work through the front doors, lets a fault happen, waits until the cluster is well, and then
reads everything:

* writers, each with keys of its own, know exactly what may be there (see `ledger`): in pipelines, transactions,
  commands whose keys are spread over the shards, large values,
* HTTP writers, whose changes are conditional (see `http_writer`),
* contenders for a few keys, through all doors, whose history must be linearizable, what is there in the end included,
* probers, who see for how long the slots of the failed shard are not read, and how long writes are not acknowledged,
  which also takes a replica for the new primary.

    python -m failover.failover_loop --rounds 20 --faults kill        (in tests/; `make failover` does it)

`--faults cut` is a partition, in a network of the run's own. `--acknowledge async` counts what is lost rather than to
fail for it: nothing was promised.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from clusters import MORE, Cluster, running_cluster, slot_of
from durability.linearizability import Operation, Value, violations
from failover import faults
from failover.clients import Address, Contender, Prober, Writer
from failover.faults import Fault
from failover.http_writer import HttpWriter
from failover.ledger import Findings, Ledger
from front_doors import start_front_door
from partitions import ALONE, HOSTS, Network
from servers import HttpServer
from wire import SocketConnection

WRITERS, CONTENDERS, DOORS = 4, 3, 2
CONTENDED = [b"contended:%d" % number for number in range(3)]
PROBED = b"probed"
BEFORE_SECONDS, AFTER_SECONDS = 0.5, 0.5
SETTLES_SECONDS = 30.0
READ_AT_ONCE = 100
ENOUGH_ACKNOWLEDGED = 200  # a round, on average: below that a run has proved nothing
NODE_TIMEOUT_MS = 1000
ADVISED = (  # to users, in docs/cluster.md
    *("--appendonly", "yes", "--appendfsync", "always"),
    *("--min-replicas-to-write", "1", "--min-replicas-max-lag", "10", "--cluster-require-full-coverage", "no"),
)
BACK_WITHIN_SECONDS = NODE_TIMEOUT_MS / 1000 + 2  # told; nothing fails for it, on a machine that others keep busy


class Violation(AssertionError):
    """A promise was broken; the text says which, in which round, and how to run it again."""


class TooLittleWork(AssertionError):
    """The run is void: it loaded the cluster too little to prove anything."""


@dataclass
class Tally:
    """What a run did."""

    rounds: int = 0
    acknowledged: int = 0
    unknown: int = 0
    refused: int = 0
    contended: int = 0
    lost: int = 0
    outages: dict[str, list[Outage]] = field(default_factory=dict)
    """By the kind of fault."""

    def __str__(self) -> str:
        told = "; ".join(_outages(name, outages) for name, outages in self.outages.items())
        return (
            f"{self.rounds} faults, {self.acknowledged} acknowledged writes, {self.lost} of them lost, "
            f"{self.unknown} of unknown outcome, {self.refused} refused, {self.contended} contended operations. "
            f"Seconds without service, median (longest): {told}"
        )


class Outage(NamedTuple):
    """For how long the slot that a fault struck was not read, its writes not acknowledged, and served by nobody."""

    reads_s: float
    writes_s: float
    cluster_s: float


def _outages(name: str, outages: list[Outage]) -> str:
    reads, writes, cluster = (f"{median(figures):.2f} ({max(figures):.2f})" for figures in zip(*outages, strict=True))
    in_time = sum(outage.reads_s <= BACK_WITHIN_SECONDS for outage in outages)
    took = f", of which the cluster took {cluster}" if any(outage.cluster_s for outage in outages) else ""
    return f"{name}: reads {reads}{took}, writes {writes}, {in_time} of {len(outages)} within {BACK_WITHIN_SECONDS:g}"


class Load(NamedTuple):
    """What writers do: the bytes of a value, how many moves they send at a time at the most. With `async` losses are
    counted rather than refused: nothing was promised.
    """

    size: int = 100
    deepest: int = 16
    acknowledge: str = "replicated"

    @property
    def is_lossy(self) -> bool:
        return self.acknowledge == "async"


class FailoverLoop:
    """One run on a cluster that serves, through the doors that are given."""

    def __init__(
        self, cluster: Cluster, doors: Sequence[Address], seed: int, load: Load, http_doors: Sequence[Address] = ()
    ) -> None:
        self.tally = Tally()
        self._cluster, self._doors, self._seed, self._load = cluster, doors, seed, load
        self._ledgers = [Ledger(f"writer{number}", load.size) for number in range(WRITERS)]
        self._http_doors = http_doors
        self._http_ledgers = [Ledger(f"http{number}", load.size) for number in range(len(http_doors))]
        self._contended: dict[bytes, Value] = dict.fromkeys(CONTENDED)

    def run(self, plan: Sequence[tuple[str, Fault]], report: Callable[[str], None] | None = None) -> Tally:
        """Raises Violation, or TooLittleWork at the end."""
        for number, (name, fault) in enumerate(plan):
            self._round(number, name, fault, random.Random(f"{self._seed}:{number}"))
            if report:
                report(f"{name}: {self.tally}")
        idle = [ledger.name for ledger in self._http_ledgers if ledger.acknowledged < self.tally.rounds]
        if self.tally.acknowledged < self.tally.rounds * ENOUGH_ACKNOWLEDGED or self.tally.contended == 0 or idle:
            raise TooLittleWork(f"void: {self.tally}")
        return self.tally

    def _round(self, number: int, name: str, fault: Fault, rng: random.Random) -> None:
        doors = itertools.cycle(self._doors)
        writers = [
            Writer(next(doors), ledger, _seeded(rng), self._load.deepest, lossy=self._load.is_lossy)
            for ledger in self._ledgers
        ]
        http_writers = [
            HttpWriter(door, ledger, _seeded(rng))
            for door, ledger in zip(self._http_doors, self._http_ledgers, strict=True)
        ]
        base = (number + 1) * 10_000_000_000
        contenders = [
            Contender(next(doors), CONTENDED, _seeded(rng), base + n * 1_000_000_000) for n in range(CONTENDERS)
        ]
        reads, writes = (Prober(next(doors), command, PROBED) for command in (b"GET", b"INCR"))
        ledgers = [*self._ledgers, *self._http_ledgers]
        before = sum(ledger.acknowledged for ledger in ledgers)
        with _at_work([*writers, *http_writers, *contenders, reads, writes]):
            time.sleep(BEFORE_SECONDS)
            cluster_took_s = fault(self._cluster, slot_of(PROBED), rng)
            time.sleep(AFTER_SECONDS)
        tally = self.tally
        tally.rounds += 1
        tally.acknowledged += sum(ledger.acknowledged for ledger in ledgers) - before
        tally.unknown += sum(writer.unknown for writer in (*writers, *http_writers))
        tally.refused += sum(writer.refused for writer in (*writers, *http_writers))
        tally.contended += sum(len(contender.history) for contender in contenders)
        outage = Outage(reads.longest_gap_s(), writes.longest_gap_s(), cluster_took_s)
        tally.outages.setdefault(name, []).append(outage)
        errors = [client.error for client in (*writers, *http_writers, *contenders) if client.error]
        self._check(number, name, errors, [operation for contender in contenders for operation in contender.history])

    def _check(self, number: int, name: str, errors: list[str], history: list[Operation]) -> None:
        connection = SocketConnection(self._doors[number % len(self._doors)])
        connection.socket.settimeout(SETTLES_SECONDS)
        try:
            findings = Findings()
            for ledger in (*self._ledgers, *self._http_ledgers):
                findings.add(ledger.settle(lambda keys: _read(connection, keys)))
            found = [_contended(connection, key) for key in CONTENDED]
        finally:
            connection.close()
        self.tally.lost += findings.lost
        wrong = [*errors, *findings.wrong]
        if not self._load.is_lossy:
            wrong += [f"{findings.lost} acknowledged writes lost"] if findings.lost else []
            wrong += violations([*history, *found], self._contended)
        self._contended = {operation.key: operation.result for operation in found}
        if wrong:
            raise Violation(f"seed {self._seed}, round {number} ({name}):\n  " + "\n  ".join(wrong[:20]))


@contextlib.contextmanager
def _at_work(crew: Sequence[Writer | HttpWriter | Contender | Prober]) -> Iterator[None]:
    for client in crew:
        client.start()
    try:
        yield
    finally:
        for client in crew:
            client.stop.set()
        for client in crew:
            client.join()


def _seeded(rng: random.Random) -> random.Random:
    return random.Random(rng.getrandbits(64))


def _read(connection: SocketConnection, keys: list[bytes]) -> list[bytes | None]:
    found: list[bytes | None] = []
    for first in range(0, len(keys), READ_AT_ONCE):
        reply = connection.call(b"MGET", *keys[first : first + READ_AT_ONCE])
        if reply.kind != "*":
            raise Violation(f"MGET, when the cluster was well again, answered {reply!r}")
        found += [one.value for one in reply.value]
    return found


def _contended(connection: SocketConnection, key: bytes) -> Operation:
    called_at = time.monotonic_ns()
    reply = connection.call(b"GET", key)
    if reply.kind == "-":
        raise Violation(f"GET, when the cluster was well again, answered {reply!r}")
    value = None if reply.value is None else int(reply.value)
    return Operation(key, "get", None, value, called_at, time.monotonic_ns(), "in the end")


@contextlib.contextmanager
def front_doors(cluster: Cluster, directory: Path, *options: str) -> Iterator[list[HttpServer]]:
    """Keysteads in front of one cluster, for a block. One that was started again takes its place in the list."""
    doors: list[HttpServer] = []
    try:
        for number in range(DOORS):  # one by one: those that were started are stopped, whatever the next one does
            doors.append(start_front_door(directory / f"door{number}", cluster.addresses, *options))  # noqa: PERF401
        yield doors
    finally:
        for door in doors:
            door.kill()


def plan(
    names: Sequence[str], rounds: int, doors: list[HttpServer], network: Network | None
) -> list[tuple[str, Fault]]:
    """The faults named, over and over."""
    known: dict[str, Fault] = {
        "kill": faults.kill,
        "kill-ahead": faults.kill_ahead,
        "kill-door": faults.kill_door(doors),
        "blackout": faults.blackout,
        "crash": faults.crash,
        "pause": faults.pause,
        "stall": faults.stall,
        "lose-replica": faults.lose_replica,
        "move": faults.move,
    }
    if network is not None:
        known |= {
            "cut": faults.cut_off(network, clients_too=False),
            "cut-off": faults.cut_off(network, clients_too=True),
        }
    return [(name, known[name]) for name, _ in zip(itertools.cycle(names), range(rounds), strict=False)]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="failover_loop", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--faults", default="kill", help="comma-separated, taken in turn: kill, pause, stall, …")
    parser.add_argument("--size", type=int, default=100, help="bytes a value")
    parser.add_argument(
        "--advised", action="store_true", help="nodes as docs/cluster.md advises; else they keep nothing"
    )
    parser.add_argument("--replicas", type=int, default=1, help="of each primary")
    parser.add_argument("--deepest", type=int, default=16, help="moves a writer sends at a time, at the most")
    parser.add_argument("--acknowledge", default="replicated", choices=("replicated", "async"))
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    options = parser.parse_args(arguments)
    names = options.faults.split(",")
    if {"cut", "cut-off"} & set(names) and not os.environ.get("FAILOVER_ALONE"):
        os.environ["FAILOVER_ALONE"] = "yes"
        command = [*ALONE, sys.executable, "-m", "failover.failover_loop", *(arguments or sys.argv[1:])]
        os.execvp(command[0], command)
    print(f"seed {options.seed}", flush=True)
    try:
        load = Load(options.size, options.deepest, options.acknowledge)
        more = ADVISED if options.advised else ()
        print(run(names, options.rounds, options.seed, load, replicas=options.replicas, more=more))
    except (Violation, TooLittleWork) as wrong:
        print(f"{type(wrong).__name__}: {wrong}", file=sys.stderr)
        return 1
    return 0


def run(
    names: Sequence[str],
    rounds: int,
    seed: int,
    load: Load = Load(),  # noqa: B008  # a value
    *,
    replicas: int = 1,
    more: tuple[str, ...] = (),
) -> Tally:
    """A cluster and its doors for one run; `more` are further options of the nodes."""
    network = Network() if {"cut", "cut-off"} & set(names) else None
    options: dict[str, Any] = {"replicas": replicas, "node_timeout_ms": NODE_TIMEOUT_MS, "more": (*MORE, *more)}
    if network is not None:
        options |= {"launch": network.launch, "hosts": HOSTS}
    with tempfile.TemporaryDirectory() as directory:
        where = Path(directory)
        with (
            running_cluster(where / "nodes", **options) as cluster,
            front_doors(cluster, where, "--cluster-acknowledge", load.acknowledge) as doors,
        ):
            # With losses, conditions fail for what nobody did.
            http_doors = [] if load.is_lossy else [door.http_address for door in doors]
            loop = FailoverLoop(cluster, [door.address for door in doors], seed, load, http_doors)
            return loop.run(plan(names, rounds, doors, network), lambda line: print(line, flush=True))


if __name__ == "__main__":
    sys.exit(main())
