"""Kill -9 under load, again and again: nothing acknowledged and nothing observed may be lost, nothing may appear.

Each cycle starts the server on the same directory, checks what it kept, loads it for a moment with these, and kills it:

* solo clients, each writing keys of its own against a model (see `solo`), in pipelines, transactions, large values,
* observers, who remember the highest value of the solo clients' counters they were ever shown,
* clients contending for a few keys, whose history, the lost outcomes and the state after the restart included, must be
  linearizable.

In some cycles the server is also killed while it starts. A SIGKILL leaves the page cache, so this finds what is
acknowledged too early, applied twice, half done or forgotten by recovery; power cuts are simulated elsewhere.

    python -m durability.crash_loop --cycles 10000        (in tests/; `make crash` does it)
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from durability import volatile_server
from durability.linearizability import Operation, Value, violations
from durability.recorder import RecordingClient
from durability.solo import Ledger, Observer, SoloClient, State
from servers import Server, free_port, spawn, spawn_keystead, start, start_keystead
from wire import SocketConnection

SOLO_CLIENTS, OBSERVERS, CONTENDERS = 4, 2, 4
CONTENDED = [b"contended:%d" % number for number in range(3)]
SMALL_SEGMENTS = ("--segment-size", "1mb")  # so that rotation and checkpoints take part
SLOW_SYNC_SECONDS = 0.005
LOAD_SECONDS = (0.02, 0.25)
ENOUGH_ACKNOWLEDGED = 20  # a cycle, on average: below that a run has proved nothing

Start = Callable[[Path], Server]


class Violation(AssertionError):
    """A promise was broken; the text says which, in which cycle, and how to run it again."""


class TooLittleWork(AssertionError):
    """The run is void: it loaded the server too little to prove anything."""


@dataclass
class Tally:
    """What a run did."""

    cycles: int = 0
    acknowledged: int = 0
    contended: int = 0
    looks: int = 0
    lost_bytes: int = 0
    started_seconds: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        starts = sorted(self.started_seconds)
        lost = f", {self.lost_bytes} unsynced bytes lost" if self.lost_bytes else ""
        return (
            f"{self.cycles} kills, {self.acknowledged} acknowledged moves, {self.contended} contended operations, "
            f"{self.looks} observations{lost}, start median {starts[len(starts) // 2] * 1000:.0f} ms, "
            f"longest {starts[-1] * 1000:.0f} ms"
        )


class CrashLoop:
    """One run; `start` starts a server on the directory it is given."""

    def __init__(
        self,
        directory: Path,
        seed: int,
        start: Start,
        spawn: Start | None = None,
        after_kill: Callable[[random.Random], None] | None = None,
    ) -> None:
        self.tally = Tally()
        self._directory, self._seed, self._start, self._spawn = directory, seed, start, spawn
        self._after_kill = after_kill
        self._ledgers = [Ledger(f"solo{number}", (1 + 2 * number, 2 + 2 * number)) for number in range(SOLO_CLIENTS)]
        self._contended: dict[bytes, Value] = dict.fromkeys(CONTENDED)
        self._history: list[Operation] = []

    def run(self, cycles: int, report: Callable[[str], None] | None = None) -> Tally:
        """Raises Violation, or TooLittleWork at the end."""
        for cycle in range(cycles):
            self._cycle(cycle, random.Random(f"{self._seed}:{cycle}"))
            if report and cycle % 50 == 49:
                report(str(self.tally))
        server = self._started()
        try:
            self._check(server, cycles)
        finally:
            server.stop()
        if self.tally.acknowledged < cycles * ENOUGH_ACKNOWLEDGED or self.tally.looks < cycles:
            raise TooLittleWork(f"void: {self.tally}")
        return self.tally

    def _cycle(self, cycle: int, rng: random.Random) -> None:
        self._die_while_starting(rng)
        server = self._started()
        try:
            self._check(server, cycle)
            self._load(server, cycle, rng)
        finally:
            server.kill()
        self._crash(rng)
        self.tally.cycles += 1

    def _started(self) -> Server:
        began = time.monotonic()
        server = self._start(self._directory)
        self.tally.started_seconds.append(time.monotonic() - began)
        return server

    def _die_while_starting(self, rng: random.Random) -> None:
        if self._spawn is not None and rng.random() < 0.1:
            starting = self._spawn(self._directory)
            time.sleep(rng.uniform(0.0, 0.3))
            starting.kill()
            self._crash(rng)

    def _crash(self, rng: random.Random) -> None:
        if self._after_kill is not None:
            self._after_kill(rng)

    def _load(self, server: Server, cycle: int, rng: random.Random) -> None:
        """Everybody at work for a moment, then SIGKILL."""

        def seeded(who: str, number: int) -> random.Random:
            return random.Random(f"{self._seed}:{cycle}:{who}{number}")

        address = server.address
        solos = [SoloClient(address, ledger, seeded("solo", n)) for n, ledger in enumerate(self._ledgers)]
        observers = [Observer(address, self._ledgers, seeded("observer", n)) for n in range(OBSERVERS)]
        base = (cycle + 1) * 10_000_000_000
        contenders = [
            RecordingClient(address, CONTENDED, seeded("contender", n), base + n * 1_000_000_000)
            for n in range(CONTENDERS)
        ]
        before = sum(ledger.acknowledged for ledger in self._ledgers)
        crew = [*solos, *observers, *contenders]
        for client in crew:
            client.start()
        seconds = rng.uniform(*LOAD_SECONDS)
        if rng.random() < 0.2:
            self._ask_for_checkpoint(server)
            seconds *= rng.choice((1, 1, 1, 8))  # the longer ones see the end of it
        time.sleep(seconds)
        server.kill()
        for client in crew:
            client.stop.set()
            client.join()
        for solo in solos:
            if solo.error:
                raise Violation(self._where(cycle, solo.error))
        for observer in observers:
            for ledger in self._ledgers:
                ledger.observed(observer.seen[ledger.name])
        self._history = [operation for contender in contenders for operation in contender.history]
        self.tally.acknowledged += sum(ledger.acknowledged for ledger in self._ledgers) - before
        self.tally.contended += len(self._history)
        self.tally.looks += sum(observer.looks for observer in observers)

    def _ask_for_checkpoint(self, server: Server) -> None:
        connection = server.connect()
        connection.call(b"BGREWRITEAOF")
        connection.close()

    def _check(self, server: Server, cycle: int) -> None:
        """What the server kept, against what clients were told; from here on it is the state to go on from."""
        connection = server.connect()
        try:
            verdicts = [ledger.verify(self._state(connection, ledger)) for ledger in self._ledgers]
            found = self._read_contended(connection)
        finally:
            connection.close()
        wrong = [line for line in verdicts if line]
        wrong += violations([*self._history, *found], self._contended)
        if wrong:
            raise Violation(self._where(cycle, *wrong))
        self._contended = {operation.key: operation.result for operation in found}
        self._history = []

    def _state(self, connection: SocketConnection, ledger: Ledger) -> State:
        """What the server has of a solo client's keys; KEYS, so that a key that should not be there is found too."""
        state = {}
        for database in (0, *ledger.databases):
            connection.call(b"SELECT", database)
            prefix = b"%d/" % database if database else b""
            for reply in connection.call(b"KEYS", ledger.name.encode() + b":*").value:
                key = reply.value
                state[prefix + key] = connection.call(b"GET", key).value, connection.call(b"PEXPIRETIME", key).value
        connection.call(b"SELECT", 0)
        return state

    def _read_contended(self, connection: SocketConnection) -> list[Operation]:
        found = []
        for key in CONTENDED:
            called_at = time.monotonic_ns()
            value = connection.call(b"GET", key).value
            result = None if value is None else int(value)
            found.append(Operation(key, "get", None, result, called_at, time.monotonic_ns(), "after the restart"))
        return found

    def _where(self, cycle: int, *wrong: str) -> str:
        return f"seed {self._seed}, cycle {cycle}, directory {self._directory}:\n  " + "\n  ".join(wrong)


