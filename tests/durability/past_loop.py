"""The past under load and kill -9: what the store says of any moment is what was seen at it.

A few editors change keys of their own, one change at a time, and write down after each what they see and which
transaction was the last one (`chronicle`). Undo is among the changes, and checked as such. Meanwhile others fill
segments, have checkpoints made, change the bounds of retention, forget keys, take backups and restore them to a moment,
and ask about the past all the time; in the end of each cycle the server is killed. Every answer must be what was
written down, or an error that retention explains.

    python -m durability.past_loop --cycles 100        (in tests/; `make past` does it)
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keystead
from cli.stores import keystead as command_line
from durability.chronicle import KEYS, Chronicle, Record, State, after_undo, lasting, told
from servers import Server, start_keystead
from wire import CLOSED, Reply, SocketConnection, encode

EDITORS = 2
LOAD_SECONDS = (0.5, 6.0)
SMALL = ("--segment-size", "1mb")
ENOUGH = 1  # change, history and page a cycle, on average: below that a run has proved nothing
LATE_S = 10.0
"""So long a server may take to learn what its files no longer have: whoever reads them for it is not told by it."""
CYCLES_A_CHECKPOINT = 10  # at most, on average: without any there is one generation, and nothing is ever let go


class Violation(AssertionError):
    """The past is not what was seen."""


class TooLittleWork(AssertionError):
    """The run is void."""


class Died(Exception):
    """The server is gone, as it should be in the end of a cycle."""


class Gone(Exception):
    """Retention has let go what was asked for."""


class Client:
    """A connection in RESP3 that knows which errors are none."""

    def __init__(self, server: Server) -> None:
        try:
            self._connection = SocketConnection(server.address)
        except OSError:
            raise Died from None
        self._connection.socket.settimeout(60)
        self.ask("HELLO", 3)

    def call(self, *args: bytes | str | int) -> Reply:
        """The reply. Died."""
        try:
            reply = self._connection.call(*args)
        except OSError:
            raise Died from None
        if reply == CLOSED:
            raise Died
        return reply

    def pipeline(self, *commands: tuple[bytes | str | int, ...]) -> list[Any]:
        """What each is answered. Died."""
        try:
            self._connection.send(b"".join(encode(command) for command in commands))
        except OSError:
            raise Died from None
        replies = [self._connection.receive() for _ in commands]
        if CLOSED in replies:
            raise Died
        return [told(reply) for reply in replies]

    def ask(self, *args: bytes | str | int) -> Any:
        """The answer. Died, Gone; Violation for any other error."""
        reply = self.call(*args)
        if reply.kind == "-":
            if reply.value.startswith(b"GONE "):
                raise Gone
            raise Violation(f"{args!r:.200} is answered with {reply.value!r}")
        return told(reply)

    def floor(self) -> int:
        """The oldest moment that can be rebuilt."""
        fields = dict(line.split(b":", 1) for line in self.ask("INFO", "history").splitlines() if b":" in line)
        return int(fields[b"history_first_sequence"]) - 1

    def has_let_go(self, sequence: int) -> bool:
        """Whether that moment is behind the oldest one; see LATE_S."""
        return not self.explained(lambda floor: "" if sequence < floor else "kept")

    def explained(self, wrong: Callable[[int], str | None]) -> str | None:
        """What is *wrong* with an answer that was got before, if the moments before the oldest one may be missing."""
        deadline_s = time.monotonic() + LATE_S
        while (found := wrong(self.floor())) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        return found

    def close(self) -> None:
        self._connection.close()


class Worker(threading.Thread):
    """Does its work again and again until the server is gone; what was wrong is in `wrong`."""

    def __init__(self, server: Server, rng: random.Random, done: Counter[str]) -> None:
        super().__init__(daemon=True)
        self.server, self.rng, self.done = server, rng, done
        self.stop = threading.Event()
        self.wrong: str | None = None

    def run(self) -> None:
        try:
            self.client = Client(self.server)
            self.begin()
            while not self.stop.is_set():
                self.work()
        except Died:
            pass
        except Gone:
            self.wrong = "something is gone that retention has not let go"
        except Exception as error:
            self.wrong = f"{type(self).__name__}: {type(error).__name__}: {error}"
        finally:
            if hasattr(self, "client"):
                self.client.close()

    def begin(self) -> None:
        """Before the work."""

    def work(self) -> None:
        """Once."""
        raise NotImplementedError

    def check(self, wrong: str | None) -> None:
        """Violation when there is something wrong."""
        if wrong:
            raise Violation(wrong)


class Made(NamedTuple):
    """A change, and how it was before and after it."""

    sequence: int
    command: str
    before: Record
    after: Record
    swaps: bool  # or is the undo of what swaps: to be seen in the two states only when they hold something


class Editor(Worker):
    """Changes its keys, looks, writes down; now and then undoes one of its changes, or asks about them."""

    def __init__(self, chronicle: Chronicle, *given: Any) -> None:
        super().__init__(*given)
        self.chronicle = chronicle
        self._undoable: list[Made] = []

    def begin(self) -> None:
        self._look()

    def work(self) -> None:
        choice = self.rng.random()
        if choice < 0.25 and self._undoable:
            self._undo()
        elif choice < 0.45:
            self._check_key()
        elif choice < 0.5:
            self._check_bin()
        else:
            self._change()

    def _look(self) -> Record:
        places = self.chronicle.places()
        commands: list[tuple[bytes | str | int, ...]] = []
        for database, key in places:
            commands += [("SELECT", database), ("GET", key), ("PEXPIRETIME", key)]
        *replies, now = self.client.pipeline(*commands, ("TIME",))
        values = zip(places, replies[1::3], replies[2::3], strict=True)
        state: State = {place: (value, max(0, until)) for place, value, until in values if value is not None}
        moment = self.client.ask("KS.MOMENT", "now")
        looked_ms = int(now[0]) * 1000 + int(now[1]) // 1000 + 1
        record = Record(moment["sequence"], moment["time-ms"], state, looked_ms)
        self.chronicle.records.append(record)
        return record

    def _change(self) -> None:
        rng, client = self.rng, self.client
        one, other = rng.sample(self.chronicle.databases, 2)
        key, another = rng.sample(KEYS, 2)
        # With a key goes its expiry: one that is about to expire must not become one that lasts.
        other_name = another if not key.startswith(b"x") else b"x1" if key == b"x2" else b"x2"
        value = b"%d:" % rng.getrandbits(60) + b"v" * rng.choice((0, 10, 300, 70_000))
        commands: list[tuple[bytes | str | int, ...]] = [
            ("SET", key, value),
            ("SET", key, value),
            ("APPEND", key, value[:20]),
            ("SETRANGE", key, 5, value[:20]),
            ("DEL", *KEYS[: rng.randrange(1, 6)]),
            ("MSET", key, value, another, value[:9]),
            ("RENAME", key, other_name),
            ("PEXPIREAT", key, 33177117420000),
            ("PERSIST", key),
            ("FLUSHDB",),
            ("SWAPDB", one, other),
        ]
        command = rng.choice(commands)
        if key.startswith(b"x") and rng.random() < 0.7:
            command = ("SET", key, value, "PX", rng.choice((1, 30, 400)))
        before = self.chronicle.records[-1]
        client.ask("SELECT", one)
        reply = client.call(*command)
        after = self._look()
        self.done["changes"] += 1
        if reply.kind != "-" and lasting(before.state) != lasting(after.state):
            try:
                log = client.ask("KS.LOG", "FROM", before.sequence + 1, "DB", one, "COUNT", 1000)
            except Gone:
                if not client.has_let_go(before.sequence):
                    raise
                return
            mine = [each["sequence"] for each in log["transactions"] if _is_lasting(each)]
            if len(mine) != 1:
                raise Violation(f"{command!r:.80} is in the log {len(mine)} times: {log['transactions']!r:.400}")
            self._undoable.append(Made(mine[0], f"{command!r:.80}", before, after, command[0] == "SWAPDB"))

    def _undo(self) -> None:
        sequence, command, before, after, swaps = self.rng.choice(self._undoable[-6:])
        how = self.rng.choice((b"REFUSE", b"SKIP", b"FORCE"))
        now = self.chronicle.records[-1]
        reply = self.client.call("KS.UNDO", sequence, how)
        found = self._look()
        self.done["undone" if reply.kind != "-" else "undo refused"] += 1
        if reply.kind == "-" and reply.value.startswith(b"DAMAGED"):
            raise Violation(f"undo of {sequence} is answered with {reply.value!r}")
        expected = after_undo(lasting(before.state), lasting(after.state), lasting(now.state), how)
        allowed = [lasting(now.state)] if reply.kind == "-" or expected is None else [expected]
        if swaps and reply.kind != "-":
            allowed.append(lasting(self._swapped(now.state)))
        if lasting(found.state) not in allowed:
            raise Violation(
                f"undoing {sequence} ({how!r}), {command}, that made {_short(after.state)} of {_short(before.state)}, "
                f"of {_short(now.state)}, makes {_short(found.state)}; {reply!r:.300}"
            )
        if reply.kind != "-":
            self._undoable.append(Made(told(reply)["sequence"], f"the undo of {sequence}", now, found, swaps))

    def _swapped(self, state: State) -> State:
        one, other = self.chronicle.databases
        return {(other if database == one else one, key): entry for (database, key), entry in state.items()}

    def _check_key(self) -> None:
        database, key = self.rng.choice(self.chronicle.places())
        self.client.ask("SELECT", database)
        changes: list[dict[str, Any]] = []
        before: tuple[bytes | str | int, ...] = ()
        count = self.rng.choice((1, 3, 100))
        while True:
            page = self.client.ask("KS.HISTORY", key, "COUNT", count, *before)
            changes += page
            numbers = [change["sequence"] for change in page if change["sequence"] is not None]
            if not numbers or len(changes) > 200:
                break
            before = ("BEFORE", numbers[-1])
        oldest = numbers[-1] if len(changes) > 200 else 0

        def wrong(floor: int) -> str | None:
            return self.chronicle.wrong_history((database, key), changes, max(floor, oldest))

        self.check(self.client.explained(wrong))
        self.done["histories"] += 1

    def _check_bin(self) -> None:
        database = self.rng.choice(self.chronicle.databases)
        self.client.ask("SELECT", database)
        items: list[dict[str, Any]] = []
        before: tuple[bytes | str | int, ...] = ()
        while True:
            try:
                answer = self.client.ask("KS.DELETED", "COUNT", self.rng.choice((1, 3, 100)), *before)
            except Gone:
                return
            items += answer["keys"]
            if answer["next"] is None:
                break
            before = ("BEFORE", answer["next"])
        self.check(self.client.explained(lambda floor: self.chronicle.wrong_bin(database, items, floor)))
        self.done["recycle bins"] += 1


class Asker(Worker):
    """Asks how everything was at moments that editors have written down."""

    def __init__(self, chronicles: list[Chronicle], *given: Any) -> None:
        super().__init__(*given)
        self.chronicles = chronicles

    def work(self) -> None:
        chronicle = self.rng.choice(self.chronicles)
        records = chronicle.records[:]
        if not records:
            time.sleep(0.01)
            return
        if self.rng.random() < 0.9:  # most of what was written down is gone after a while
            floor = self.client.floor()
            records = [record for record in records if record.sequence >= floor] or records
        one, other = sorted(self.rng.choices(records, k=2), key=lambda record: record.sequence)
        database = self.rng.choice(chronicle.databases)
        self.client.ask("SELECT", database)
        try:
            if self.rng.random() < 0.5:
                answer = self.client.ask("KS.KEYS", "AT", one.sequence, "VALUES")
                self.check(chronicle.wrong_page(one, database, answer))
                self.done["pages"] += 1
            elif self.rng.random() < 0.5:
                answer = self.client.ask("KS.DIFF", one.sequence, other.sequence, "COUNT", 1000)
                self.check(chronicle.wrong_difference(one, other, database, answer))
                self.done["differences"] += 1
            else:
                key = self.rng.choice(KEYS)
                value = self.client.ask("KS.GET", key, "AT", one.sequence)
                seen = one.state.get((database, key), (None, 0))[0]
                if value != seen and not key.startswith(b"x"):
                    raise Violation(
                        f"at {one.sequence} {key!r} of {database} was {seen!r:.80}, is told as {value!r:.80}"
                    )
                self.done["values"] += 1
        except Gone:
            if not self.client.has_let_go(one.sequence):
                raise
            self.done["gone"] += 1


class Filler(Worker):
    """Fills segments, has checkpoints made, changes how much is kept."""

    def begin(self) -> None:
        self._checkpoints = 0

    def work(self) -> None:
        rng = self.rng
        for _ in range(rng.randrange(1, 20)):
            self.client.call("SET", b"n:%d" % rng.randrange(50), rng.randbytes(rng.choice((100, 20_000, 90_000))))
        choice = rng.random()
        if choice < 0.02:
            self.client.call("SET", "n:big", rng.randbytes(5_000_000))
        elif choice < 0.2:
            self.client.call("BGREWRITEAOF")
        elif choice < 0.3:
            self.client.call("CONFIG", "SET", "history-max-bytes", rng.choice(("1mb", "5mb", "20mb", "1gb")))
            self.client.call("CONFIG", "SET", "history-max-age", rng.choice(("2", "10", "604800")))
        elif choice < 0.4:
            info = self.client.ask("INFO", "persistence").splitlines()
            made = next(int(line.partition(b":")[2]) for line in info if line.startswith(b"aof_rewrites:"))
            self.done["checkpoints"] += made - self._checkpoints
            self._checkpoints = made
        time.sleep(0.01)


class Forgetter(Worker):
    """Forgets a key, which then has no past."""

    def work(self) -> None:
        key = b"secret:%d" % self.rng.randrange(3)
        self.client.ask("SET", key, b"hush")
        self.client.ask("DEL", key)
        self.client.ask("SET", key, b"hush again")
        sequence = self.client.ask("KS.FORGET", key)["sequence"]
        changes = self.client.ask("KS.HISTORY", key)
        try:
            value = self.client.ask("KS.GET", key, "AT", sequence)
        except Gone:
            if not self.client.has_let_go(sequence):
                raise
            value = None
        if changes or value is not None:
            raise Violation(f"{key!r} was forgotten up to {sequence}, and had {changes!r:.300}")
        self.done["forgotten"] += 1
        self.stop.wait(self.rng.uniform(0.1, 1.5))


class Archivist(Worker):
    """Takes backups, and restores the store as it was at a moment: from them, or from the directory itself."""

    def __init__(self, chronicles: list[Chronicle], *given: Any) -> None:
        super().__init__(*given)
        self.chronicles = chronicles

    def work(self) -> None:
        chronicle = self.rng.choice(self.chronicles)
        if not chronicle.records:
            time.sleep(0.01)
            return
        record = self.rng.choice(chronicle.records[-20:])
        source, into = self.server.directory, self.server.directory.with_name("restored")
        if self.rng.random() < 0.7:
            source = self.server.directory.with_name("backup")
            done = command_line("backup", source, "--dir", self.server.directory, "--keep", "3")
            if done.status:
                raise Violation(f"backup: {done}")
        done = command_line("restore", "--from", source, "--into", into, "--to-sequence", str(record.sequence))
        try:
            if done.status:
                if not self.client.has_let_go(record.sequence):
                    raise Violation(f"restoring {record.sequence}: {done}")
                return
            self._compare(chronicle, record, into)
            self.done["restored"] += 1
        finally:
            shutil.rmtree(into, ignore_errors=True)

    def _compare(self, chronicle: Chronicle, record: Record, into: Path) -> None:
        for database in chronicle.databases:
            with keystead.open(into, keys="bytes", db=database) as store:
                found = {(database, key): value for key, value in store.items() if not key.startswith(b"x")}
            seen = {place: value for place, (value, _) in lasting(record.state).items() if place[0] == database}
            if found != seen:
                raise Violation(f"restored to {record.sequence} {_short(seen)} is {_short(found)}")


class PastLoop:
    """One run."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self._directory, self._seed = directory, seed
        self._chronicles = [Chronicle((1 + 2 * number, 2 + 2 * number)) for number in range(EDITORS)]

    def run(self, cycles: int, report: Callable[[str], None] | None = None) -> Counter[str]:
        """Raises Violation, or TooLittleWork at the end."""
        for cycle in range(cycles):
            self._cycle(cycle, random.Random(f"{self._seed}:{cycle}"))
            if report:
                report(f"{cycle + 1} kills; {dict(sorted(self.done.items()))}")
        enough = min(self.done["changes"], self.done["histories"], self.done["pages"]) >= cycles * ENOUGH
        if not enough or self.done["checkpoints"] < cycles // CYCLES_A_CHECKPOINT:
            raise TooLittleWork(f"void: {self.done}")
        return self.done

    def _cycle(self, cycle: int, rng: random.Random) -> None:
        bounds = ("--history-max-bytes", rng.choice(("1mb", "8mb", "1gb")))
        server = start_keystead(self._directory, *SMALL, *bounds)
        try:
            wrong = self._load(server, rng)
        finally:
            server.kill()
        if wrong:
            where = f"seed {self._seed}, cycle {cycle}, directory {self._directory}"
            raise Violation("\n  ".join([where, *wrong]))

    def _load(self, server: Server, rng: random.Random) -> list[str]:
        def given() -> tuple[Server, random.Random, Counter[str]]:
            return server, random.Random(rng.random()), self.done

        workers: list[Worker] = [
            *(Editor(chronicle, *given()) for chronicle in self._chronicles),
            *(Asker(self._chronicles, *given()) for _ in range(2)),
            Filler(*given()),
            Forgetter(*given()),
            Archivist(self._chronicles, *given()),
        ]
        for worker in workers:
            worker.start()
        seconds = rng.uniform(*LOAD_SECONDS) * rng.choice((1, 1, 4))  # in the longer ones a key is forgotten
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not any(worker.wrong for worker in workers):
            time.sleep(0.02)
        for worker in workers:
            worker.stop.set()
        if rng.random() < 0.3:
            time.sleep(0.2)  # some come to an end by themselves
        server.kill()
        for worker in workers:
            worker.join()
        return [worker.wrong for worker in workers if worker.wrong]


def _is_lasting(transaction: dict[str, Any]) -> bool:
    """Whether it did more than let keys expire that are about to."""
    operations = transaction["operations"]
    return any(each["key"] is None or not each["key"].startswith(b"x") for each in operations)


def _short(state: dict[Any, Any]) -> str:
    return repr({place: repr(entry)[:24] for place, entry in sorted(state.items())})


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="past_loop", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--dir", type=Path, help="keep the data here (default: a temporary directory)")
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        loop = PastLoop(options.dir or Path(scratch) / "data", options.seed)
        try:
            print(loop.run(options.cycles, lambda line: print(line, flush=True)))
        except (Violation, TooLittleWork) as wrong:
            print(f"{type(wrong).__name__}: {wrong}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
