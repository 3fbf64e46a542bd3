"""What followers of the change feed assemble from events is the store, wherever they begin and however they are told.

The two ways that events go, live from the turns that became durable and by reading the log, must tell the same.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keystead.engine import turns
from keystead.engine.background import InlineBackground
from keystead.engine.engine import Engine, Options
from keystead.engine.history.transactions import FIRST_DATABASES, Transaction
from keystead.engine.keyspace import apply_patch
from keystead.engine.operations import SYSTEM, Bind, Delete, Put
from keystead.engine.tail import CommittedTurn, transactions_of
from keystead.execution.change_events import EVERYTHING, Filter, encoded, events_of
from keystead.execution.change_reader import Request, records

KEYS = [b"", b"a", b"ab", b"\xff\0"]
DATABASES = 3
Assembled = list[dict[bytes, tuple[bytes, int]]]

numbers = st.integers(0, DATABASES - 1)
keys = st.sampled_from(KEYS)
values = st.one_of(st.binary(max_size=5), st.just(bytes(300)))  # the large ones travel in parts
changes = st.one_of(
    st.tuples(st.just("put"), numbers, keys, values, st.sampled_from([0, 9_000_000_000_000])),
    st.tuples(st.just("delete"), numbers, keys),
    st.tuples(st.just("patch"), numbers, keys, st.integers(0, 5), st.binary(min_size=1, max_size=3)),
    st.tuples(st.just("expire"), numbers, keys, st.sampled_from([0, 9_000_000_000_000])),
    st.tuples(st.just("flush"), numbers),
    st.tuples(st.just("swap"), numbers, numbers),
    st.tuples(st.just("system"), keys),
    st.tuples(st.just("checkpoint")),
    st.tuples(st.just("restart")),
)
turns_of_changes = st.lists(st.tuples(st.booleans(), st.lists(changes, max_size=5)), max_size=10)
"""Turns, each with whether it is one transaction."""


@pytest.fixture(scope="module", autouse=True)
def _small_parts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(turns, "SPLIT_BYTES", 200)
        patched.setattr(turns, "PART_BYTES", 64)
        patched.setattr(turns, "LARGE_TRANSACTION_BYTES", 100)
        yield


class Life:
    """A store that changes, stops and starts, and what a follower of all of that was handed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.turns: list[CommittedTurn] = []
        self.engine = self.opened()

    def opened(self) -> Engine:
        engine = Engine(self.path, Options(segment_bytes=2000, reserve_bytes=256), background=InlineBackground())
        for _ in engine.load():
            pass
        engine.follow(self.turns.extend)
        return engine

    def change(self, change: tuple[Any, ...]) -> None:
        if change[0] == "checkpoint":
            self.engine.request_checkpoint()
        elif change[0] != "restart":
            apply(self.engine, change)

    def turn(self, changes: list[tuple[Any, ...]], *, as_one: bool) -> None:
        start = len(self.engine.ops)
        for change in changes:
            self.change(change)
        if as_one:
            self.engine.end_group(start)
        self.engine.end_turn()
        self.engine.sync()
        self.engine.housekeep(1)
        self.engine.end_turn()
        self.engine.sync()
        if ("restart",) in changes:
            self.engine.close()
            self.engine = self.opened()

    def content(self) -> Assembled:
        return [
            {
                key: (bytes(value), database.keyspace.expires_at_ms(key))
                for shard in database.keyspace.shards
                for key, value in shard.items()
            }
            for database in self.engine.databases
        ]

    def live_events(self) -> list[bytes]:
        """As whoever followed all the time was sent them."""
        history = self.engine.history_id.encode()
        return [
            encoded(history, transaction, event, "text")
            for turn in self.turns
            for transaction in transactions_of(turn)
            for event in events_of(transaction)
            if EVERYTHING.passes(event)
        ]

    def past_events(self, sequence: int = 1, place: int = 0, *, by_key: bool = False) -> bytes:
        """As whoever comes now and begins there is sent them."""
        until = self.engine.log.next_sequence
        request = Request(self.path, sequence, place, until, None, b"", "text", by_key)
        return b"".join(record.data for record in records(request))


