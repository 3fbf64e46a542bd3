"""One engine used by many threads, tasks and, after a fork, by nobody else.

Owns: the lock around the engine, what stands in the way of a write (a transaction, a refusal, a failure, the end), and
the life of the handle. Must not know: codecs, the mapping.

A write takes the lock, finds no obstacle, records, and lets the lock go; then it waits until its turn is durable. The
usual case tests one attribute, `obstacle`; whatever may stand in the way is behind it.
"""

from __future__ import annotations

import threading
import time
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypeAlias, TypeVar

from keystead.embedded.group_commit import Gate, GroupCommit, LoopGate, ThreadGate
from keystead.embedded.keeper import Keeper
from keystead.embedded.state import NOBODY, CurrentState
from keystead.engine.engine import DISK_FULL, Engine
from keystead.errors import (
    DiskFailure,
    DiskFull,
    HandleUnusable,
    KeysteadError,
    OutOfMemory,
    StoreClosed,
    TransactionError,
    WriteRefused,
)

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Callable

    from keystead.engine.bindings import Database
    from keystead.engine.history.questions import Outcome, Question
    from keystead.engine.keyspace import Keyspace
    from keystead.engine.undoing import Undoing
    from keystead.engine.undone import Undone
    from keystead.engine.values import Value
    from keystead.execution.forgetting import Forgotten

T = TypeVar("T")
Change: TypeAlias = "Callable[..., T]"
"""A function of `changes`: its first argument is the state it reads and changes."""

LARGE_BYTES: Final = 64 << 10

FORGETTING_PAUSE_S: Final = 0.005
HOUSEKEEPING_MS: Final = 2.0
"""How long one step of housekeeping may hold the lock."""


class Owner(NamedTuple):
    """Who has the transaction that excludes other writers."""

    thread: int
    task: Task[Any] | None


class Gone:
    """Stands in for what a handle had: whoever reaches for any part of it gets the error."""

    def __init__(self, kind: type[HandleUnusable], reason: str) -> None:
        self._kind = kind
        self._reason = reason

    def refuse(self) -> NoReturn:
        """Raise the error."""
        raise self._kind(self._reason)

    def __getattr__(self, name: str) -> NoReturn:
        self.refuse()

    def __enter__(self) -> NoReturn:
        self.refuse()

    def __exit__(self, *exception: object) -> None:
        """Never reached; `with` looks for it."""


