"""A transaction whose operations come encoded, in pieces, and that is committed at once, however long it is.

The pieces travel as part frames, over as many turns as the caller takes; they mean nothing until the frame that closes
them. So a transaction of a million operations holds nobody up, and a crash before its end leaves nothing of it.

Owns: the order parts → commit frame, in one segment. Must not know: what the operations say. Whoever commits changes
memory as they do, within the same turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystead.engine.format import PART
from keystead.engine.operations import PARTS
from keystead.errors import DiskFull, WriteRefused

if TYPE_CHECKING:
    from keystead.engine.engine import Engine


class Staged:
    """Parts on their way into the log. Ended by `commit` or `give_up`; until then the segment is not changed."""

    def __init__(self, engine: Engine) -> None:
        """To be had by `Engine.stage`."""
        self._engine = engine
        self._group = engine.turn.take_part()
        self._length = 0
        self._ended = False
        engine.log.staged += 1

    def add(self, piece: bytes) -> None:
        """The next piece of the transaction's operations, encoded as an array. WriteRefused when there is no room;
        DiskFailure. Either way the transaction is given up."""
        engine = self._engine
        try:
            if engine.refusal is not None:
                raise WriteRefused(engine.refusal)
            if not engine.log.has_room(len(piece)):
                raise DiskFull("there is no room for it in the log")
            engine.append_outside_turns(PART, piece, self._group)
        except BaseException:
            self.give_up()
            raise
        self._length += len(piece)

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
        if not self._ended:
            self._ended = True
            self._engine.log.staged -= 1
