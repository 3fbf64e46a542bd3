"""The server's side of its backups: where there may be some, what is there, and one taken or verified at a time by a
process of its own.

Only the places of the setting `backup-places` are written and read: whoever asks over the network names one of them,
and no other path. Must not know: how a backup is made (keystead.backup), HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from keystead.backup.orders import Deed, Order, Outcome, Report, Stored
from keystead.engine.remembered import Remembered, remembered
from keystead.server.reporting import ProcessFailed, reports_of

if TYPE_CHECKING:
    from keystead.engine.engine import Engine

log = logging.getLogger("keystead.server")

Result: TypeAlias = Literal["taken", "sound", "damaged", "failed"]

LOOKED_FOR_S: Final = 60.0
"""So long what was found at a place is told without looking again."""
_MODULE: Final = "keystead.backup.carrying_out"
_decode = msgspec.json.Decoder(Report).decode


class Run(msgspec.Struct):
    """One backup, or one verification."""

    deed: Literal["take", "verify"]
    place: str
    began_ms: int
    ended_ms: int | None = None
    stage: str = ""
    """What is being done now."""
    done_bytes: int = 0
    total_bytes: int = 0
    """Of the stage."""
    result: Result | None = None
    """None while it runs; "failed": it could not be carried out, for this `reason`."""
    reason: str = ""
    snapshot: str = ""
    copied_bytes: int = 0
    damage: list[str] = []


class Place(msgspec.Struct):
    """A place where there may be backups, and what is known of it."""

    place: str
    snapshots: list[Stored] | None = None
    """Oldest first; None: nobody has looked yet."""
    stored_bytes: int | None = None
    """What all of them take together."""
    looked_ms: int | None = None
    damage: list[str] = []
    """Snapshots that cannot be read."""
    failure: str = ""
    """Why nobody could look."""
    verified: Run | None = None
    """The last verification since the server started."""


class Backups:
    """What is known of the backups of one store."""

    def __init__(self, engine: Engine, places: Iterable[str]) -> None:
        self._engine = engine
        self.places = {address: Place(address) for address in map(_absolute, places)}
        self.running: Run | None = None
        self.last: Run | None = None
        self._looked_s: dict[str, float] = {}
        self.looking = False

    def allowed(self, address: str) -> str | None:
        """The place that is called so; None when backups may not be made there."""
        absolute = _absolute(address)
        return absolute if absolute in self.places else None

    def remembered(self) -> list[Remembered]:
        """What the store itself remembers, of other places too. DamagedData, OSError."""
        return remembered(self._engine.directory)

    async def take(self, place: str) -> None:
        """Take a backup. To be started only while nothing is `running`."""
        await self._run(Run("take", place, _now_ms()))

    async def verify(self, place: str) -> None:
        """Verify the newest backup. To be started only while nothing is `running`."""
        await self._run(Run("verify", place, _now_ms()))

    async def look(self) -> None:
        """Look at the places that nobody has looked at for a while, one after the other."""
        if self.looking:
            return
        self.looking = True
        try:
            for address in [address for address in self.places if self._is_stale(address)]:
                await self._look(address)
        finally:
            self.looking = False

    def is_stale(self) -> bool:
        """Whether there is something to look at."""
        return not self.looking and any(map(self._is_stale, self.places))

    def _is_stale(self, address: str) -> bool:
        return time.monotonic() - self._looked_s.get(address, float("-inf")) > LOOKED_FOR_S

    async def _look(self, address: str) -> None:
        place, began_s = self.places[address], time.monotonic()
        outcome, failure = None, ""
        try:
            outcome = await self._ordered("list", address, None)
        except (OSError, ProcessFailed) as error:
            failure = str(error)
        if self._looked_s.get(address, began_s) > began_s:
            return  # a backup has ended meanwhile, and told what may not have been there yet to be found
        if outcome is not None:
            self._know(place, outcome)
        place.failure = failure
        self._looked_s[address] = time.monotonic()

    def _know(self, place: Place, outcome: Outcome) -> None:
        place.snapshots, place.stored_bytes, place.looked_ms = outcome.snapshots, outcome.stored_bytes, _now_ms()
        place.damage = outcome.damage
        place.failure = ""
        self._looked_s[place.place] = time.monotonic()

    async def _run(self, run: Run) -> None:
        self.running = self.last = run
        run.result = None
        try:
            run.result = self._taken_in(run, await self._ordered(run.deed, run.place, run))
        except (OSError, ProcessFailed) as error:
            log.error("the backup in %s: %s", run.place, error)
            run.result, run.reason = "failed", str(error)
        except asyncio.CancelledError:
            run.result, run.reason = "failed", "the server was stopped"
            raise
        finally:
            self.running = None
            run.ended_ms = _now_ms()

    def _taken_in(self, run: Run, outcome: Outcome) -> Result:
        place = self.places[run.place]
        self._know(place, outcome)
        run.snapshot, run.copied_bytes, run.damage = outcome.snapshot, outcome.copied_bytes, outcome.damage
        if run.deed == "take":
            run.reason = f"the store does not remember it: {outcome.unnoted}" if outcome.unnoted else ""
            log.info("backup %s taken in %s, %d bytes copied", run.snapshot, run.place, run.copied_bytes)
            return "taken"
        place.verified = run
        for damage in run.damage:
            log.error("damaged backup: %s", damage)
        return "damaged" if run.damage else "sound"

    async def _ordered(self, deed: Deed, address: str, run: Run | None) -> Outcome:
        """What came of it; meanwhile *run* tells how far it is."""
        order = Order(deed, address, os.path.abspath(self._engine.path))
        outcome: Outcome | None = None
        async with aclosing(reports_of(_MODULE, order)) as lines:
            async for line in lines:
                report = _decode(line)
                outcome = report.outcome
                if run is not None and outcome is None:
                    run.stage, run.done_bytes, run.total_bytes = report.stage, report.done_bytes, report.total_bytes
        if outcome is None:
            raise ProcessFailed("it ended without an answer")
        return outcome


def _absolute(address: str) -> str:
    return address.rstrip("/") if "://" in address else os.path.abspath(address)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
