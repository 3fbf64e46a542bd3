"""What is known of the places of backups, when one is looked at while a backup is taken there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from keystead.backup.orders import Deed, Outcome, Stored
from keystead.server.backups import Backups

if TYPE_CHECKING:
    from pathlib import Path

    from keystead.engine.engine import Engine
    from keystead.server.backups import Run


class Held(Backups):
    """Its processes answer when told to."""

    def __init__(self, place: Path) -> None:
        super().__init__(cast("Engine", None), [str(place)])
        self.answers: dict[Deed, asyncio.Future[Outcome]] = {}

    async def _ordered(self, deed: Deed, address: str, run: Run | None) -> Outcome:  # noqa: ARG002
        self.answers[deed] = asyncio.get_running_loop().create_future()
        return await self.answers[deed]


def outcome(*snapshots: str) -> Outcome:
    return Outcome([Stored(name, 1, 1, 1) for name in snapshots], stored_bytes=len(snapshots))


def known(place: Path, *ends: tuple[Deed, Outcome | OSError]) -> tuple[list[str], str]:
    """The names of the snapshots and the failure that are told when a look and a backup end in this order."""

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            tasks = {"list": group.create_task(backups.look()), "take": group.create_task(backups.take(str(place)))}
            await asyncio.sleep(0)
            for deed, end in ends:
                if isinstance(end, OSError):
                    backups.answers[deed].set_exception(end)
                else:
                    backups.answers[deed].set_result(end)
                await tasks[deed]

    backups = Held(place)
    asyncio.run(run())
    (told,) = backups.places.values()
    return [stored.id for stored in told.snapshots or ()], told.failure


def test_a_look_that_began_before_a_backup_ended_hides_it_not(tmp_path: Path) -> None:
    assert known(tmp_path, ("take", outcome("new")), ("list", outcome())) == (["new"], "")
    assert known(tmp_path, ("take", outcome("new")), ("list", OSError("away"))) == (["new"], "")


def test_a_backup_that_ends_later_is_what_is_told(tmp_path: Path) -> None:
    assert known(tmp_path, ("list", outcome("old")), ("take", outcome("old", "new"))) == (["old", "new"], "")
    assert known(tmp_path, ("list", OSError("away")), ("take", outcome("new"))) == (["new"], "")


def test_a_look_tells_of_a_place_that_cannot_be_read(tmp_path: Path) -> None:
    assert known(tmp_path, ("list", OSError("away")), ("take", OSError("full"))) == ([], "away")
