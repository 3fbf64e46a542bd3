"""The process that takes, verifies and lists backups for a server, which asks for it and looks on.

Owns: one order (orders.py) from its line to its outcome. Must not know: the server. It reads the data directory like
any backup, whoever has it open.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time

import msgspec

from keystead.backup.failures import Damage, DamagedBackup
from keystead.backup.lease import leased
from keystead.backup.looking import allow_many_files
from keystead.backup.noting import note, note_place
from keystead.backup.orders import Order, Outcome, Report, Stored
from keystead.backup.places import is_inside, place_at
from keystead.backup.repository import Repository
from keystead.backup.taking import Taking
from keystead.backup.verifying import verify
from keystead.engine.background_process import end_with_parent
from keystead.engine.files import Directory
from keystead.errors import KeysteadError

REPORT_S = 0.1
NICENESS = 15


def main() -> None:
    """Entry point of the process."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    end_with_parent()
    os.nice(NICENESS)
    try:
        outcome = carry_out(order)
    except (KeysteadError, OSError) as error:
        sys.exit(str(error))
    _tell(Report(outcome=outcome))


def carry_out(order: Order) -> Outcome:
    """Do it. Raises KeysteadError and OSError for what cannot be done; damage of the backup is an outcome."""
    repository = Repository(place_at(order.place))
    if order.deed == "take":
        return _take(order, repository)
    if order.deed == "verify":
        return _verify(repository)
    return _listed(repository)


def _take(order: Order, repository: Repository) -> Outcome:
    if is_inside(order.place, order.directory):
        raise KeysteadError(f"{order.place} is in {order.directory}: a backup there would be lost with it")
    allow_many_files()
    directory, place = Directory(order.directory), repository.place
    with leased(place) as lease:
        taking = Taking(directory, repository, check_lease=lease.check, report=_Teller())
        with contextlib.closing(taking):
            note_place(directory, place.address)
            snapshot = taking.take(with_digest=True)
            unnoted = note(directory, place.address, snapshot)
    outcome = _listed(repository)
    outcome.snapshot, outcome.copied_bytes, outcome.unnoted = snapshot.id, taking.copied_bytes, unnoted
    return outcome


def _verify(repository: Repository) -> Outcome:
    try:
        verified = verify(repository, None, None, _Teller())
    except DamagedBackup as error:
        outcome = _listed(repository)
        outcome.damage = _in_words(error.damage)
        return outcome
    outcome = _listed(repository)
    outcome.snapshot, outcome.keys = verified.snapshot.id, verified.keys
    return outcome


def _listed(repository: Repository) -> Outcome:
    damage: list[Damage] = []
    snapshots = [
        Stored(each.id, each.taken_ms, each.sequence, sum(part.length for part in each.objects().values()))
        for each in repository.snapshots(damage)
    ]
    return Outcome(snapshots, sum(repository.objects().values()), damage=_in_words(damage))


def _in_words(damage: list[Damage]) -> list[str]:
    return [f"{each.file}: {each.reason}" for each in damage]


class _Teller:
    """Tells how far it has come, ten times a second at most."""

    def __init__(self) -> None:
        self._stage = ""
        self._told_s = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now_s = time.monotonic()
        if stage != self._stage or now_s - self._told_s > REPORT_S:
            self._stage, self._told_s = stage, now_s
            _tell(Report(stage, done, total))


def _tell(report: Report) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
