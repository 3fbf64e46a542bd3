"""Which keys are not the same at two moments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import merge
from itertools import groupby
from typing import TYPE_CHECKING

from keystead.engine.history.answers import Difference, Moment
from keystead.engine.history.retained_log import alive
from keystead.engine.history.view_at import give_back_keys, keys_of

if TYPE_CHECKING:
    from keystead.engine.view import View


def differences(
    views: tuple[View, View],
    moments: tuple[Moment, Moment],
    database: int,
    prefix: bytes,
    between: Callable[[], None] = lambda: None,
) -> Iterator[Difference]:
    """The keys that begin so and are not the same in the two views, each as it was seen at its moment; in order.

    *between* is called again and again.
    """
    times = moments[0].time_ms, moments[1].time_ms
    keys = [keys_of(view, database, prefix, time_ms, between) for view, time_ms in zip(views, times, strict=True)]
    try:
        for key, _ in groupby(merge(*keys)):
            between()
            before = alive(views[0].find(database, key), times[0])
            after = alive(views[1].find(database, key), times[1])
            if before != after:
                yield Difference(key, *(before or (None, 0)), *(after or (None, 0)))
    finally:
        for each in keys:
            give_back_keys(each, between)
