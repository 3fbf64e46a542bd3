"""Rotation, sealing, checkpoints, retention: what becomes of files. The only writer of the manifest.

Owns: when each step happens. `step` decides and never waits; the steps themselves are jobs in the background, one at a
time, each a function of a manifest that returns the next one. Must not know: keyspaces, turns.
"""

from __future__ import annotations

import copy
import errno
import secrets
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from keystead.engine import manifest as manifests
from keystead.engine.background import (
    Background,
    InlineBackground,
    ProcessFailed,
    Task,
    ThreadBackground,
)
from keystead.engine.checkpoint import UNFINISHED
from keystead.engine.erasure import Erasure, Forgetting, Rewritten
from keystead.engine.format import FILE_HEADER
from keystead.engine.index_upkeep import IndexUpkeep
from keystead.engine.log import NO_SPACE, Log, Segment
from keystead.engine.manifest import CheckpointRecord, Generation, Manifest, SegmentRecord
from keystead.engine.reserve import Reserve
from keystead.engine.retention import KeptHistory, Retention, kept_history
from keystead.errors import DamagedData, DiskFailure

if TYPE_CHECKING:
    from keystead.engine.clock import Clock
    from keystead.engine.files import Directory, File

__all__ = ["Background", "InlineBackground", "Maintenance", "Retention", "ThreadBackground"]

RETRY_MS = 30_000
"""How long after a checkpoint failed the next one is tried by itself."""
SHORTAGES = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN))
"""The system is short of something for the moment: that says nothing about the disk."""
SHORTAGE_RETRY_MS = 1_000


