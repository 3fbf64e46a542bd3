"""When a reply may be told: what connections ask of `Turns`, and what stands in for it where no disk is waited for.

Must not know: who asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from keystead.server.meters import Meters

if TYPE_CHECKING:
    from keystead.errors import DiskFailure
    from keystead.server.turns import Waiter


class Holds(Protocol):
    """Keeps replies back until they may be told; see `turns.Turns`."""

    flush: Callable[[], None]
    plain_reads: bool

    def hold(self, waiter: Waiter, data: bytes) -> int: ...

    def hold_behind(self, waiter: Waiter, data: bytes, turn: int) -> None: ...

    def fail(self, failure: DiskFailure) -> None: ...


class NothingWaits:
    """In front of a cluster: what a reply depends on was settled when it came, for it is the cluster that promises."""

    def __init__(self) -> None:
        self.flush: Callable[[], None] = lambda: None
        self.plain_reads = False
        self.meters = Meters()
        """Of them only the loop's are observed."""

    def hold(self, waiter: Waiter, data: bytes) -> int:  # noqa: ARG002 - nothing is kept
        """0: the reply may be told now."""
        return 0

    def hold_behind(self, waiter: Waiter, data: bytes, turn: int) -> None:
        """Not to be called, for nothing is held that could be waited behind."""
        raise AssertionError(f"{len(data)} bytes for {waiter} wait for turn {turn}, which nothing waits for")

    def fail(self, failure: DiskFailure) -> None:
        """Not to be called: there is no disk."""
        raise failure
