"""What an editor saw after each of its changes, and whether answers about the past agree with it.

An editor alone changes the keys of two databases, so what it sees after a change is how they were at every moment from
that change to the next. Keys named `x…` have expiries of a moment: they may go between two looks, so for them an answer
is right that has the key until its time was up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wire import Reply

KEYS = [b"a", b"b\x00\xff", b"c\r\n", b"d", b"e", b"x1", b"x2"]

Entry = tuple[bytes, int]  # a value, and when it expires in milliseconds; 0 is never
State = dict[tuple[int, bytes], Entry]
Told = dict[str, Any]


def told(reply: Reply) -> Any:
    """A reply of RESP3 as Python has it: maps as dictionaries with text for keys."""
    if reply.kind == "%":
        parts = [told(part) for part in reply.value]
        return {name.decode(): value for name, value in zip(parts[::2], parts[1::2], strict=True)}
    if reply.kind in "*~" and reply.value is not None:
        return [told(part) for part in reply.value]
    assert reply.kind != "-", reply
    return reply.value


@dataclass(frozen=True)
class Record:
    """One look: how all keys were after transaction `sequence`, until the next change."""

    sequence: int
    time_ms: int
    state: State
    looked_ms: int  # when the look was over

    def agrees(self, place: tuple[int, bytes], found: Entry | None) -> bool:
        """Whether the key may have been that at this moment."""
        seen = self.state.get(place)
        if seen is None and found is not None and found[1]:
            return self.time_ms < found[1] <= self.looked_ms  # its time was up between the moment and the look
        return seen == found


def lasting(state: State) -> State:
    """Without the keys that are about to expire."""
    return {place: entry for place, entry in state.items() if not place[1].startswith(b"x")}


@dataclass
class Chronicle:
    """All looks of one editor, oldest first."""

    databases: tuple[int, int]
    records: list[Record] = field(default_factory=list)

    def places(self) -> list[tuple[int, bytes]]:
        """Where its keys are."""
        return [(database, key) for database in self.databases for key in KEYS]

    def wrong_page(self, record: Record, database: int, answer: Told) -> str | None:
        """What is wrong with `KS.KEYS AT record VALUES`."""
        found = {(database, key): (value, expires_at_ms or 0) for key, value, expires_at_ms in answer["keys"]}
        if (answer["sequence"], answer["time-ms"]) != (record.sequence, record.time_ms):
            return f"the moment {record.sequence} of {record.time_ms} is told as {answer}"
        for place in sorted({(database, key) for key in KEYS} | found.keys()):
            if not record.agrees(place, found.get(place)):
                return (
                    f"at {record.sequence} {place} was {record.state.get(place)!r:.80}, and is told as "
                    f"{found.get(place)!r:.80}"
                )
        return None

    def wrong_difference(self, earlier: Record, later: Record, database: int, answer: Told) -> str | None:
        """What is wrong with `KS.DIFF`."""
        found = {
            each["key"]: (
                None if each["before"] is None else (each["before"], each["before-expires-at-ms"] or 0),
                None if each["after"] is None else (each["after"], each["after-expires-at-ms"] or 0),
            )
            for each in answer["changes"]
            if not each["key"].startswith(b"x")
        }
        expected = {}
        for key in KEYS:
            pair = lasting(earlier.state).get((database, key)), lasting(later.state).get((database, key))
            if pair[0] != pair[1]:
                expected[key] = pair
        if found != expected:
            return (
                f"from {earlier.sequence} to {later.sequence} in {database} {expected!r:.200} is told as {found!r:.200}"
            )
        return None

    def wrong_history(self, place: tuple[int, bytes], changes: list[Told], floor: int) -> str | None:
        """What is wrong with all of `KS.HISTORY`, newest first: what it says of each moment that was looked at."""
        numbers = [change["sequence"] for change in changes if change["sequence"] is not None]
        if numbers != sorted(set(numbers), reverse=True):
            return f"the changes of {place} are in no order: {numbers}"
        for record in self.records:
            if record.sequence < floor:
                continue
            latest = next((change for change in changes if _is_by(change, record)), None)
            if latest is None and floor:
                continue  # it was changed last before what is kept
            found = None
            if latest is not None and latest["value"] is not None:
                found = latest["value"], latest["expires-at-ms"] or 0
            if not record.agrees(place, found):
                return (
                    f"at {record.sequence} {place} was {record.state.get(place)!r:.80}, and its history says "
                    f"{found!r:.80} by {latest!r:.200}"
                )
        return None

    def wrong_bin(self, database: int, items: list[Told], floor: int) -> str | None:
        """What is wrong with all of `KS.DELETED`, asked behind the last look."""
        now = self.records[-1]
        found = {item["key"]: (item["value"], item["expires-at-ms"] or 0) for item in items}
        if len(found) != len(items):
            return f"in {database} keys are told twice as removed: {[item['key'] for item in items]}"
        expected: dict[bytes, Entry] = {}
        for record in self.records:
            if record.sequence >= floor:
                expected |= {key: entry for (number, key), entry in record.state.items() if number == database}
        for key in KEYS:
            if key.startswith(b"x"):
                continue
            if (database, key) in now.state:
                if key in found:
                    return f"{key!r} of {database} is there, and is told as removed"
            elif key in expected and found.get(key) != expected[key]:
                return f"{key!r} of {database} had {expected[key]!r:.80}, and is told as {found.get(key)!r:.80}"
        return None


def _is_by(change: Told, record: Record) -> bool:
    if change["operation"] == b"expired":  # it took effect at that time, whenever it was logged
        return bool(change["time-ms"] <= record.time_ms)
    return bool(change["sequence"] <= record.sequence)


def after_undo(before: State, after: State, now: State, how: bytes) -> State | None:
    """The state after undoing a change that made *after* of *before*; None: it is refused."""
    undone = dict(now)
    conflicts = False
    for place in before.keys() | after.keys():
        was, expected, found = before.get(place), after.get(place), now.get(place)
        if was == expected or found == was:
            continue
        if found != expected and how != b"FORCE":
            conflicts = True
            continue
        undone.pop(place, None)
        if was is not None:
            undone[place] = was
    return None if conflicts and how == b"REFUSE" else undone