def assembled(events: list[bytes]) -> Assembled:
    """What a follower that applies each event has in the end."""
    store: Assembled = [{} for _ in FIRST_DATABASES]
    for event in events:
        data = json.loads(event.partition(b"data: ")[2])
        shown = store[data["db"]]
        operation, key = data["operation"], text_of(data, "key")
        value, expires_at_ms = shown.get(key, (b"", 0))
        if operation == "put":
            shown[key] = text_of(data, "value"), data.get("expires_at_ms", 0)
        elif operation == "expire":
            shown[key] = value, data.get("expires_at_ms", 0)
        elif operation == "patch":
            patched = bytearray(value)
            apply_patch(patched, data.get("offset", 0), text_of(data, "value"))
            shown[key] = bytes(patched), expires_at_ms
        elif operation in ("delete", "expired"):
            del shown[key]
        elif operation == "flush":
            shown.clear()
        else:
            other = data["swapped_with"]
            store[data["db"]], store[other] = store[other], shown
    return store


def text_of(data: dict[str, Any], member: str) -> bytes:
    encoded_ = data.get(member + "_base64url")
    if encoded_ is not None:
        return base64.urlsafe_b64decode(encoded_ + "==")
    text: str = data.get(member, "")
    return text.encode()


@given(turns_of_changes)
@settings(deadline=None)
def test_what_a_follower_assembles_is_the_store(drawn: list[tuple[bool, list[tuple[Any, ...]]]]) -> None:
    with tempfile.TemporaryDirectory() as path:
        life = Life(path)
        for as_one, changes_ in drawn:
            life.turn(changes_, as_one=as_one)
        events = life.live_events()
        assert assembled(events) == life.content()
        assert life.past_events() == b"".join(events), "by the log as live"
        assert life.past_events(by_key=True) == b"".join(events)
        ids = [tuple(map(int, event.split(b"\n")[0].split(b".")[1:])) for event in events]
        assert ids == sorted(set(ids))
        for index in range(0, len(ids), 1 + len(ids) // 5):
            assert life.past_events(*ids[index]) == b"".join(events[index + 1 :]), "from any event on"
        life.engine.close()


def transaction_of(*operations: Any, databases: tuple[int, ...] = FIRST_DATABASES) -> Transaction:
    return Transaction(7, 1_700_000_000_000, SYSTEM, databases, list(operations))


def test_a_swap_is_one_event_and_its_place_the_first_of_two() -> None:
    told = list(events_of(transaction_of(Bind(0, 1), Bind(1, 0), Put(0, b"k", b""))))
    assert [(event.place, event.name, event.db, event.other_db) for event in told] == [
        (1, "swap", 0, 1),
        (3, "put", 1, None),
    ]


def test_what_no_database_shows_is_not_told() -> None:
    assert list(events_of(transaction_of(Put(99, b"k", b""), Delete(98, b"k")))) == []


def test_a_flush_passes_every_prefix_and_a_swap_both_databases() -> None:
    swap, flush = (next(events_of(transaction_of(*binds))) for binds in ([Bind(0, 1), Bind(1, 0)], [Bind(1, 20)]))
    assert Filter(db=1, prefix=b"a").passes(swap)
    assert Filter(db=0, prefix=b"a").passes(swap)
    assert not Filter(db=2).passes(swap)
    assert Filter(db=1, prefix=b"a").passes(flush)
    assert not Filter(db=0).passes(flush)


def test_a_long_event_comes_in_pieces_that_a_follower_cannot_tell(tmp_path: Any) -> None:
    life = Life(str(tmp_path))
    life.turn([("put", 0, b"k", bytes(200_000), 0)], as_one=False)
    request = Request(life.path, 1, 0, 2, None, b"", "base64url", by_key=False)
    pieces = [piece for record in records(request) for piece in record.pieces()]
    assert len(pieces) > 3
    assert [piece.goes_on for piece in pieces[:-2]] == [True] * (len(pieces) - 2)
    data = b"".join(piece.data for piece in pieces)
    assert json.loads(data.partition(b"data: ")[2])["value_base64url"] == base64.urlsafe_b64encode(
        bytes(200_000)
    ).decode().rstrip("=")
    life.engine.close()


def apply(engine: Engine, change: tuple[Any, ...]) -> None:
    name, *arguments = change
    if name == "system":
        engine.system.keyspace.put(arguments[0], b"")
    elif name == "flush":
        engine.flush(engine.databases[arguments[0]])
    elif name == "swap":
        engine.swap(engine.databases[arguments[0]], engine.databases[arguments[1]])
    else:
        keyspace = engine.databases[arguments[0]].keyspace
        key = arguments[1]
        if name == "put":
            keyspace.put(key, arguments[2], arguments[3])
        elif keyspace.get(key) is None:
            return
        elif name == "delete":
            keyspace.delete(key)
        elif name == "patch":
            keyspace.patch(key, arguments[2], arguments[3])
        else:
            keyspace.set_expiry(key, arguments[2])
