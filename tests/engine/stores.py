"""Small stores for tests: an engine on a simulated disk with a clock turned by hand, and its content as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from keystead.engine.background import InlineBackground, Task
from keystead.engine.engine import Engine, Options
from keystead.engine.expiries import expiry_of
from keystead.engine.keyspace import SYSTEM_KEYSPACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from keystead.engine.background import Background
    from keystead.engine.files import System
    from keystead.engine.view import View

PATH = "/home/data"
START_MS = 1_700_000_000_000
SMALL = Options(segment_bytes=700, reserve_bytes=256)

T = TypeVar("T")

State = tuple[dict[bytes, tuple[bytes, int]], ...]
"""Of each database, last of the system: keys with value and expiry, those included whose time is up but whose removal
is not logged."""


EMPTY: State = ({},) * 17
"""Of a store in which nothing is."""


class Reader:
    """Somebody who reads: what the durable view needs to know of a session."""

    def __init__(self) -> None:
        self.must_wait = False
        self.pending_turn = 0


class HandClock:
    """A wall clock that is turned by hand."""

    def __init__(self, at_ms: int = START_MS) -> None:
        self.at_ms = at_ms

    def __call__(self) -> int:
        return self.at_ms


def opened(
    system: System | None,
    options: Options = SMALL,
    wall_ms: HandClock | None = None,
    path: str = PATH,
    background: Background | None = None,
) -> Engine:
    """A loaded engine whose background work is done in the foreground."""
    background = background or InlineBackground()
    engine = Engine(path, options, system=system, wall_ms=wall_ms or HandClock(), background=background)
    for _ in engine.load():
        pass
    return engine


def state_of(engine: Engine) -> State:
    """What is in memory."""
    return tuple(
        {
            key: (bytes(value), expiry_of(expires, key))
            for shard, expires in zip(database.keyspace.shards, database.keyspace.expires, strict=True)
            for key, value in shard.items()
        }
        for database in (*engine.databases, engine.system)
    )


def state_of_view(view: View) -> State:
    """What a replay came to."""
    keyspaces = [view.keyspaces.get(number) for number in (*view.databases, SYSTEM_KEYSPACE)]
    return tuple(
        {
            key: (bytes(value), expiry_of(expires, key))
            for shard, expires in zip(keyspace.shards, keyspace.expires, strict=True)
            for key, value in shard.items()
        }
        if keyspace
        else {}
        for keyspace in keyspaces
    )


class QueuedBackground(InlineBackground):
    """Jobs wait until the test lets them run: what a thread may do at any moment, at the moment of choice."""

    def __init__(self) -> None:
        self.waiting: list[Task[Any]] = []

    def start(self, job: Callable[[], T]) -> Task[T]:
        """Put the job aside."""
        task = Task(job)
        self.waiting.append(task)
        return task

    def run(self) -> None:
        """Do what waits."""
        while self.waiting:
            self.waiting.pop(0).run()

    def stop(self) -> None:
        """As a thread is waited for."""
        self.run()
