"""A transaction, as the program holds it between `with` and the end of the block.

Owns: who may use it, and until when. Must not know: where its changes go.
"""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, TypeVar

from keystead.embedded.methods import Methods
from keystead.errors import TransactionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keystead.embedded.calls import Call
    from keystead.embedded.codecs import Coding
    from keystead.embedded.overlay import Overlay

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class Transaction(Methods[K, V]):
    """The mapping as it is inside the transaction: with its own changes, which nobody else sees before its end."""

    __slots__ = ("_open", "_overlay", "_thread")

    def __init__(self, coding: Coding[K, V], overlay: Overlay, thread: int | None = None) -> None:
        super().__init__(coding)
        self._overlay = overlay
        self._thread = thread or get_ident()
        self._open = True

    def __repr__(self) -> str:
        return f"<keystead.Transaction ({'open' if self._open else 'ended'})>"

    @property
    def _state(self) -> Overlay:
        if not self._open:
            raise TransactionError("this transaction has ended")
        if get_ident() != self._thread:
            raise TransactionError("a transaction belongs to the thread that began it; begin one in each thread")
        return self._overlay

    def _end(self) -> None:
        self._open = False

    def _read(self, key: bytes) -> bytes | None:
        return self._state.read(key)[0]

    def _read_with_expiry(self, key: bytes) -> tuple[bytes | None, int]:
        state = self._state
        value, expires_at_ms = state.read(key)
        return value, max(1, expires_at_ms - state.now_ms()) if expires_at_ms else 0

    def _run(self, call: Call[T]) -> T:
        result: T = call.finish(call.change(self._state, *call.arguments))
        return result

    def _pages(self, prefix: bytes | None) -> Iterator[list[tuple[bytes, bytes | bytearray]]]:
        for page in self._state.pages(prefix):
            yield list(page)
            _ = self._state  # going on after its end is an error too

    def _count(self, prefix: bytes | None) -> int:
        return sum(len(page) for page in self._state.pages(prefix))
