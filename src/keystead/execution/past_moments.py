"""From a moment as it was asked for to one of a past; what is not there, as the errors that programs see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from keystead.commands.moments import iso
from keystead.engine.history.answers import Moment, NotCommitted
from keystead.engine.history.questions import Dropped, NotYet, Unreadable
from keystead.engine.history.transactions import HistoryDropped
from keystead.errors import DamagedData, HistoryGone, MomentRefused

if TYPE_CHECKING:
    from keystead.commands.moments import At
    from keystead.engine.history.past import Past
    from keystead.engine.history.questions import Outcome


@contextmanager
def asking(past: Past) -> Iterator[None]:
    """What is asked of *past* in the block raises HistoryGone and MomentRefused."""
    try:
        yield
    except HistoryDropped:
        raise HistoryGone(*past.floor) from None
    except NotCommitted as error:
        raise _not_yet(error.newest) from None


def found(past: Past, at: At) -> Moment:
    """The moment that was meant. HistoryGone, MomentRefused."""
    with asking(past):
        return past.moment(at.sequence) if at.sequence is not None else past.moment_at(max(0, at.time_ms or 0))


def first_behind(past: Past, at: At) -> int:
    """The transaction to begin with: the one of that number, or the first behind that time."""
    if at.sequence is not None:
        return max(1, at.sequence)
    return found(past, at).sequence + 1


def refuse_failure(outcome: Outcome, path: str) -> None:
    """Raise what a question about the store at *path* has failed with: HistoryGone, MomentRefused, DamagedData."""
    match outcome:
        case Dropped(floor):
            raise HistoryGone(*floor)
        case NotYet(newest):
            raise _not_yet(newest)
        case Unreadable(reason):
            raise DamagedData(path, 0, reason)


def _not_yet(newest: Moment) -> MomentRefused:
    return MomentRefused(f"that has not happened: the last transaction is {newest.sequence}, of {iso(newest.time_ms)}")
