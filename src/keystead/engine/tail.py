"""The log's end as somebody sees it who follows it: each turn as it was committed, handed over once it is durable.

Owns: what is committed and not durable yet. Must not know: who follows, what becomes of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from keystead.engine.history.transactions import Databases, PartGroups, Transaction, transactions
from keystead.engine.operations import decode_entries

if TYPE_CHECKING:
    from keystead.engine.turns import EncodedTurn, Parts


class CommittedTurn(NamedTuple):
    """One turn as it stands in the log."""

    number: int
    first_sequence: int
    transactions: int
    time_ms: int
    databases: Databases
    """As they were before it."""
    parts: Parts
    payload: bytes
    """Of its commit frame."""
    staged: bool = False
    """It commits parts that were written before the turn and are not among these: they have to be read in the log."""

    @property
    def next_sequence(self) -> int:
        """Of the first transaction after it."""
        return self.first_sequence + self.transactions

    @property
    def size(self) -> int:
        """Bytes of its payloads."""
        return len(self.payload) + sum(len(payload) for _, payload in self.parts)


Deliver: TypeAlias = Callable[[list[CommittedTurn]], None]
"""Called whenever more has become durable, with the turns that have, in order; with none where these were committed
before anybody followed. Called in the middle of ending a sync: it must return quickly, and not raise."""


def transactions_of(turn: CommittedTurn) -> Iterator[Transaction]:
    """What was committed in it, in order."""
    parts = PartGroups()
    for group, payload in turn.parts:
        parts.add(group, payload)
    return transactions(decode_entries(turn.payload), turn.first_sequence, turn.time_ms, turn.databases, parts)


class Tail:
    """What is on its way to a follower."""

    def __init__(self, deliver: Deliver, databases: Databases) -> None:
        self._deliver = deliver
        self._databases = databases
        self._waiting: deque[CommittedTurn] = deque()

    def committed(
        self,
        number: int,
        first_sequence: int,
        time_ms: int,
        databases: Databases,
        turn: EncodedTurn,
        *,
        staged: bool = False,
    ) -> None:
        """A turn is in the log; *databases* are as they are after it."""
        self._waiting.append(
            CommittedTurn(
                number, first_sequence, turn.transactions, time_ms, self._databases, turn.parts, turn.payload, staged
            )
        )
        self._databases = databases

    def durable(self, number: int) -> None:
        """Turns up to that one are durable."""
        waiting = self._waiting
        turns = []
        while waiting and waiting[0].number <= number:
            turns.append(waiting.popleft())
        self._deliver(turns)
