"""The engine: opens a store, takes changes from its single writer, and says what is durable so far.

Owns: the turn being recorded, the order append → sync → durable. Must not know: commands, protocols, who
waits for what. Synchronous; whoever uses it decides when a turn ends and where a sync is done.

A *turn* is everything recorded between two `end_turn` calls; it becomes one frame. `open_turn` is being recorded,
`appended_turn` is in the log, `durable_turn` is safe: a reply may depend on turns up to that one only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal, NamedTuple

from keystead.engine import manifest as manifests
from keystead.engine.bindings import Bindings, Database
from keystead.engine.checkpoint import Progress
from keystead.engine.clock import Clock, wall_clock_ms
from keystead.engine.erasure import Erasure, Forgetting
from keystead.engine.files import Directory, DirectoryLock, System
from keystead.engine.format import COMMIT, MARK, PART
from keystead.engine.history.transactions import floor_of
from keystead.engine.keyspace import Keyspace
from keystead.engine.log import Log, SyncTicket
from keystead.engine.maintenance import Background, Maintenance, Retention, ThreadBackground
from keystead.engine.opening import continue_store, create_store
from keystead.engine.operations import Author
from keystead.engine.recovery import Recovered, recover
from keystead.engine.staging import Staged
from keystead.engine.tail import Deliver, Tail
from keystead.engine.turns import OpenTurn
from keystead.engine.view import View
from keystead.errors import DiskFailure, DiskFull

Fsync = Literal["always", "interval", "never"]

OUT_OF_MEMORY: Final = "OOM command not allowed when used memory > 'maxmemory'."
DISK_FULL: Final = (
    "MISCONF Errors writing to the AOF file: No space left on device. Reads, deletes and expiry go on; "
    "writing resumes by itself when there is room."
)
MEMORY_CHECK_BYTES = 1 << 18
"""Memory is looked at again after this much log: what the data grows by is never more than what is logged."""
IDLE_STEPS_BEFORE_MARK = 3


class Options(NamedTuple):
    """What an engine can be told; sizes in bytes, ages in milliseconds."""

    fsync: Fsync = "always"
    maxmemory: int = 0
    """Estimated memory of all data above which changes that grow it are refused; 0 for no bound."""
    segment_bytes: int = 64 << 20
    reserve_bytes: int = 4 << 20
    """Log space kept reserved ahead, so that deletes can still be logged on a full disk."""
    history_max_age_ms: int = 7 * 24 * 3600 * 1000
    history_max_bytes: int = 1 << 30


class EngineInfo(NamedTuple):
    """Facts for INFO and metrics; true at the moment of asking."""

    keys: int
    used_bytes: int
    log_position: int
    durable_position: int
    next_sequence: int
    syncs: int
    stored_bytes: int
    checkpoint_bytes: int
    checkpoint_running: bool
    checkpoints: int
    last_checkpoint_ms: int
    checkpoint_failed: bool
    expired_keys: int
    torn_bytes: int
    generations: int


class Engine:
    """One open store."""

    def __init__(
        self,
        path: str,
        options: Options | None = None,
        *,
        system: System | None = None,
        wall_ms: Callable[[], int] = wall_clock_ms,
        background: Background | None = None,
    ) -> None:
        """Lock the directory (StoreLocked, DirectoryUnusable); `load` must run to its end before anything else."""
        self.path = path
        self.options = options or Options()
        self._chosen = self.options
        """By `configure`; the options that hold may be stricter for a moment."""
        self.clock = Clock(wall_ms)
        self.turn = OpenTurn()
        self.ops = self.turn.ops
        self.staged: list[Staged] = []
        """Transactions whose parts are being written."""
        self.holds_staged_parts = False
        """The open turn commits parts that were written before it; looked at for followers only."""
        self.open_turn = 1
        self.appended_turn = 0
        self.durable_turn = 0
        self.refusal: str | None = None
        self.on_refusal_change: Callable[[], None] = lambda: None
        self.torn_bytes = 0
        self.failed: DiskFailure | None = None
        self.forgets = 0
        """How often keys were forgotten: what was read before the last time must not be put back."""
        self._bindings = Bindings(self.clock, self.turn, lambda: self.open_turn, lambda: self.durable_turn)
        self.databases = self._bindings.databases
        self.active_expire = True
        self._tail: Tail | None = None
        self._idle_steps = 0
        self._mark_end = 0
        self._memory_checked_at = 0
        self._background = background
        self._lock = DirectoryLock.acquire(path, system=system)
        self.directory = Directory(path, system)
        self.log: Log
        self.maintenance: Maintenance

    @classmethod
    def open(cls, path: str, options: Options | None = None, *, system: System | None = None) -> Engine:
        """A loaded engine."""
        engine = cls(path, options, system=system)
        for _ in engine.load():
            pass
        return engine

    # --- Start ------------------------------------------------------------------------------------------------------

    def load(self) -> Iterator[Progress]:
        """Read the store, in steps, or create it. DamagedData, UnknownFormat, DiskFailure; the lock is let go then."""
        try:
            yield from self._load()
        except BaseException:
            self._lock.release()
            raise

    def _load(self) -> Iterator[Progress]:
        reserve_bytes = self.options.reserve_bytes
        unsynced = self.options.fsync != "always"
        try:
            manifest = manifests.load(self.directory)
            if manifest is None:
                manifest, self.log = create_store(self.directory, self.clock.now_ms, reserve_bytes, unsynced=unsynced)
                view = View(manifest.seed)
            else:
                recovered = Recovered(View(manifest.seed))
                yield from recover(self.directory, manifest, recovered)
                self.torn_bytes = sum(len(torn.data) for torn in recovered.torn)
                view = recovered.view
                self.log = continue_store(self.directory, manifest, recovered, reserve_bytes, unsynced=unsynced)
        except OSError as error:
            raise DiskFailure(f"opening {self.path}: {error.strerror}") from error
        retention = Retention(self.options.history_max_age_ms, self.options.history_max_bytes)
        self.maintenance = Maintenance(
            self.directory,
            manifest,
            self.log,
            self._background or ThreadBackground(),
            self.clock,
            retention,
            self.options.segment_bytes,
        )
        self.log.syncs_commits = self.options.fsync == "always"
        self._adopt(view, manifest.seed)

    def _adopt(self, view: View, seed: int) -> None:
        self.clock.advance_to(view.time_ms)
        self.log.next_sequence = view.next_sequence
        self.turn.next_part = view.next_part
        self._bindings.adopt(view, seed)
        self.check_refusal()

    def configure(self, options: Options) -> None:
        """Other options hold from now on; `segment_bytes` and `reserve_bytes` from the next start.

        Except that less durability is given only once the manifest knows of it: housekeeping sees to that.
        """
        self._chosen = options
        if options.fsync != "always":
            self.maintenance.admit_unsynced()
            self._final(self.maintenance.step)
        self._follow_choice()

    def _follow_choice(self) -> None:
        options = self._chosen
        if options.fsync != "always" and not self.maintenance.manifest.unsynced:
            options = options._replace(fsync="always")  # until the manifest knows
        self.options = options
        self.log.syncs_commits = options.fsync == "always"
        self.maintenance.retention = Retention(options.history_max_age_ms, options.history_max_bytes)
        self._appended(self.appended_turn)  # with another `fsync` it may be durable enough
        self.check_refusal()

    # --- Changes ----------------------------------------------------------------------------------------------------

    @property
    def author(self) -> Author:
        """Who commits what is recorded from now on; set it once per chunk of a client's input."""
        return self.turn.author

    @author.setter
    def author(self, author: Author) -> None:
        if author is not self.turn.author:
            self.turn.sign(author)

    def end_group(self, start: int) -> None:
        """Make everything recorded since `len(engine.ops)` was *start* one transaction."""
        self.turn.end_group(start)

    @property
    def system(self) -> Database:
        """What the store keeps for itself: durable as all else, shown by no number, left alone by every flush."""
        return self._bindings.system

    def flush(self, database: Database) -> None:
        """Empty a database: at once, however many keys there are."""
        self._bindings.flush(database)

    def flush_all(self) -> None:
        """Empty every database, as one transaction."""
        self._bindings.flush_all()

    def swap(self, one: Database, other: Database) -> None:
        """Let two databases show each other's keyspace, as one transaction."""
        self._bindings.swap(one, other)

    def forget(self, database: Database, keys: Sequence[bytes], system_prefix: bytes = b"") -> Forgetting:
        """Delete keys, and begin to erase them and their past from the files; housekeeping sees to that.

        What is written to them from now on stays. *system_prefix*: the same with keys of the system keyspace, of which
        none may be there. The open turn is ended. DiskFailure; DiskFull when there is no room for what must be
        put anew.
        """
        self.end_turn()
        self.forgets += 1
        others = [other.keyspace for other in self.databases if other is not database]
        found = [(keyspace, key, *keyspace.get_with_expiry(key)) for keyspace in others for key in keys]
        if not self.log.has_room(sum(len(value) for _, _, value, _ in found if value is not None)):
            raise DiskFull(DISK_FULL.partition(" ")[2])
        for key in keys:
            database.keyspace.delete(key)
        for keyspace, key, value, _ in found:
            if value is None:
                keyspace.delete(key)  # if its time is up its removal is logged now: later nothing would be there
        self.end_group(0)
        through = self.log.next_sequence - (not self.ops)
        start = len(self.ops)
        for keyspace, key, value, expires_at_ms in found:
            if value is not None:
                # Another database may show a keyspace that this one has shown. It keeps what it has by this.
                keyspace.put(key, bytes(value), expires_at_ms)
        self.end_group(start)
        self.end_turn()
        return self.maintenance.request_forgetting(Erasure(database.number, list(keys), through, system_prefix))

    def hidden_keyspace(self) -> Keyspace:
        """A keyspace that no database shows yet, to be filled and then shown by `show`, or let go."""
        return self._bindings.hidden()

    def show(self, database: Database, hidden: Keyspace) -> None:
        """Let a database show a hidden keyspace. Nothing is recorded: a staged transaction says it in the log."""
        self._bindings.show(database, hidden)

    def stage(self) -> Staged:
        """Begin a transaction whose operations come encoded and in pieces."""
        return Staged(self)

    # --- Turns and syncs --------------------------------------------------------------------------------------------

    def end_turn(self) -> int:
        """Append what the open turn recorded as one frame, without syncing; the number of the last ended turn.

        DiskFailure is final. A full disk is not: the frame is held, and `appended_turn` stays behind until there is
        room.
        """
        if not self.ops:
            return self.open_turn - 1
        if self.failed is not None:
            raise self.failed
        log = self.log
        for staged in self.staged:
            staged.note(self.ops)
        encoded = self.turn.encode()
        transactions, parts, payload = encoded
        frames = [(COMMIT, payload, transactions)]
        if parts:
            frames[:0] = [(PART, part, group) for group, part in parts]
        turn = self.open_turn
        self.open_turn = turn + 1
        now_ms = self.clock.now_ms
        try:
            written = log.append(frames, now_ms)
        except DiskFailure as failure:
            self.failed = failure
            raise
        if self._tail is not None:
            elsewhere, self.holds_staged_parts = self.holds_staged_parts, False
            self._tail.committed(turn, log.next_sequence, now_ms, self._bindings.shown, encoded, staged=elsewhere)
        log.next_sequence += transactions
        self._idle_steps = 0
        if written:
            self._appended(turn)
        if log.starved or (self.options.maxmemory and log.position - self._memory_checked_at > MEMORY_CHECK_BYTES):
            self.check_refusal()
        return turn

    def _appended(self, turn: int) -> None:
        self.appended_turn = turn
        if self.options.fsync != "always":
            # The choice was made to answer before the sync: nothing waits, and nothing is hidden.
            self.durable_turn = turn
            self._bindings.forget_before_images()
            if self._tail is not None:
                self._tail.durable(turn)

    def begin_sync(self) -> SyncTicket | None:
        """What to sync so that all turns appended so far are durable; None when they are. One sync at a time.

        While frames are held for want of space nothing is begun: the before-images of held and written turns are not
        kept apart. What was written then waits for room as well.
        """
        if self.failed is not None:
            raise self.failed
        if self.log.holding:
            return None
        assert not self.log.sync_under_way, "one sync at a time: the images of the one under way would be lost"
        assert not self.ops, "end the turn first: a sync must not move the before-images of what is not in the log"
        ticket = self.log.begin_sync(self.appended_turn)
        if ticket is not None:
            for keyspace in self._bindings.keyspaces_with_images():
                keyspace.begin_sync()
        return ticket

    def finish_sync(self, ticket: SyncTicket) -> None:
        """The sync of *ticket* succeeded, and only then: now its turns are durable. DiskFailure after another one."""
        if self.failed is not None:
            raise self.failed
        self.log.finish_sync(ticket)
        self.durable_turn = max(self.durable_turn, ticket.turn)
        for keyspace in self._bindings.keyspaces_with_images():
            keyspace.finish_sync()
        self._bindings.let_replaced_go()
        if self._tail is not None:
            self._tail.durable(self.durable_turn)

    def sync(self) -> None:
        """Sync here and now. DiskFailure is final."""
        ticket = self.begin_sync()
        if ticket is not None:
            self._final(lambda: self.log.sync(ticket))
            self.finish_sync(ticket)

    # --- Followers --------------------------------------------------------------------------------------------------

    def follow(self, deliver: Deliver) -> int:
        """From the next turn on hand each turn over when it is durable; the sequence number that it will begin with.

        The open turn is ended first (DiskFailure), so what is committed so far is not handed over, durable or not.
        One at a time: whoever followed before does not any more.
        """
        self.end_turn()
        self.holds_staged_parts = False
        self._tail = Tail(deliver, self._bindings.shown)
        return self.log.next_sequence

    def unfollow(self) -> None:
        """Hand nothing over any more: it costs nothing then."""
        self._tail = None

    def _final(self, action: Callable[[], bool | None]) -> bool | None:
        if self.failed is not None:
            raise self.failed
        try:
            return action()
        except DiskFailure as error:
            self.failed = error
            raise

    # --- Housekeeping -----------------------------------------------------------------------------------------------

    def housekeep(self, budget_ms: float) -> None:
        """A slice of whatever waits; call it every 100 ms or oftener. It may record operations: end the turn after it.

        Expiry, freeing of flushed keyspaces, the key index, space for the log, the mark of an idle log, and the next
        step of maintenance, each bounded.
        """
        if self.failed is not None:
            raise self.failed
        self.clock.refresh()
        deadline = time.perf_counter() + budget_ms / 1000
        bindings = self._bindings
        if self.options.fsync != "always":
            bindings.let_replaced_go()
        if self.active_expire:
            bindings.expire_slice(int(budget_ms * 1000))
        bindings.free_until(deadline)
        bindings.index_until(deadline)
        if self.log.holding or self.log.starved:
            self._resume()
        self._mark_when_idle()
        self._final(self.maintenance.step)
        if self.options != self._chosen:
            self._follow_choice()
        self.check_refusal()

    @property
    def at_rest(self) -> bool:
        """Whether housekeeping has nothing more to do until the next change; keys that will expire are not counted."""
        log = self.log
        waiting = self.ops or not self._bindings.at_rest
        on_disk = log.holding or log.starved or log.retired or self.maintenance.working or self._mark_is_due()
        return not (waiting or on_disk or self.options != self._chosen)

    def _resume(self) -> None:
        self._final(self.log.resume)
        last = self.open_turn - 1
        if not self.log.holding and last > self.appended_turn:
            self._appended(last)

    def _mark_when_idle(self) -> None:
        # So that a torn tail can be told from damage in what was written last.
        self._idle_steps += 1
        if self._idle_steps > IDLE_STEPS_BEFORE_MARK and self._mark_is_due():
            self.append_mark()

    def _mark_is_due(self) -> bool:
        # A mark at the log's end is enough; that it was synced itself calls for no other one.
        log = self.log
        return log.marked_position < log.durable_position == log.position != self._mark_end

    def append_mark(self) -> None:
        """Write a frame that says how far the log is durable."""
        self.append_outside_turns(MARK, b"", 0)
        self._mark_end = self.log.position

    def append_outside_turns(self, kind: int, payload: bytes, number: int) -> None:
        """Write a frame that commits nothing. DiskFailure."""
        self._final(lambda: self.log.append([(kind, payload, number)], self.clock.now_ms))

    def build_index(self) -> None:
        """Build the ordered key indexes in later housekeeping slices, unless they exist."""
        self._bindings.build_index()

    def index_until(self, deadline_s: float) -> bool:
        """Go on building the key indexes until that moment of `time.perf_counter`; whether there is more to do."""
        return self._bindings.index_until(deadline_s)

    def request_checkpoint(self) -> None:
        """Make a checkpoint as soon as possible."""
        self.maintenance.request_checkpoint()

    def check_refusal(self) -> None:
        """Find out anew whether changes that grow the data are refused; otherwise done every 256 KiB of log."""
        self._memory_checked_at = self.log.position
        refusal = None
        if self.log.starved or self.log.holding:
            refusal = DISK_FULL
        elif self.options.maxmemory and self.used_bytes() > self.options.maxmemory:
            refusal = OUT_OF_MEMORY
        if refusal != self.refusal:
            self.refusal = refusal
            self.on_refusal_change()

    @property
    def history_id(self) -> str:
        """In one history a sequence number never means anything else."""
        return self.maintenance.manifest.history

    @property
    def first_kept_sequence(self) -> int:
        """The first transaction that can still be read from the log."""
        return floor_of(self.maintenance.manifest)

    @property
    def expired_keys(self) -> int:
        """How many keys of users were removed because their time was up, by themselves or when a change met them."""
        return self._bindings.expired_keys

    @property
    def pending_frees(self) -> int:
        """Pieces of flushed keyspaces whose memory is still to be given back."""
        return self._bindings.pending_frees

    def used_bytes(self) -> int:
        """Estimated memory of all data, the system's included."""
        return self._bindings.used_bytes()

    def info(self) -> EngineInfo:
        """The engine's facts."""
        maintenance = self.maintenance
        generations = maintenance.manifest.generations
        newest = generations[-1].checkpoint
        return EngineInfo(
            keys=sum(len(database.keyspace) for database in self.databases),
            used_bytes=self.used_bytes(),
            log_position=self.log.position,
            durable_position=self.log.durable_position,
            next_sequence=self.log.next_sequence,
            syncs=self.log.syncs,
            stored_bytes=sum(generation.stored_bytes() for generation in generations) + self.log.segment.end,
            checkpoint_bytes=newest.length if newest else 0,
            checkpoint_running=maintenance.checkpoint_running,
            checkpoints=maintenance.checkpoints,
            last_checkpoint_ms=maintenance.last_checkpoint_ms,
            checkpoint_failed=maintenance.checkpoint_failed,
            expired_keys=self.expired_keys,
            torn_bytes=self.torn_bytes,
            generations=len(generations),
        )

    # --- End --------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the turn, sync, mark the log as whole, let the directory go. DiskFailure when that cannot be done."""
        try:
            self.maintenance.stop()
            if self.failed is None:
                self.end_turn()
                if self.log.holding:
                    self._resume()
                self.sync()
                if self._mark_is_due():
                    self.append_mark()
                    self.sync()
                if self.log.durable_position == self.log.position:
                    self._final(self.maintenance.end_cleanly)
        finally:
            self.log.close()
            self._lock.release()

    def abandon(self) -> None:
        """In a forked child: let go of the descriptors without touching what the parent has."""
        self._lock.abandon()
        self.log.close()
