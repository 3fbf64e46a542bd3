"""How long a client has been doing the same: what its deadlines are measured with. Must not know which they are."""

from __future__ import annotations


class Deadline:
    """Measures how long a connection has been in the same state."""

    __slots__ = ("_mark", "_since_s")

    def __init__(self, now_s: float) -> None:
        self._mark: tuple[str, int] = ("head", 0)
        self._since_s = now_s

    def lasts_s(self, state: str, progress: int, now_s: float) -> float:
        """How long since the state was another one, or less had been achieved in it."""
        mark = (state, progress)
        if mark != self._mark:
            self._mark, self._since_s = mark, now_s
        return now_s - self._since_s
