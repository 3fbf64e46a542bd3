"""Who answers questions about the past: a seam, so that commands and execution know no processes and no loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from keystead.engine.history.answering import Answerer
from keystead.engine.history.questions import Outcome, Question, Unreadable

if TYPE_CHECKING:
    from keystead.engine.engine import Engine

Answered: TypeAlias = Callable[[Outcome | None], None]
"""Told the outcome; None when whoever looked for it ended without one: asking again may help."""

CallOff: TypeAlias = Callable[[], None]
"""The answer is not wanted any more; it may still come."""


class Historian(Protocol):
    """Answers questions about everything that was executed before they were asked, and shows nothing that a power cut
    could take back."""

    def ask(self, question: Question, answered: Answered) -> CallOff:
        """*answered* is called once, in the loop's thread, at once or later."""


class InPlace:
    """Here and now: for tests, and for programs without a loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ask(self, question: Question, answered: Answered) -> CallOff:
        """As Historian."""
        engine = self._engine
        engine.end_turn()
        engine.sync()
        if engine.durable_turn < engine.open_turn - 1:
            answered(Unreadable("there is no room on the disk for what comes before the question"))
        else:
            answerer = Answerer(engine.directory)
            try:
                outcome = answerer.answer(question, engine.log.next_sequence)
            finally:
                answerer.close()
            answered(outcome)
        return _nothing


def _nothing() -> None:
    pass
