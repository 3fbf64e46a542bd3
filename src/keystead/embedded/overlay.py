"""The changes of a transaction before its end, laid over what the store has.

Owns: what a key is inside the transaction, and the shortest list of changes that makes it so. Must not know: who else
writes, where the base is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

Pair = tuple[bytes, bytes]


class Base(Protocol):
    """What an overlay lies on; it does not change while the overlay exists, or the transaction fails."""

    def now_ms(self) -> int:
        """Store time."""

    def read(self, key: bytes) -> tuple[bytes | None, int]:
        """The value, None when absent or expired, and the expiry."""

    def pages(self, prefix: bytes | None) -> Iterator[list[Pair]]:
        """Every key and value in pages; in order when there is a prefix."""


class Target(Protocol):
    """What an overlay is applied to: a State, of which nothing is read any more."""

    def now_ms(self) -> int:
        """As State."""

    def put(self, key: bytes, value: bytes, expires_at_ms: int = 0) -> None:
        """As State."""

    def delete(self, key: bytes) -> None:
        """As State."""

    def set_expiry(self, key: bytes, expires_at_ms: int) -> None:
        """As State."""

    def clear(self) -> None:
        """As State."""


class Entry(NamedTuple):
    """What a key is now. *value_is_new*: the value is not the one that the base has."""

    value: bytes | None
    expires_at_ms: int
    value_is_new: bool


class Overlay:
    """A State of its own; nothing reaches the base before `apply_to`."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self._entries: dict[bytes, Entry] = {}
        self._cleared = False

    @property
    def changed(self) -> bool:
        """Whether there is anything to apply."""
        return self._cleared or bool(self._entries)

    def growth(self) -> int:
        """About how many bytes applying it may log, 0 when it cannot make the data grow."""
        return sum(
            len(key) + len(entry.value) + 100
            for key, entry in self._entries.items()
            if entry.value is not None and entry.value_is_new
        )

    # --- State ------------------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """As State."""
        return self._base.now_ms()

    def read(self, key: bytes) -> tuple[bytes | None, int]:
        """As State."""
        entry = self._entries.get(key)
        if entry is None:
            return (None, 0) if self._cleared else self._base.read(key)
        if 0 < entry.expires_at_ms <= self.now_ms():
            return None, 0
        return entry.value, entry.expires_at_ms

    def put(self, key: bytes, value: bytes, expires_at_ms: int = 0) -> None:
        """As State."""
        self._entries[key] = Entry(value, expires_at_ms, True)

    def delete(self, key: bytes) -> None:
        """As State."""
        if self._cleared:
            self._entries.pop(key, None)
        else:
            self._entries[key] = Entry(None, 0, False)

    def set_expiry(self, key: bytes, expires_at_ms: int) -> None:
        """As State."""
        value, _ = self.read(key)
        former = self._entries.get(key)
        self._entries[key] = Entry(value, expires_at_ms, former is not None and former.value_is_new)

    def clear(self) -> None:
        """As State."""
        self._entries.clear()
        self._cleared = True

    def any_key(self) -> bytes | None:
        """As State."""
        return next((key for page in self.pages(None) for key, _ in page), None)

    # --- Beyond -----------------------------------------------------------------------------------------------------

    def pages(self, prefix: bytes | None) -> Iterator[list[Pair]]:
        """As Base: what the keys are when a page is asked for, new keys as they were when the first was."""
        own = [key for key in self._entries if prefix is None or key.startswith(prefix)]
        if prefix is not None:
            own.sort(reverse=True)
        known = set(own)
        for page in () if self._cleared else self._base.pages(prefix):
            keys = [key for key, _ in page if key not in known]
            if prefix is not None:
                # In order: our keys come before the first of the base's that is greater.
                while own and own[-1] < page[-1][0]:
                    keys.append(own.pop())
                keys.sort()
            yield self._pairs(keys)
        yield self._pairs(own[::-1])

    def _pairs(self, keys: list[bytes]) -> list[Pair]:
        read = [(key, self.read(key)[0]) for key in keys]
        return [(key, value) for key, value in read if value is not None]

    def apply_to(self, state: Target) -> None:
        """Make *state*, which is what the base was, into what this shows."""
        if self._cleared:
            state.clear()
        now_ms = state.now_ms()
        for key, entry in self._entries.items():
            if entry.value is None or 0 < entry.expires_at_ms <= now_ms:
                state.delete(key)
            elif entry.value_is_new:
                state.put(key, entry.value, entry.expires_at_ms)
            else:
                state.set_expiry(key, entry.expires_at_ms)
