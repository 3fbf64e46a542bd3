"""A transaction whose operations come encoded, in pieces, and that is committed at once, however long it is.

The pieces travel as part frames, over as many turns as the caller takes; they mean nothing until the frame that closes
them. So a transaction of a million operations holds nobody up, and a crash before its end leaves nothing of it.

Owns: the order parts → commit frame, in one segment. Must not know: what the operations say. Whoever commits changes
memory as they do, within the same turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from keystead.engine import turns
from keystead.engine.format import PART
from keystead.engine.operations import PARTS, encode_entries
from keystead.errors import DiskFull, WriteRefused

if TYPE_CHECKING:
    from keystead.engine.engine import Engine

_KEY: Final = itemgetter(2)
SLICE_OPERATIONS: Final = 1_000


class Staged:
    """Parts on their way into the log. Ended by `commit` or `give_up`; until then the segment is not changed."""

    def __init__(self, engine: Engine) -> None:
        """To be had by `Engine.stage`."""
        self._engine = engine
        self._group = engine.turn.take_part()
        self._length = 0
        self._changed: set[object] = set()
        engine.log.staged += 1
        engine.staged.append(self)

    def add(self, piece: bytes) -> None:
        """The next piece of the transaction's operations, encoded as an array, in as many part frames as it takes.
        WriteRefused when there is no room; DiskFailure. Either way the transaction is given up."""
        engine = self._engine
        try:
            if engine.refusal is not None:
                raise WriteRefused(engine.refusal)
            if not engine.log.has_room(len(piece)):
                raise DiskFull("there is no room for it in the log")
            for at in range(0, len(piece), turns.PART_BYTES):
                engine.append_outside_turns(PART, piece[at : at + turns.PART_BYTES], self._group)
        except BaseException:
            self.give_up()
            raise
        self._length += len(piece)

    def write(self, operations: Iterable[tuple[object, ...]], count: int) -> Iterator[None]:
        """Add *count* operations, by slices."""
        piece = bytearray(b"\xdd" + count.to_bytes(4, "big"))  # a MessagePack array of so many
        for done, operation in enumerate(operations, 1):
            piece += encode_entries(operation)
            if len(piece) >= turns.PART_BYTES:
                self.add(bytes(piece))
                piece.clear()
            if done % SLICE_OPERATIONS == 0:
                yield
        self.add(bytes(piece))

    def commit(self) -> None:
        """Close the open turn with this transaction as its last: what it says has been done to memory in this turn.

        DiskFailure.
        """
        engine = self._engine
        engine.turn.record((PARTS, self._group, self._length))
        engine.holds_staged_parts = True
        try:
            engine.end_turn()  # here: the frame must be in the segment of its parts
        finally:
            self.give_up()

    def give_up(self) -> None:
        """It will not be committed, or has been: the segment may be changed again."""
        if self in self._engine.staged:
            self._engine.staged.remove(self)
            self._engine.log.staged -= 1

    # --- What others do meanwhile ------------------------------------------------------------------------------------

    def note(self, operations: list[tuple[Any, ...]]) -> None:
        """These were recorded. (What stands where others have their key is a number in those that have none.)"""
        self._changed.update(map(_KEY, operations))

    def changed_keys(self) -> set[object]:
        """The keys that were changed since this was begun, in whatever database; perhaps a few more."""
        self.note(self._engine.ops)
        return self._changed

    def tell_others(self, keys: Iterable[bytes]) -> None:
        """This one changes these keys, which nothing records."""
        for other in self._engine.staged:
            if other is not self:
                other._changed.update(keys)
