"""Comparing all keys of a source and a target, while the source may be written to: counts, digests, then key by key.

Owns: what is compared, in which order. Must not know: who applies changes meanwhile. Both sides are read once into sums
of 65,536 groups of keys, which take little memory and do not depend on the order; then the groups that differ are read
again key by key; then each key that differs is looked at on both sides until it is the same, or differs while the
source stands still.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, cast

import msgspec
from xxhash import xxh3_64_intdigest, xxh3_128_intdigest

from keystead.engine.clock import wall_clock_ms
from keystead.migration.server_keys import LOOK_KEYS, sliced
from keystead.migration.source import STRING, Record, Source
from keystead.migration.target import Target

GROUPS = 1 << 16
GROUP_SHIFT = 64 - 16
STEP_MASK = 0x1FF
"""About so many keys are read between two steps."""
DUMP_TRAILER_BYTES = 10
"""Version and checksum of a DUMP: the same value has others on servers of other versions."""
ROUNDS = 12
"""So often a key that differs is looked at before it counts as one that never stands still."""
AGREED_ROUNDS = 3
"""So often in a row it must differ in the same way: a change may be on its way to us when we look."""
ROUND_S = 0.2
_MASK = (1 << 128) - 1
_encode = msgspec.msgpack.Encoder().encode


class Difference(NamedTuple):
    """A key that is not the same."""

    key: bytes
    in_source: Record | None
    in_target: Record | None

    def describe(self) -> str:
        """What is not the same."""
        if self.in_target is None:
            return "missing in the target"
        if self.in_source is None:
            return "only in the target"
        if self.in_source.kind != self.in_target.kind:
            return f"a {self.in_target.kind} instead of a {self.in_source.kind}"
        if self.in_source.value != self.in_target.value:
            return "another value"
        return f"expires at {self.in_target.expires_at_ms} instead of {self.in_source.expires_at_ms}"


class Verdict(NamedTuple):
    """What was found."""

    keys: int
    """In the source; those in the target are as many when nothing differs."""
    digest: str
    """Of keys, values, types and expiries, 32 hex digits, when both sides were read as the same; else ""."""
    differences: list[Difference]
    unsettled: set[bytes]
    """Keys that changed whenever they were looked at."""


class Contents(Protocol):
    """Who can tell what is in a key of another type than string."""

    def contents(self, key: bytes, kind: str) -> Any: ...


class Sums:
    """Number and sum of the keys of each group."""

    def __init__(self) -> None:
        self.counts = array("q", bytes(8 * GROUPS))
        self._sums = [0] * GROUPS

    def add(self, record: Record) -> None:
        """Count a key."""
        group = group_of(record.key)
        self.counts[group] += 1
        self._sums[group] += fingerprint(record)

    def differing(self, other: Sums) -> set[int]:
        """The groups that are not the same."""
        both = zip(self._sums, other._sums, self.counts, other.counts, strict=True)
        return {group for group, (a, b, c, d) in enumerate(both) if c != d or (a - b) & _MASK}

    def digest(self) -> str:
        """Of everything."""
        return f"{sum(self._sums) & _MASK:032x}"


def group_of(key: bytes) -> int:
    """The group that a key is in."""
    return xxh3_64_intdigest(key) >> GROUP_SHIFT


def fingerprint(record: Record) -> int:
    """128 bits of all that makes a key what it is."""
    return xxh3_128_intdigest(_encode((record.key, record.kind, body(record), record.expires_at_ms)))


def body(record: Record) -> bytes:
    """The value, as far as it is compared."""
    return record.value if record.kind == STRING else record.value[:-DUMP_TRAILER_BYTES]


class Verification:
    """One comparison of one database."""

    def __init__(
        self,
        source: Source,
        target: Target,
        catch_up: Callable[[], None],
        *,
        others_in_target: bool = False,
        repair: Callable[[Sequence[bytes]], None] | None = None,
        now_ms: Callable[[], int] = wall_clock_ms,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """*catch_up* returns when the target has all that the source had acknowledged when it was called.
        *others_in_target*: keys that only the target has are nobody's business. *repair*: makes keys in the target what
        they are in the source, before it is found out which of them still differ."""
        self._source = source
        self._target = target
        self._catch_up = catch_up
        self._others_in_target = others_in_target
        self._repair = repair
        self._now_ms = now_ms
        self._sleep = sleep
        self.done = 0
        """Keys that were read, of both sides."""
        self.verdict = Verdict(0, "", [], set())

    def run(self) -> Iterator[None]:
        """Compare, in steps; then `verdict` is there."""
        of_source, of_target = Sums(), Sums()
        for record in self._source_keys():
            of_source.add(record)
            if not self.done & STEP_MASK:
                yield
        for record in self._target_keys():
            of_target.add(record)
            if not self.done & STEP_MASK:
                yield
        groups = of_source.differing(of_target)
        if self._others_in_target:
            groups = {group for group in groups if of_source.counts[group]}
        suspects: list[bytes] = []
        if groups:
            suspects = sorted((yield from self._suspects(groups)))
        if self._repair is not None:
            for some in sliced(suspects, LOOK_KEYS):
                self._repair(some)
                yield
        differences, unsettled = yield from self.settle(suspects)
        digest = "" if groups else of_source.digest()
        self.verdict = Verdict(sum(of_source.counts), digest, differences, unsettled)

    def _source_keys(self) -> Iterator[Record]:
        return self._alive(self._source.scan())

    def _target_keys(self) -> Iterator[Record]:
        return self._alive(self._target.scan())

    def _alive(self, pages: Iterator[list[Record]]) -> Iterator[Record]:
        for page in pages:
            now_ms = self._now_ms()
            for record in page:
                self.done += 1
                if not 0 < record.expires_at_ms <= now_ms:
                    yield record

    def _suspects(self, groups: set[int]) -> Generator[None, None, set[bytes]]:
        """The keys in these groups that were not read in the same state from both sides."""
        read: list[dict[bytes, int]] = []
        for keys in (self._source_keys(), self._target_keys()):
            found: dict[bytes, int] = {}
            for record in keys:
                if group_of(record.key) in groups:
                    found[record.key] = fingerprint(record)
                if not self.done & STEP_MASK:
                    yield
            read.append(found)
        of_source, of_target = read
        differing = {key for key, seen in of_source.items() if of_target.get(key) != seen}
        return differing if self._others_in_target else differing | (of_target.keys() - of_source.keys())

    def settle(self, keys: Sequence[bytes]) -> Generator[None, None, tuple[list[Difference], set[bytes]]]:
        """Which of these keys differ, and which never stood still."""
        waiting = list(keys)
        seen: dict[bytes, tuple[Difference, int]] = {}
        differences: list[Difference] = []
        for last in (i == ROUNDS - 1 for i in range(ROUNDS)):
            again: list[bytes] = []
            for some in sliced(waiting, LOOK_KEYS):
                for difference, stands_still in self._compare(some):
                    before, rounds = seen.get(difference.key, (difference, 0))
                    rounds = rounds + 1 if stands_still and before == difference else 0
                    seen[difference.key] = difference, rounds
                    if rounds >= AGREED_ROUNDS:
                        differences.append(difference)
                    else:
                        again.append(difference.key)
                yield
            waiting = again
            if not waiting or last:
                break
            self._sleep(ROUND_S)
        return differences, set(waiting)

    def _compare(self, keys: Sequence[bytes]) -> Iterator[tuple[Difference, bool]]:
        """Those that differ when the target has caught up, and whether the source stood still meanwhile."""
        keys = [key for key, source, target in self._looked_at(keys) if self._matters(source, target)]
        if not keys:
            return
        before = self._source.look(keys)
        self._catch_up()
        for was, (key, source, target) in zip(before, self._looked_at(keys), strict=True):
            if self._matters(source, target):
                yield Difference(key, source, target), was == source

    def _looked_at(self, keys: Sequence[bytes]) -> Iterator[tuple[bytes, Record | None, Record | None]]:
        """Each key as it is in the target, and in the source behind that; None: it is not there, or its time is up."""
        in_target = self._target.look(keys)
        in_source = self._source.look(keys)
        now_ms = self._now_ms()
        for key, *sides in zip(keys, in_source, in_target, strict=True):
            source, target = (None if side and 0 < side.expires_at_ms <= now_ms else side for side in sides)
            yield key, source, target

    def _matters(self, source: Record | None, target: Record | None) -> bool:
        return not self._same(source, target) and not (self._others_in_target and source is None)

    def _same(self, one: Record | None, other: Record | None) -> bool:
        if one is None or other is None or one.kind == STRING or one.kind != other.kind:
            return one is other or (one is not None and other is not None and fingerprint(one) == fingerprint(other))
        if one.expires_at_ms != other.expires_at_ms:
            return False
        # The same value may be stored in two ways.
        return body(one) == body(other) or self._contents(self._source, one) == self._contents(self._target, other)

    @staticmethod
    def _contents(side: object, record: Record) -> Any:
        return cast("Contents", side).contents(record.key, record.kind)
