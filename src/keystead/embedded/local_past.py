"""Who answers questions about the past of a store in this process: the log is read here.

For one question at a time. Reading takes the interpreter, as any work in Python does: a program that must not be held
up asks a server, by `connect()`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from keystead.engine.history.questions import Answerer
from keystead.execution.past_moments import refuse_failure

if TYPE_CHECKING:
    from keystead.embedded.shared_engine import SharedEngine
    from keystead.engine.history.questions import Question


class LocalPast:
    """Implements `past.Ask`. Safe from several threads."""

    def __init__(self, shared: SharedEngine) -> None:
        self._shared = shared
        self.database: int = shared.database.number
        self._lock = threading.Lock()
        self._answerer: Answerer | None = None
        self._owned: WeakSet[LocalPast] = WeakSet()

    def ask(self, question: Question) -> Any:
        """As Ask. DamagedData, DiskFailure, StoreClosed."""
        # Of what is durable: a power cut must not take back what this tells.
        until = self._shared.settle_log()
        with self._lock:
            if self._answerer is None:
                self._answerer = Answerer(self._shared.engine.directory)
            outcome = self._answerer.answer(question, until)
        refuse_failure(outcome, self._shared.path)
        return outcome

    def own(self) -> LocalPast:
        """As Ask."""
        owned = LocalPast(self._shared)
        self._owned.add(owned)
        return owned

    def close(self) -> None:
        """As Ask; also what those have kept that are asked for pages."""
        for owned in list(self._owned):
            owned.close()
        with self._lock:
            answerer, self._answerer = self._answerer, None
            if answerer is not None:
                answerer.close()