class Maintenance:
    """Looks after the files of one open store."""

    def __init__(
        self,
        directory: Directory,
        manifest: Manifest,
        log: Log,
        background: Background,
        clock: Clock,
        retention: Retention,
        segment_bytes: int,
    ) -> None:
        self._directory = directory
        self.manifest = manifest
        self._log = log
        self._background = background
        self._clock = clock
        self.retention = retention
        self._segment_bytes = segment_bytes
        self._reserve = Reserve(directory, clock)
        self._indexes = IndexUpkeep(directory, background, clock)
        self._task: Task[Callable[[], None]] | None = None
        self._wishes: list[int] = []
        """Checkpoints up to these segments were asked for; the next one is made as soon as the first of them is sealed,
        for whoever asks again and again would put it off for ever."""
        self._forgettings: list[Forgetting] = []
        """In the order in which they were asked for; the first one may be under way."""
        self.on_forgotten: Callable[[], None] = lambda: None
        """Called when files were replaced by others in which something is erased, and are gone."""
        self._unsynced_wanted = False
        """The manifest is to say that commits are acknowledged before they are synced."""
        self._kinds = deque(
            (self._segment_job, self._due_forgetting, self._due_checkpoint, self._due_retention, self._due_reserve)
        )
        """What may be due, the kind that had its turn last at the end: none is always behind another. When much is
        written there is always a segment to seal or to prepare."""
        self._not_before_ms = 0
        self._checkpoint_not_before_ms = 0
        self._forgetting_runs = False
        self.checkpoint_running = False
        self.checkpoint_failed = False
        self.failure_reason = ""
        self.checkpoints = 0
        self.checkpoint_began_ms = 0
        """Of the checkpoint that runs, or the last one."""
        self.last_checkpoint_took_ms = -1
        """-1 while none was made since the start."""
        self.last_checkpoint_ms = clock.now_ms

    @property
    def busy(self) -> bool:
        """Whether a checkpoint runs or is asked for."""
        return self.checkpoint_running or bool(self._wishes)

    @property
    def working(self) -> bool:
        """Whether anything is under way or asked for."""
        return self._task is not None or self.busy or bool(self._forgettings)

    @property
    def forgetting(self) -> int:
        """How many wishes to forget are not done yet."""
        return len(self._forgettings)

    def kept_history(self) -> KeptHistory:
        """What is kept of the past."""
        return kept_history(self._directory, self.manifest, self.retention)

    def request_checkpoint(self) -> None:
        """A checkpoint of everything committed so far, as soon as it can be made."""
        last = self._last_segment()
        if last and last not in self._wishes:
            self._wishes.append(last)
        self._not_before_ms = self._checkpoint_not_before_ms = 0

    def request_forgetting(self, erasure: Erasure) -> Forgetting:
        """Erase that from the files, as soon as its transaction is sealed. See docs/format.md, "Erasing"."""
        forgetting = Forgetting(erasure, self._last_segment())
        self._forgettings.append(forgetting)
        self._not_before_ms = 0
        return forgetting

    def _last_segment(self) -> int:
        """The number of the last segment that has frames."""
        segment = self._log.segment
        has_frames = segment.end > FILE_HEADER.size or self._log.holding
        return segment.number if has_frames else segment.number - 1

    def admit_unsynced(self) -> None:
        """Let the manifest say that commits are acknowledged before they are synced; see `manifest.unsynced`."""
        self._unsynced_wanted = True

    def step(self) -> None:
        """Take in what a job has done, or start the job that is due. DiskFailure is final."""
        self._step_job()
        # Without history none are built: who asks all the same, of the newest generation, builds them in memory.
        has_room = not (self._log.starved or self._log.holding)
        self._indexes.step(self.manifest, wanted=has_room and not self.retention.keeps_nothing)

    def _step_job(self) -> None:
        if self._task is not None:
            if not self._task.done:
                return
            task, self._task = self._task, None
            self._take_in(task)
        job = self._next_job()
        if job is not None:
            self._task = self._background.start(job)
            if self._task.done:
                self._step_job()

    def _take_in(self, task: Task[Callable[[], None]]) -> None:
        was_checkpoint, self.checkpoint_running = self.checkpoint_running, False
        was_forgetting, self._forgetting_runs = self._forgetting_runs, False
        try:
            task.result()()
        except (ProcessFailed, DamagedData) as error:
            self._failed(str(error), was_checkpoint, was_forgetting)
        except OSError as error:
            if error.errno not in NO_SPACE | SHORTAGES:
                raise DiskFailure(f"maintaining {self._directory.path}: {error.strerror}") from error
            self._not_before_ms = self._clock.now_ms + SHORTAGE_RETRY_MS
            self._failed(str(error), was_checkpoint, was_forgetting)
            if error.errno in NO_SPACE:
                self._refuse_to_forget(str(error))

    def _failed(self, reason: str, was_checkpoint: bool, was_forgetting: bool) -> None:
        if was_checkpoint:
            self._checkpoint_failed(reason)
        if was_forgetting:
            self._forgettings.pop(0).failure = reason

    def _refuse_to_forget(self, reason: str) -> None:
        # Not even the end of the log can be sealed: whoever waits is told, rather than waiting for an empty disk.
        for forgetting in self._forgettings:
            forgetting.failure = reason
        self._forgettings.clear()

    def _checkpoint_failed(self, reason: str) -> None:
        self.checkpoint_failed = True
        self.failure_reason = reason
        self._wishes.clear()
        self._checkpoint_not_before_ms = self._clock.now_ms + RETRY_MS

    # --- What is due ------------------------------------------------------------------------------------------------

    def _next_job(self) -> Callable[[], Callable[[], None]] | None:
        if self._clock.now_ms < self._not_before_ms:
            return None
        if self._unsynced_wanted and not self.manifest.unsynced:
            return self._unsynced_job()
        if self._log.holding:
            return self._sealing_job()  # nothing is begun while the disk is full
        self._switch_if_due()
        for kind in tuple(self._kinds):
            job = kind()
            if job is not None:
                self._kinds.remove(kind)
                self._kinds.append(kind)
                return job
        return None

    def _switch_if_due(self) -> None:
        """Go on in the next segment, which is prepared. Takes no time, so it need not wait for its turn."""
        log = self._log
        is_due = self._is_waited_for() or log.segment.end >= self._segment_bytes
        if is_due and log.next_segment is not None and not (log.retired or log.staged):
            log.switch(self._clock.now_ms)

    def _is_waited_for(self) -> bool:
        """Whether somebody waits for the segment that is written to be sealed."""
        wanted = [*self._wishes[:1], *(forgetting.last_segment for forgetting in self._forgettings)]
        return 0 < self._log.segment.number <= max(wanted, default=0)

    def _segment_job(self) -> Callable[[], Callable[[], None]] | None:
        log = self._log
        if log.retired:
            return self._sealing_job()
        is_due = self._is_waited_for() or log.segment.end >= self._segment_bytes // 2
        return self._prepare_job() if is_due and log.next_segment is None else None

    def _sealing_job(self) -> Callable[[], Callable[[], None]] | None:
        retired = self._log.retired
        return self._seal_job(retired[0]) if retired and self._may_seal(retired[0]) else None

    def _due_forgetting(self) -> Callable[[], Callable[[], None]] | None:
        if self._forgettings and self._is_sealed(self._forgettings[0].last_segment):
            return self._forgetting_job(self._forgettings[0])
        return None

    def _due_checkpoint(self) -> Callable[[], Callable[[], None]] | None:
        return self._checkpoint_job() if self._checkpoint_due() else None

    def _due_retention(self) -> Callable[[], Callable[[], None]] | None:
        return self._retention_job() if self.retention.expired(self.manifest, self._clock.now_ms) else None

    def _due_reserve(self) -> Callable[[], Callable[[], None]] | None:
        is_due = not self._log.starved and self._reserve.due(self.manifest)
        return self._reserve.job(self.manifest) if is_due else None

    def _may_seal(self, segment: Segment) -> bool:
        # With fsync "always" sealing waits for the commits' own sync; otherwise it does the syncing.
        return not self._log.sync_under_way and (
            self._log.durable_position >= segment.base + segment.end or not self._log.syncs_commits
        )

    def _is_sealed(self, number: int) -> bool:
        """Whether all segments up to that one are."""
        return all(record.length is not None for record in self.manifest.current.segments if record.number <= number)

    def _sealed(self) -> list[SegmentRecord]:
        return [record for record in self.manifest.current.segments if record.length is not None]

    def _checkpoint_due(self) -> bool:
        if self._clock.now_ms < self._checkpoint_not_before_ms:
            return False
        sealed = self._sealed()
        if self._wishes:
            first = self._wishes[0]
            if not self._is_sealed(first):
                return False
            if not sealed:
                self._checkpoint_made(first)  # everything is in the last one already
                return False
            return True
        checkpoint = self.manifest.current.checkpoint
        limit = max(checkpoint.length if checkpoint else 0, self._segment_bytes)
        return sum(record.length or 0 for record in sealed) >= limit

    def _checkpoint_made(self, number: int) -> None:
        self._wishes = [wish for wish in self._wishes if wish > number]
        self.checkpoint_failed = False
        self.checkpoints += 1
        self.last_checkpoint_ms = self._clock.now_ms

    # --- Jobs: run in the background, touch no state of this object; what they return is run in the foreground -----

    def _unsynced_job(self) -> Callable[[], Callable[[], None]]:
        manifest, directory = copy.deepcopy(self.manifest), self._directory
        manifest.unsynced = True

        def job() -> Callable[[], None]:
            manifests.store(directory, manifest)
            return lambda: self._replaced(manifest)

        return self._reserve.given_up_for(job)

    def _replaced(self, manifest: Manifest) -> None:
        self.manifest = manifest

    def _prepare_job(self) -> Callable[[], Callable[[], None]]:
        manifest, directory, log = copy.deepcopy(self.manifest), self._directory, self._log
        record = SegmentRecord(log.segment.number + 1, f"{secrets.randbits(64):016x}")
        segments = list(manifest.current.segments)

        def job() -> Callable[[], None]:
            directory.remove(record.file)
            file = directory.create(record.file)
            try:
                log.zero_fill(file)
                file.sync()
                directory.sync()
                manifest.current.segments[:] = [*segments, record]
                # Named in a durable manifest before the first acknowledgement into it.
                manifests.store(directory, manifest)
            except BaseException:
                file.close()
                raise
            return lambda: self._prepared(manifest, file, record)

        return self._reserve.given_up_for(job)

    def _prepared(self, manifest: Manifest, file: File, record: SegmentRecord) -> None:
        self.manifest = manifest
        self._log.next_segment = (file, record.number, int(record.salt, 16))

    def _seal_job(self, segment: Segment) -> Callable[[], Callable[[], None]]:
        manifest, directory = copy.deepcopy(self.manifest), self._directory

        def job() -> Callable[[], None]:
            segment.file.truncate(segment.end)
            segment.file.sync()
            record = next(record for record in manifest.current.segments if record.number == segment.number)
            record.length, record.checksum = segment.end, segment.digest.hexdigest()
            record.time_ms = segment.last_ms
            manifests.store(directory, manifest)
            return lambda: self._sealed_one(manifest, segment)

        return job

    def _sealed_one(self, manifest: Manifest, segment: Segment) -> None:
        self.manifest = manifest
        self._log.sealed(segment)
        self._indexes.segments_changed()

    def _checkpoint_job(self) -> Callable[[], Callable[[], None]]:
        manifest, directory, background = copy.deepcopy(self.manifest), self._directory, self._background
        number = self._sealed()[-1].number
        self.checkpoint_running = True
        self.checkpoint_began_ms = self._clock.now_ms

        def job() -> Callable[[], None]:
            record = background.compact(directory, number)
            begin_generation(manifest, record)
            manifests.store(directory, manifest)
            return lambda: self._installed(manifest, number)

        return self._reserve.given_up_for(job)

    def _installed(self, manifest: Manifest, number: int) -> None:
        self.manifest = manifest
        self.last_checkpoint_took_ms = self._clock.now_ms - self.checkpoint_began_ms
        self._checkpoint_made(number)

    def _forgetting_job(self, forgetting: Forgetting) -> Callable[[], Callable[[], None]]:
        manifest, directory, background = copy.deepcopy(self.manifest), self._directory, self._background
        names = manifest.all_files()
        self._forgetting_runs = True

        def job() -> Callable[[], None]:
            rewritten = background.forget(directory, forgetting.erasure)
            rewritten.put_into(manifest)
            manifests.store(directory, manifest)
            # Only after the manifest that names the others is durable; and only when they are gone it is forgotten.
            try:
                for name in sorted((names - manifest.all_files()) | set(_unfinished_checkpoints(directory))):
                    directory.remove_slowly(name)
            except OSError as error:  # no second try: what it would rewrite is rewritten. A start removes them.
                raise DiskFailure(f"removing files of {directory.path}: {error.strerror}") from error
            directory.sync()
            return lambda: self._forgotten(manifest, forgetting, rewritten)

        return self._reserve.given_up_for(job)

    def _forgotten(self, manifest: Manifest, forgetting: Forgetting, rewritten: Rewritten) -> None:
        self.manifest = manifest
        self._forgettings.remove(forgetting)
        self.on_forgotten()
        forgetting.rewritten = rewritten
        self._indexes.segments_changed()

    def _retention_job(self) -> Callable[[], Callable[[], None]]:
        manifest, directory = copy.deepcopy(self.manifest), self._directory
        dropped = self.retention.expired(manifest, self._clock.now_ms)

        def job() -> Callable[[], None]:
            names = manifest.all_files()
            del manifest.generations[:dropped]
            manifests.store(directory, manifest)
            # Only after the manifest that no longer names them is durable.
            for name in sorted(names - manifest.all_files()):
                directory.remove_slowly(name)
            directory.sync()
            return lambda: self._replaced(manifest)

        return job

    def end_cleanly(self) -> None:
        """Everything acknowledged is durable and nothing more will be: let the manifest say so. DiskFailure.

        When the disk is full it stays unsaid; the next start then gives the history another id, which is no loss.
        """
        if not self.manifest.unsynced:
            return
        self.manifest.unsynced = self._unsynced_wanted = False
        try:
            manifests.store(self._directory, self.manifest)
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise DiskFailure(f"maintaining {self._directory.path}: {error.strerror}") from error

    def stop(self) -> None:
        """End what runs, and take it in."""
        self._background.stop()
        if self._task is not None and self._task.done:
            task, self._task = self._task, None
            self._take_in(task)


def _unfinished_checkpoints(directory: Directory) -> list[str]:
    """What processes left that were killed; now, in a job, none runs."""
    return [name for name in directory.names() if name.endswith(f".ckp{UNFINISHED}")]


def begin_generation(manifest: Manifest, record: CheckpointRecord) -> None:
    """Make *record* the start of a new generation, with the segments after it."""
    old = manifest.current
    later = [segment for segment in old.segments if segment.number > record.number]
    old.segments = [segment for segment in old.segments if segment.number <= record.number]
    manifest.generations.append(Generation(record, later))
