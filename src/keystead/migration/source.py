"""What keys are moved from: the facts that a source tells, and what it can be asked.

Facts are absolute. A source that sees a change it cannot say in such words (INCR, LPUSH, a patch of some bytes) names
the key as `Touched`: its present state is asked for by `look`, and is applied instead. A state that is younger than the
place of its change does no harm, for every change behind that place is told later, and the last fact about a key wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from keystead.errors import KeysteadError

STRING = "string"


class Record(NamedTuple):
    """A key as it is."""

    database: int
    key: bytes
    kind: str
    """As `TYPE` has it: "string", "hash", "list", "set", "zset", "stream", or a name of a module's."""
    value: bytes
    """A string's bytes; of any other type what `DUMP` answers."""
    expires_at_ms: int
    """Milliseconds of Unix time; 0: never."""


class Put(NamedTuple):
    """The key is this string until then; 0: for ever. Whatever it was is gone, its expiry included."""

    database: int
    key: bytes
    value: bytes
    expires_at_ms: int


class Delete(NamedTuple):
    """The key is not there, for whatever reason: it may not have been there before."""

    database: int
    key: bytes


class Expire(NamedTuple):
    """The key, which is there, keeps its value and expires then: after 0, never."""

    database: int
    key: bytes
    at_ms: int


class Touched(NamedTuple):
    """The key changed: what it is now must be looked at."""

    database: int
    key: bytes


class Flush(NamedTuple):
    """The database is empty."""

    database: int


class Gap(NamedTuple):
    """Something happened to this database that cannot be told key by key, as by SWAPDB: it has to be copied again."""

    database: int
    reason: str


Change: TypeAlias = Put | Delete | Expire | Touched | Flush | Gap


class Batch(NamedTuple):
    """Changes in the order in which they happened. None: nothing came for a while (about a tenth of a second)."""

    changes: Sequence[Change]
    position: str
    """The place behind them, to begin at again. Opaque; it names the history too."""
    known_until_ms: int
    """All that the source acknowledged up to this time is in the batches up to here, as far as the source can say."""


class PositionLost(KeysteadError):
    """The changes behind a position cannot be had any more; all keys have to be copied again. Says why."""


class FollowingRefused(KeysteadError):
    """The source does not let its changes be followed (a managed service without PSYNC, a user without permission)."""


class SourceFailed(KeysteadError):
    """The source cannot be reached, broke off, or says what makes no sense. What was moved stays; it can be resumed."""


class Feed(Protocol):
    """All keys at a moment, and every change behind it. FollowingRefused, SourceFailed."""

    unit: str
    """What `behind` counts: "transactions", "bytes"."""

    def snapshot(self) -> Iterator[Record]:
        """All keys, each once, of all databases; with the place at which `changes` goes on. Keys whose time is up may
        be among them."""

    def resume(self, position: str) -> None:
        """Instead of `snapshot`: let `changes` go on there. PositionLost."""

    def changes(self) -> Iterator[Batch]:
        """After one of the two, for ever. PositionLost when the source has let go of what was not read yet."""

    @property
    def position(self) -> str:
        """Where `changes` goes on: after the first record of the snapshot has come, its place."""

    @property
    def total_keys(self) -> int:
        """About how many keys the snapshot has; 0: nobody knows."""

    def behind(self, position: str) -> int:
        """How much the source's end is ahead of that position, asked anew of the source (INFO on another connection);
        0: everything that was acknowledged up to now is before it. The cut-over rests on this."""

    def close(self) -> None:
        """Hang up."""


class Source(Feed, Protocol):
    """A feed, and the store behind it, of which one database is moved: what is asked is asked of that one."""

    follows: bool
    """Whether changes are told at all; where they are not, comparing and repairing has to do."""

    parts_done: int
    """How many parts of the snapshot were told to their end; 0 where it has none, and has to be told from its beginning
    after an interruption."""

    def snapshot(self, parts_done: int = 0) -> Iterator[Record]:
        """As Feed, but for so many parts, which were told at some earlier time."""

    def describe(self) -> str:
        """As people know it: an address, a path."""

    def identity(self) -> str:
        """Names the store for as long as it lives, so that nobody resumes from another one."""

    def databases(self) -> dict[int, int]:
        """How many keys are in each numbered database that has any."""

    def kinds(self) -> dict[str, int]:
        """How many keys there are of each type. May read all names."""

    def look(self, keys: Sequence[bytes]) -> list[Record | None]:
        """What these keys are now, or were at some moment behind every change that `changes` has given; None: not
        there."""

    def scan(self) -> Iterator[list[Record]]:
        """All keys as they are now. A key that changes meanwhile may be told as it was or is, or twice."""

    def pause_writes(self, timeout_ms: int) -> bool:
        """Let writers wait, for that long at most. False: the source is none that can be told so."""

    def resume_writes(self) -> None:
        """Let them go on."""

    def drop_writers(self) -> None:
        """Cut off all clients, so that no write that waits is executed when the pause ends: it gets no answer."""
