"""keystead backup: copies of a data directory elsewhere, served or not; what there is, and whether it is right."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from keystead.backup.cutting import written
from keystead.backup.failures import Damage, DamagedBackup
from keystead.backup.following import Lag, follow
from keystead.backup.lease import leased
from keystead.backup.looking import allow_many_files
from keystead.backup.noting import note, note_place
from keystead.backup.places import is_inside, place_at
from keystead.backup.repository import Repository
from keystead.backup.snapshots import Snapshot
from keystead.backup.taking import Taking, refuse_links_elsewhere
from keystead.backup.verifying import verify
from keystead.cli import UsageError
from keystead.cli.offline import refuse_missing
from keystead.cli.options import CommandLine
from keystead.cli.progress import Stages, duration, many, size
from keystead.config import Settings
from keystead.engine.files import Directory

_DESCRIPTION: Final = """\
Copy a data directory to DEST: a directory, or s3://bucket/prefix (with the
extra keystead[backup]). A server may have it open; it is not asked, and does
not wait. What DEST has already is not copied again. Other actions:

  keystead backup list DEST      the snapshots that there are
  keystead backup verify DEST    read everything, restore to scratch, compare"""

_LINKED: Final = (
    "these are hard links: the same bytes on the same disk. They outlive a deletion, not a disk that fails; "
    "that is not a backup"
)
_NICENESS: Final = 10
"""Of a backup that is taken once. Shipping is a promise of a second, and costs little: it has no less than others."""
_REMEMBER_EVERY_S: Final = 60.0
_LINE_EVERY_S: Final = 60.0


def run_backup(arguments: list[str]) -> int:
    """Run one action, or take a backup."""
    if arguments[:1] == ["list"]:
        return _list(arguments[1:])
    if arguments[:1] == ["verify"]:
        return _verify(arguments[1:])
    line = CommandLine("backup", _DESCRIPTION, ["dir"])
    line.usage = "keystead backup DEST [OPTIONS]"
    line.own.add_argument("place", metavar="DEST", help="a directory, or s3://bucket/prefix")
    line.own.add_argument(
        "--follow", action="store_true", help="go on: ship what is written, at least every second, and show the lag"
    )
    line.add_figure("--keep", None, "afterwards keep only the newest N snapshots")
    line.own.add_argument(
        "--link", action="store_true", help="hard links instead of copies, on the same disk: quick, and not a backup"
    )
    parsed, settings = line.parse(arguments)
    refuse_missing(settings.directory)
    _refuse_inside(parsed.place, settings.directory)
    allow_many_files()
    repository = Repository(place_at(parsed.place))
    if parsed.link:
        refuse_links_elsewhere(repository)
    with leased(repository.place) as lease, Stages() as stages:
        directory = Directory(str(settings.directory.absolute()))
        taking = Taking(directory, repository, link=parsed.link, check_lease=lease.check, report=stages.show)
        backup = _Backup(settings, directory, repository, taking, parsed.keep, parsed.link)
        with contextlib.closing(taking):
            if parsed.follow:
                backup.follow()
            else:
                backup.once(stages)
    return 0


def _refuse_inside(place: str, directory: Path) -> None:
    if is_inside(place, directory):
        raise UsageError(f"{place} is in {directory}: a backup there would be lost with it")


class _Backup:
    """One run of the command."""

    def __init__(
        self,
        settings: Settings,
        directory: Directory,
        repository: Repository,
        taking: Taking,
        keep: int | None,
        link: bool,
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._place = repository.place.address
        self._taking = taking
        self._keep = keep
        self._link = link
        self._remembered_s = 0.0

    def once(self, stages: Stages) -> None:
        """A snapshot of now, whenever the processor has nothing better to do."""
        os.nice(_NICENESS)
        began_s = time.monotonic()
        note_place(self._directory, self._place, linked=self._link)
        snapshot = self._taking.take(with_digest=True)
        self._remember(snapshot)
        stages.end()
        print(
            f"{self._settings.directory}: snapshot {snapshot.id} in {self._place}: "
            f"{_contents(snapshot)}, {size(self._taking.copied_bytes)} copied "
            f"in {duration(time.monotonic() - began_s)}"
        )
        if self._link:
            print(_LINKED)
        if removed := self._taking.prune(self._keep):
            print(f"{many(removed, 'older snapshot')} removed")

    def follow(self) -> None:
        """Snapshots of now, until told to stop."""
        show = _LagLine(self._place)
        note_place(self._directory, self._place, linked=self._link)

        def shipped(lag: Lag) -> None:
            show(lag)
            last = self._taking.last
            if last is not None and time.monotonic() - self._remembered_s > _REMEMBER_EVERY_S:
                self._remember(last)

        with _told_to_stop() as stopping:
            follow(self._taking, stopping, shipped, self._prune)
        show.end()
        if self._taking.last is not None:
            self._remember(self._taking.last)
            print(f"{self._settings.directory}: {_contents(self._taking.last)} in {self._place}")

    def _prune(self) -> None:
        """A damaged snapshot is no reason to stop shipping."""
        try:
            self._taking.prune(self._keep)
        except DamagedBackup as error:
            print(f"keystead: nothing is pruned: {error}", file=sys.stderr)

    def _remember(self, snapshot: Snapshot) -> None:
        """Let the directory know; the backup is as good without."""
        self._remembered_s = time.monotonic()
        reason = note(self._directory, self._place, snapshot, linked=self._link)
        if reason:
            print(f"keystead: {self._settings.directory} does not remember this backup: {reason}", file=sys.stderr)


def _contents(snapshot: Snapshot) -> str:
    if not snapshot.sequence:
        return "no transactions"
    return f"transactions up to {snapshot.sequence:,} of {written(snapshot.time_ms)}"


class _LagLine:
    """The lag: one line on a terminal; elsewhere one a minute, and when the place fails or works again."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._terminal = sys.stderr.isatty()
        self._shown_s = 0.0
        self._failure = ""
        self._drawn = False

    def __call__(self, lag: Lag) -> None:
        now_s = time.monotonic()
        changed = lag.failure != self._failure
        self._failure = lag.failure
        if self._terminal:
            sys.stderr.write(f"\r{self._text(lag)}\x1b[K")
            self._drawn = True
        elif changed or not self._shown_s or now_s - self._shown_s >= _LINE_EVERY_S:
            self._shown_s = now_s
            sys.stderr.write(self._text(lag) + "\n")
        sys.stderr.flush()

    def _text(self, lag: Lag) -> str:
        if lag.lag_ms < 0:
            return f"{self._place}: nothing shipped yet: {lag.failure}"
        text = f"{self._place}: shipped up to transaction {lag.sequence:,}, lag {duration(lag.lag_ms / 1000)}"
        return f"{text}; failing, tried again: {lag.failure}" if lag.failure else text

    def end(self) -> None:
        """Leave the line."""
        if self._drawn:
            sys.stderr.write("\n")


