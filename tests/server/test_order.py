"""Any order of events: clients that write, read, wait, stop reading and close, syncs in place and elsewhere.

Whatever happens, each client gets the replies to its commands in order, each once, all in the end; and none that
depends on a turn before that turn is durable.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import hiredis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from stage import Client, Stage

from keystead import resp
from keystead.execution.promise import Promise
from keystead.execution.session import Session

CLIENTS = 3
KINDS = ("WRITE", "PLAIN", "LATEST", "NOTHING", "BIG", "LATER")
chosen_clients = st.integers(0, CLIENTS - 1)
kinds = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from((1, 1, 2, 70, 300))), min_size=1, max_size=5)


class Events(RuleBasedStateMachine):
    """Every command's reply is its number, so that replies show which commands they belong to."""

    @initialize()
    def open(self) -> None:
        self.directory = tempfile.mkdtemp()
        self.stage = Stage(Path(self.directory) / "data", helper=True)
        self.clients = [Client(self.stage) for _ in range(CLIENTS)]
        self.sent = [0] * CLIENTS
        self.got = [0] * CLIENTS
        self.readers = [hiredis.Reader() for _ in range(CLIENTS)]
        self.closed_side = [False] * CLIENTS
        self.turn_of: dict[int, int] = {}  # number of a command: the turn that its reply depends on
        self.promised: list[tuple[Promise, int]] = []
        self.synced = 0
        self.stage.executor.tables.normal.update({kind.encode(): self.execute for kind in KINDS})

    def execute(self, session: Session, args: list[bytes]) -> bytes | Promise:
        kind, number = args[0], int(args[1])
        engine, keyspace = self.stage.engine, session.db.keyspace
        if kind == b"WRITE":
            session.must_wait = True
            keyspace.put(b"key%d" % (number % 5), args[1])
        elif kind == b"PLAIN":
            keyspace.read(b"key%d" % (number % 5), session)
        elif kind == b"LATEST":
            session.must_wait = True
        elif kind == b"LATER":
            promise = Promise()
            self.promised.append((promise, number))
            return promise
        if session.must_wait:
            self.turn_of[number] = engine.open_turn if engine.ops else engine.open_turn - 1
        return resp.bulk(args[1] + b" " * 70_000) if kind == b"BIG" else resp.integer(number)

    @rule(chosen=chosen_clients, what=kinds)
    def send(self, chosen: int, what: list[tuple[str, int]]) -> None:
        client = self.clients[chosen]
        if not client.pipe.reading or self.closed_side[chosen]:
            return
        data = b""
        for kind, count in what:
            for _ in range(1 if kind in ("BIG", "LATER") else count):
                data += b"%b %d\r\n" % (kind.encode(), chosen * 1_000_000 + self.sent[chosen])
                self.sent[chosen] += 1
        assert len(data) < 32_000
        client.sends(data[:16384])
        if len(data) > 16384:
            self.unsent_rest(client, data[16384:])

    def unsent_rest(self, client: Client, data: bytes) -> None:
        """What did not fit into one read arrives as soon as the connection reads again."""
        self.until(lambda: client.pipe.reading)
        client.sends(data)

    @rule()
    def loop_runs(self) -> None:
        self.stage.loop.run()

    @rule(seconds=st.sampled_from((0.0001, 0.02, 1.0)))
    def time_passes(self, seconds: float) -> None:
        self.stage.now_s += seconds

    @precondition(lambda self: len(self.stage.helper.requests) > self.synced)
    @rule()
    def helper_answers(self) -> None:
        self.synced += 1
        self.stage.turns.synced(0.0001)

    @precondition(lambda self: self.promised)
    @rule()
    def promise_is_kept(self) -> None:
        promise, number = self.promised.pop(0)
        promise.resolve(resp.integer(number))

    @rule(chosen=chosen_clients)
    def client_stops_reading(self, chosen: int) -> None:
        self.clients[chosen].pipe.room = 0

    @rule(chosen=chosen_clients)
    def client_reads_on(self, chosen: int) -> None:
        self.clients[chosen].pipe.take()

    @rule(chosen=chosen_clients)
    def client_closes_its_side(self, chosen: int) -> None:
        if not self.closed_side[chosen] and self.sent[chosen] > 300:
            self.closed_side[chosen] = True
            self.clients[chosen].connection.eof_received()

    @invariant()
    def replies_are_in_order_and_not_early(self) -> None:
        if not hasattr(self, "stage"):
            return
        for chosen, client in enumerate(self.clients):
            self.readers[chosen].feed(client.pipe.replies())
            while (reply := self.readers[chosen].gets()) is not False:
                number = int(reply)
                assert number == chosen * 1_000_000 + self.got[chosen]
                self.got[chosen] += 1
                assert self.turn_of.get(number, 0) <= self.stage.engine.durable_turn

    def until(self, done: object) -> None:
        """Let everything happen that can, until *done*."""
        assert callable(done)
        for _ in range(2000):
            for client in self.clients:
                client.pipe.take()
            self.stage.loop.run()
            if len(self.stage.helper.requests) > self.synced:
                self.helper_answers()
            if self.promised:
                self.promise_is_kept()
            self.replies_are_in_order_and_not_early()
            if done():
                return
        raise AssertionError("something hangs")

    def teardown(self) -> None:
        if not hasattr(self, "stage"):
            return
        try:
            self.until(lambda: self.got == self.sent and len(self.stage.helper.requests) == self.synced)
            self.stage.loop.run()
            for chosen, client in enumerate(self.clients):
                assert client.pipe.closed is self.closed_side[chosen]
                assert client.connection.unread_bytes() == 0
                assert client.pipe.reading or client.pipe.closed
        finally:
            self.stage.engine.close()
            shutil.rmtree(self.directory)


TestEvents = Events.TestCase
TestEvents.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
