"""keystead compact: makes a checkpoint of a store that is not served, here and now."""

from __future__ import annotations

import time
from typing import Final

from keystead.cli.offline import changing, refuse_missing
from keystead.cli.options import CommandLine
from keystead.cli.progress import Progress, duration, size
from keystead.engine.background import InlineBackground
from keystead.engine.compaction import compacting
from keystead.engine.engine import Engine
from keystead.engine.files import Directory
from keystead.engine.manifest import CheckpointRecord
from keystead.errors import DiskFull, KeysteadError

_DESCRIPTION: Final = """\
Make a checkpoint of a data directory now, so that its next start reads that
instead of the log. Data and history stay as they are. No server may have the
directory open; a running server makes checkpoints by itself, and on BGSAVE."""

_PATIENCE_S: Final = 10.0


class CheckpointNotMade(KeysteadError):
    """The checkpoint failed; the store is as it was."""


def run_compact(arguments: list[str]) -> int:
    """Make the checkpoint and say what came of it."""
    _, settings = CommandLine("compact", _DESCRIPTION, ["dir"]).parse(arguments)
    refuse_missing(settings.directory)
    began_s = time.monotonic()
    with Progress("making a checkpoint") as progress, changing(settings, _Here(progress)) as engine:
        if _has_all(engine):
            print(f"{settings.directory}: nothing to do, the newest checkpoint has everything")
            return 0
        _make_checkpoint(engine)
        info = engine.info()
    print(
        f"{settings.directory}: checkpoint of {info.keys:,} keys, {size(info.checkpoint_bytes)}, "
        f"made in {duration(time.monotonic() - began_s)}"
    )
    return 0


def _has_all(engine: Engine) -> bool:
    checkpoint = engine.maintenance.manifest.current.checkpoint
    return engine.info().next_sequence == (checkpoint.sequence if checkpoint else 1)


def _make_checkpoint(engine: Engine) -> None:
    engine.request_checkpoint()
    deadline_s = time.monotonic() + _PATIENCE_S
    while engine.maintenance.busy:
        engine.housekeep(1.0)
        engine.end_turn()
        engine.sync()
        if engine.maintenance.checkpoint_failed:
            raise CheckpointNotMade(f"no checkpoint was made: {engine.maintenance.failure_reason}")
        if time.monotonic() > deadline_s and not engine.maintenance.checkpoint_running:
            raise DiskFull("no space left to make a checkpoint")


class _Here(InlineBackground):
    """Makes the checkpoint in this process, and shows how far it is."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def compact(self, directory: Directory, number: int) -> CheckpointRecord:
        result: list[CheckpointRecord] = []
        done = before = 0
        for step in compacting(directory, number, result):
            # Each file counts from zero again.
            done += step.done - before if step.done >= before else step.done
            before = step.done
            self._progress.update(done, 0)
        return result[0]