@contextlib.contextmanager
def _told_to_stop() -> Iterator[Callable[[float], bool]]:
    """Wait so many seconds, or until SIGTERM or SIGINT: then it is True."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop.wait
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- list, verify ----------------------------------------------------------------------------------------------------


def _list(arguments: list[str]) -> int:
    parsed, _ = _action("list", "Show the snapshots of a backup.").parse(arguments)
    repository = Repository(place_at(parsed.place))
    damage: list[Damage] = []
    for snapshot in repository.existing(damage):
        stored = sum(part.length for part in snapshot.objects().values())
        print(f"{snapshot.id}  taken {written(snapshot.taken_ms)}  {size(stored):>9}  {_contents(snapshot)}")
    if damage:
        raise DamagedBackup(damage)
    return 0


def _verify(arguments: list[str]) -> int:
    line = _action("verify", "Read everything in a backup, restore a snapshot to scratch, and compare its digest.")
    line.own.add_argument("--snapshot", metavar="ID", help="restore this one [the newest]")
    line.own.add_argument("--scratch", metavar="DIR", help="restore below this directory [the system's]")
    parsed, _ = line.parse(arguments)
    repository = Repository(place_at(parsed.place))
    with Stages() as stages:
        verified = verify(repository, parsed.snapshot, parsed.scratch, stages.show)
    compared = "its digest is right" if verified.digest_compared else "it was shipped continuously and has no digest"
    print(
        f"{many(verified.objects, 'file')} of {size(verified.bytes)} read, every checksum is right\n"
        f"snapshot {verified.snapshot.id} restored: {many(verified.keys, 'key')}, "
        f"{_contents(verified.snapshot)}; {compared}"
    )
    return 0


def _action(name: str, description: str) -> CommandLine:
    line = CommandLine(f"backup {name}", description, [])
    line.usage = f"keystead backup {name} DEST [OPTIONS]"
    line.own.add_argument("place", metavar="DEST", help="a directory, or s3://bucket/prefix")
    return line