def power_cut_loop(directory: Path, seed: int, flaw: str = "none", *options: str) -> CrashLoop:
    """The same with a crash of the machine: what was not synced is taken back before the next start."""
    ledger = directory.with_name(directory.name + ".ledger")
    wrapper = [sys.executable, volatile_server.__file__, str(ledger), str(SLOW_SYNC_SECONDS), flaw]

    def command(port: int) -> list[str]:
        return [
            *wrapper,
            "serve",
            "--port",
            str(port),
            "--http-port",
            "0",
            "--dir",
            str(directory),
            *SMALL_SEGMENTS,
            *options,
        ]

    def spawned(where: Path) -> Server:
        port = free_port()
        return spawn(command(port), port, where)

    def started(where: Path) -> Server:
        return start(command, where)

    def cut(rng: random.Random) -> None:
        loop.tally.lost_bytes += volatile_server.cut_power(directory, ledger, rng)

    loop = CrashLoop(directory, seed, started, spawned, cut)
    return loop


def keystead_loop(directory: Path, seed: int) -> CrashLoop:
    def started(where: Path) -> Server:
        return start_keystead(where, *SMALL_SEGMENTS)

    def spawned(where: Path) -> Server:
        return spawn_keystead(where, *SMALL_SEGMENTS)

    return CrashLoop(directory, seed, started, spawned)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="crash_loop", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cycles", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--dir", type=Path, help="keep the data here (default: a temporary directory)")
    parser.add_argument("--power-cuts", action="store_true", help="lose what was not synced at each kill")
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}", flush=True)
    with contextlib.ExitStack() as stack:
        directory = options.dir or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "data"
        loop = (power_cut_loop if options.power_cuts else keystead_loop)(directory, options.seed)
        try:
            print(loop.run(options.cycles, lambda line: print(line, flush=True)))
        except (Violation, TooLittleWork) as wrong:
            print(f"{type(wrong).__name__}: {wrong}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