class SharedEngine:
    """An open engine, one of its databases, and everybody who uses them in this process."""

    def __init__(self, engine: Engine, number: int) -> None:
        self.engine = engine
        self.path = engine.path
        self.database: Database = engine.databases[number]
        self._state = CurrentState(engine, self.database)
        self.lock = threading.Lock()
        self.obstacle: object = None
        """What stands in the way of a write: None, or something that `pass_obstacle` knows what to do about."""
        self._owner: Owner | None = None
        self._excluded: list[Gate] = []
        self.closed = False
        self.keeper = Keeper(self)
        self.commits = GroupCommit(engine, self.lock, self.keeper.wake, self._look_for_obstacles)
        self.record = self._record_for_sync if engine.options.fsync == "always" else self._record
        self.read = self._read
        """Bound once: every read passes it on."""
        engine.on_refusal_change = self._look_for_obstacles
        self._look_for_obstacles()
        self.keeper.start()

    # --- Reading ----------------------------------------------------------------------------------------------------

    def _read(self, key: bytes) -> Value | None:
        """The durable value. What `Keyspace.peek` asks when it needs the lock."""
        with self.lock:
            self.engine.clock.refresh()
            return self.database.keyspace.read(key, NOBODY)

    def read_with_expiry(self, key: bytes) -> tuple[Value | None, int]:
        """The durable value and its expiry in milliseconds of Unix time (0: none)."""
        with self.lock:
            self.engine.clock.refresh()
            return self.database.keyspace.read_with_expiry(key, NOBODY)

    def read_with_time_left(self, key: bytes) -> tuple[Value | None, int]:
        """The durable value and the milliseconds until it expires (0: it does not)."""
        with self.lock:
            now_ms = self.engine.clock.refresh()
            value, expires_at_ms = self.database.keyspace.read_with_expiry(key, NOBODY)
        return value, expires_at_ms - now_ms if expires_at_ms else 0

    def settled(self, look: Callable[[Keyspace, int], T]) -> T:
        """What *look* sees in current memory at store time, once that is durable: it must not be shown before."""
        seen, turn = self._look(look)
        self.commits.wait(turn)
        return seen

    async def asettled(self, look: Callable[[Keyspace, int], T]) -> T:
        """The same for a task."""
        seen, turn = self._look(look)
        await self.await_turn(turn)
        return seen

    def _look(self, look: Callable[[Keyspace, int], T]) -> tuple[T, int]:
        with self.lock:
            now_ms = self.engine.clock.refresh()
            return look(self.database.keyspace, now_ms), self.commits.last_turn()

    def build_index(self) -> None:
        """Return when the keys can be asked for in order."""
        with self.lock:
            self.engine.build_index()
        while not self._indexed():
            self.housekeep()

    async def abuild_index(self) -> None:
        """The same for a task: in slices between which the loop goes on."""
        from asyncio import sleep

        with self.lock:
            self.engine.build_index()
        while not self._indexed():
            self.housekeep()
            await sleep(0)

    def _indexed(self) -> bool:
        index = self.database.keyspace.index
        return index is not None and index.ready

    # --- Writing ----------------------------------------------------------------------------------------------------

    def _record_for_sync(self) -> int:
        if self.keeper.resting:
            self.keeper.wake()
        return self.engine.open_turn

    def _record(self) -> int:
        """End the turn, so that it survives this process; the turn to wait for, or 0. The lock is held."""
        if self.keeper.resting:
            self.keeper.wake()
        engine = self.engine
        engine.clock.refresh()
        turn = engine.end_turn()
        return turn if turn > engine.durable_turn else 0

    def change(self, change: Change[T], arguments: tuple[Any, ...], growth: int) -> T:
        """What `change(state, *arguments)` returns, as one transaction, when it is durable.

        *growth*: how many bytes it may add, 0 when it cannot make the data grow. A change that changed nothing waits
        too: its answer depends on what it saw.
        """
        with self.lock:
            if self.obstacle is not None:
                self.pass_obstacle(growth > 0)
            result, turn = self._apply(change, arguments, growth)
        self.commits.wait(turn)
        return result

    async def achange(self, change: Change[T], arguments: tuple[Any, ...], growth: int) -> T:
        """The same for a task: its loop never waits for the disk, nor for another's transaction."""
        loop, task = _current()
        await self._aenter(loop, task, growth > 0)
        try:
            result, turn = self._apply(change, arguments, growth)
        finally:
            self.lock.release()
        await self.await_turn(turn)
        return result

    def _apply(self, change: Change[T], arguments: tuple[Any, ...], growth: int) -> tuple[T, int]:
        engine = self.engine
        engine.clock.refresh()
        if growth > LARGE_BYTES:
            self._make_room(growth)
        start = len(engine.ops)
        result = change(self._state, *arguments)
        engine.end_group(start)
        if len(engine.ops) > start:
            self.record()
            if growth > LARGE_BYTES:
                engine.end_turn()
        return result, self.commits.last_turn()

    async def await_turn(self, turn: int) -> None:
        """Return when *turn* is durable. DiskFailure."""
        from asyncio import get_running_loop

        loop = get_running_loop()
        while self.engine.durable_turn < turn:
            with self.lock:
                future = self.commits.wait_in(loop, turn)
            if future is None:
                return
            await future

    def _make_room(self, length: int) -> None:
        # The engine's reserve covers small changes only; a large one is asked about before it touches memory.
        engine = self.engine
        engine.end_turn()
        if not engine.log.has_room(length):
            raise DiskFull(f"the disk has no room for {length} bytes; nothing was changed")

    def sync(self) -> None:
        """Make everything durable now, whatever `fsync` is. DiskFailure."""
        with self.lock:
            if self.closed:
                raise closed_error(self.path)
        self.commits.sync()

    def forget(self, keys: list[bytes]) -> Forgotten:
        """Delete keys, and return when they are in no file any more. NotForgotten, DiskFull, DiskFailure."""
        from keystead.execution.forgetting import begin_at_once, report

        if not keys:
            raise TypeError("forget() needs a key")
        with self.lock:
            if self.obstacle is not None:
                self.pass_obstacle(grows=False)
            self.engine.clock.refresh()
            try:
                forgetting = begin_at_once(self.engine, self.database, keys)
            except DiskFailure:
                self._look_for_obstacles()
                raise
            turn = self.commits.last_turn()
        self.commits.wait(turn)
        while not forgetting.done:
            if self.closed:
                raise closed_error(self.path)
            self.housekeep()
            self.commits.sync()
            time.sleep(FORGETTING_PAUSE_S)
        return report(self.engine, forgetting)

    def step(self, undoing: Undoing, outcome: Outcome | None) -> tuple[Question | None, Undone | None]:
        """Let an undo go on, as far as to what it asks next, or as far as to its end, which is durable then.

        What it raises; StoreClosed, DiskFull, OutOfMemory, DiskFailure.
        """
        with self.lock:
            if self.obstacle is not None:
                self.pass_obstacle(grows=True)
            self.engine.clock.refresh()
            try:
                return undoing.send(outcome), None
            except StopIteration as end:
                undone: Undone = end.value
            except DiskFailure:
                self._look_for_obstacles()
                raise
            except WriteRefused as failure:
                raise failure if type(failure) is not WriteRefused else refused(self.engine) from None
            self.record()
            turn = self.commits.last_turn()
        self.commits.wait(turn)
        return None, undone

    # --- What stands in the way -------------------------------------------------------------------------------------

    def _look_for_obstacles(self) -> None:
        engine = self.engine
        self.obstacle = self._owner or engine.failed or engine.refusal or (self.closed or None)

    def pass_obstacle(self, grows: bool) -> None:
        """Wait for a transaction to end, or say why not: StoreClosed, OutOfMemory, … The lock is held."""
        while self.obstacle is not None:
            self._raise_obstacle(grows, None)
            if self._owner is None:
                return
            gate = ThreadGate()
            self._excluded.append(gate)
            self.lock.release()
            try:
                gate.wait()
            finally:
                self.lock.acquire()

    async def _aenter(self, loop: AbstractEventLoop, task: Task[Any] | None, grows: bool) -> None:
        """Take the lock with nothing in the way."""
        while True:
            self.lock.acquire()
            try:
                self._raise_obstacle(grows, task)
                if self._owner is None:
                    return
                gate = LoopGate(loop)
                future = gate.future()
                self._excluded.append(gate)
            except BaseException:
                self.lock.release()
                raise
            self.lock.release()
            await future

    def _raise_obstacle(self, grows: bool, task: Task[Any] | None) -> None:
        if self.obstacle is None:
            return
        if self.closed:
            raise closed_error(self.path)
        engine = self.engine
        if engine.failed is not None:
            raise DiskFailure(*engine.failed.args)
        if self._owner is not None:
            self._refuse_inside(self._owner, task)
        elif grows and engine.refusal is not None:
            engine.check_refusal()  # deletes may have made room since it was found out
            if engine.refusal is not None:
                raise refused(engine)

    def _refuse_inside(self, owner: Owner, task: Task[Any] | None) -> None:
        # It would wait for itself for ever.
        both_are_tasks = owner.task is not None and task is not None
        same = owner.task is task if both_are_tasks else owner.thread == get_ident()
        if same:
            raise TransactionError(
                "a transaction of this " + ("task" if task else "thread") + " is open on this store: write through it, "
                "not through the store, and do not begin another one inside it"
            )

    # --- Excluding other writers ------------------------------------------------------------------------------------

    def exclude(self) -> None:
        """Keep all other writers out until `admit`. TransactionError when this thread does so already."""
        with self.lock:
            self.pass_obstacle(grows=False)
            self._own(Owner(get_ident(), None))

    async def aexclude(self) -> None:
        """The same for a task, and everything others wrote before is durable afterwards."""
        loop, task = _current()
        await self._aenter(loop, task, grows=False)
        self._own(Owner(get_ident(), task))
        turn = self.commits.last_turn()
        self.lock.release()
        try:
            await self.await_turn(turn)
        except BaseException:
            self.admit()
            raise

    def _own(self, owner: Owner) -> None:
        self._owner = owner
        self._look_for_obstacles()

    def admit(self) -> None:
        """Let the others in again."""
        with self.lock:
            self._admit()

    def _admit(self) -> None:
        self._owner = None
        self._look_for_obstacles()
        excluded, self._excluded = self._excluded, []
        for gate in excluded:
            gate.release()

    def settle(self) -> None:
        """Return when everything in memory is durable; for the owner, that is then all there is to see."""
        with self.lock:
            turn = self.commits.last_turn()
        self.commits.wait(turn)

    def settle_log(self) -> int:
        """As `settle`; the first transaction that may not be durable yet."""
        with self.lock:
            if self.closed:
                raise closed_error(self.path)
            self.engine.clock.refresh()
            turn = self.engine.end_turn()
            until = self.engine.log.next_sequence
        self.commits.wait(turn)
        return until

    def apply_and_admit(self, change: Change[None], arguments: tuple[Any, ...], growth: int) -> int:
        """Apply a transaction's changes, let the others in, and return the turn to wait for."""
        with self.lock:
            try:
                if self.engine.failed is not None:
                    raise DiskFailure(*self.engine.failed.args)
                if growth and self.engine.refusal is not None:
                    self.engine.check_refusal()
                    if self.engine.refusal is not None:
                        raise refused(self.engine)
                return self._apply(change, arguments, growth)[1]
            finally:
                self._admit()

    # --- Keeping and ending -----------------------------------------------------------------------------------------

    def housekeep(self) -> None:
        """One step of the engine's housekeeping. DiskFailure."""
        with self.lock:
            try:
                self.engine.housekeep(HOUSEKEEPING_MS)
                self.engine.end_turn()
            except DiskFailure:
                self._look_for_obstacles()
                raise

    def close(self) -> None:
        """Make everything durable and let the directory go; harmless when that was done. DiskFailure."""
        with self.lock:
            if self.closed:
                return
            while self._owner is not None and self.engine.failed is None:
                self.pass_obstacle(grows=False)
            self.closed = True
            self._look_for_obstacles()
            # Readers in other threads find this; whoever is reading now has got the keyspace already.
            self.database = Gone(StoreClosed, str(closed_error(self.path)))  # type: ignore[assignment]
        self.keeper.stop()
        try:
            self.commits.end()
        finally:
            with self.lock:
                self.engine.close()

    def close_when_collected(self) -> None:
        """Close, from a destructor: which thread runs it, and holding what, is chance."""
        if self.keeper.is_current_thread:
            self.keeper.close_store()
        else:
            self.close()

    def abandon(self, kind: type[HandleUnusable], reason: str) -> None:
        """In a forked child: refuse everything from now on, and leave alone what the parent has."""
        gone: Any = Gone(kind, reason)
        engine = self.engine
        # The lock may have been held at the fork, by a thread that does not exist here.
        self.lock = self.database = self.engine = self.commits = self.keeper = gone
        self.closed = True
        engine.abandon()


def closed_error(path: str) -> StoreClosed:
    """What the use of a closed store raises."""
    return StoreClosed(f"the store {path} has been closed")


def refused(engine: Engine) -> KeysteadError:
    """What a change that grows the data raises while the engine refuses such."""
    if engine.refusal == DISK_FULL:
        return DiskFull(f"the disk that holds {engine.path} is full; reads and deletes go on")
    return OutOfMemory(f"the data has reached maxmemory ({engine.options.maxmemory} bytes); reads and deletes go on")


def _current() -> tuple[AbstractEventLoop, Task[Any] | None]:
    from asyncio import current_task, get_running_loop

    return get_running_loop(), current_task()
