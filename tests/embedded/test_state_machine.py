"""A store against a plain dictionary, whatever the order of calls, restarts and crashes."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import keystead

KEYS = st.sampled_from(["", "a", "b", "user:1", "user:2", "user:10", "z", "ключ"])
VALUES = st.one_of(st.binary(max_size=8), st.sampled_from([b"1", b"-7"]), st.just(70_000).map(bytes))
PAIRS = st.dictionaries(KEYS, VALUES, max_size=4)
FSYNC = st.sampled_from(["always", "always", "interval", "never"])


def outcome(action: Any) -> Any:
    """What a call returned, or the type of what it raised."""
    try:
        return action()
    except (KeyError, keystead.ValueRefused) as error:
        return type(error)


def add(mapping: dict[str, bytes], key: str, by: int) -> int:
    text = mapping.get(key, b"0")
    if not text.removeprefix(b"-").isdigit():
        raise keystead.ValueRefused
    mapping[key] = b"%d" % (int(text) + by)
    return int(text) + by


class Undone(Exception):
    """Ends a transaction without its changes."""


class StoreAgainstDictionary(RuleBasedStateMachine):
    """`crash` lets the engine go without closing it, as the death of the process does."""

    def __init__(self) -> None:
        super().__init__()
        self.path = Path(tempfile.mkdtemp(prefix="keystead-"))
        self.model: dict[str, bytes] = {}
        self.db: Any = None

    @initialize(fsync=FSYNC)
    def begin(self, fsync: str) -> None:
        self.db = keystead.open(self.path, fsync=fsync)

    @rule(fsync=FSYNC)
    def restart(self, fsync: str) -> None:
        self.db.close()
        self.db = keystead.open(self.path, fsync=fsync)

    @rule(fsync=FSYNC)
    def crash(self, fsync: str) -> None:
        shared = self.db._shared
        shared.keeper.stop()
        engine = shared.engine
        shared.abandon(keystead.StoreClosed, "crashed")
        engine.maintenance.stop()
        self.db = keystead.open(self.path, fsync=fsync)

    @rule(key=KEYS, value=VALUES)
    def set(self, key: str, value: bytes) -> None:
        self.db[key] = value
        self.model[key] = value

    @rule(key=KEYS, value=VALUES)
    def set_for_long(self, key: str, value: bytes) -> None:
        assert self.db.set(key, value, ttl=10_000)
        self.model[key] = value

    @rule(key=KEYS, value=VALUES)
    def set_for_no_time(self, key: str, value: bytes) -> None:
        assert self.db.set(key, value, expires_at=1)
        self.model.pop(key, None)

    @rule(key=KEYS, value=VALUES)
    def set_if_absent(self, key: str, value: bytes) -> None:
        assert self.db.set(key, value, only_if_absent=True) == (key not in self.model)
        self.model.setdefault(key, value)

    @rule(key=KEYS, expected=st.none() | VALUES, value=VALUES)
    def compare_and_set(self, key: str, expected: bytes | None, value: bytes) -> None:
        same = self.model.get(key) == expected
        assert self.db.compare_and_set(key, expected, value) == same
        if same:
            self.model[key] = value

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        assert outcome(lambda: self.db.__delitem__(key)) == outcome(lambda: self.model.__delitem__(key))

    @rule(pairs=PAIRS)
    def update(self, pairs: dict[str, bytes]) -> None:
        self.db.update(pairs)
        self.model.update(pairs)

    @rule(key=KEYS)
    def pop(self, key: str) -> None:
        assert outcome(lambda: self.db.pop(key)) == outcome(lambda: self.model.pop(key))

    @rule()
    def popitem(self) -> None:
        found = outcome(self.db.popitem)
        if found is KeyError:
            assert self.model == {}
        else:
            assert self.model.pop(found[0]) == found[1]

    @rule(key=KEYS, value=VALUES)
    def setdefault(self, key: str, value: bytes) -> None:
        assert self.db.setdefault(key, value) == self.model.setdefault(key, value)

    @rule(key=KEYS, by=st.integers(-5, 5))
    def increment(self, key: str, by: int) -> None:
        assert outcome(lambda: self.db.increment(key, by)) == outcome(lambda: add(self.model, key, by))

    @rule()
    def clear(self) -> None:
        self.db.clear()
        self.model.clear()

    @rule(pairs=PAIRS, deleted=st.lists(KEYS, max_size=3), clears=st.booleans(), undone=st.booleans(), key=KEYS)
    def transaction(self, pairs: dict[str, bytes], deleted: list[str], clears: bool, undone: bool, key: str) -> None:
        inside = dict(self.model)
        try:
            with self.db.transaction() as tx:
                if clears:
                    tx.clear()
                    inside.clear()
                tx.update(pairs)
                inside.update(pairs)
                for name in deleted:
                    assert tx.pop(name, None) == inside.pop(name, None)
                assert outcome(lambda: tx.increment(key)) == outcome(lambda: add(inside, key, 1))
                assert dict(tx) == inside
                assert list(tx.items(prefix="user:")) == ordered(inside, "user:")
                assert dict(self.db) == self.model
                if undone:
                    raise Undone
        except Undone:
            return
        self.model = inside

    @precondition(lambda self: self.db is not None)
    @invariant()
    def same(self) -> None:
        assert dict(self.db.items()) == self.model
        assert len(self.db) == len(self.model)
        for key in ("a", "user:1", ""):
            assert self.db.get(key) == self.model.get(key)
            assert (key in self.db) == (key in self.model)

    @rule(prefix=st.sampled_from(["", "user:", "a", "nobody"]))
    def in_order(self, prefix: str) -> None:
        assert list(self.db.items(prefix=prefix)) == ordered(self.model, prefix)
        assert len(self.db.keys(prefix=prefix)) == len(ordered(self.model, prefix))

    def teardown(self) -> None:
        if self.db is not None:
            self.db.close()
        shutil.rmtree(self.path)


def ordered(mapping: dict[str, bytes], prefix: str) -> list[tuple[str, bytes]]:
    return sorted((pair for pair in mapping.items() if pair[0].startswith(prefix)), key=lambda pair: pair[0].encode())


TestStoreAgainstDictionary = StoreAgainstDictionary.TestCase
TestStoreAgainstDictionary.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestStoreAgainstDictionary = pytest.mark.timeout(300)(TestStoreAgainstDictionary)
