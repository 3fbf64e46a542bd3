"""The sync helper is a real process here: what it answers, and what its death means."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from keystead.errors import DiskFailure
from keystead.server import sync_helper
from keystead.server.sync_process import SyncProcess

PATIENCE_S = 20.0


class Witness:
    """The helper, and what it has answered."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.synced = 0
        self.took_s: list[float] = []
        self.failures: list[DiskFailure] = []
        self.helper = SyncProcess(loop, self._count, self.failures.append)
        self.helper.start()

    def _count(self, took_s: float) -> None:
        self.synced += 1
        self.took_s.append(took_s)

    async def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            await asyncio.sleep(0.005)


@pytest.fixture
def play() -> Iterator[Callable[[Callable[[Witness], Coroutine[Any, Any, None]]], None]]:
    loop = asyncio.new_event_loop()
    witnesses: list[Witness] = []

    def run(scene: Callable[[Witness], Coroutine[Any, Any, None]]) -> None:
        witnesses.append(Witness(loop))
        loop.run_until_complete(scene(witnesses[0]))

    yield run
    for witness in witnesses:
        witness.helper.close()
    loop.close()


Play = Callable[[Callable[[Witness], Coroutine[Any, Any, None]]], None]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_syncs_what_it_is_given_again_and_again(play: Play, tmp_path: Path) -> None:
    async def scene(witness: Witness) -> None:
        with (tmp_path / "one").open("wb") as one, (tmp_path / "two").open("wb") as two:
            for count in range(1, 4):
                one.write(b"x")
                witness.helper.request([one.fileno(), two.fileno()])
                await witness.until(lambda count=count: witness.synced == count)  # type: ignore[misc]
        assert witness.failures == []
        assert min(witness.took_s) > 0
        if os.path.isdir("/proc/self/fd"):
            # It keeps none of the descriptors: a store that is closed is not held open by its helper.
            descriptors = Path(f"/proc/{witness.helper.pid}/fd")
            held = [os.readlink(descriptor) for descriptor in descriptors.iterdir()]
            assert not [name for name in held if name.startswith(str(tmp_path))]

    play(scene)


def test_on_macos_a_sync_reaches_the_medium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 12: what fsync does there leaves data in the drive's cache."""
    full_fsync = 51
    asked: list[int] = []
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with monkeypatch.context() as macos:
        macos.setattr("sys.platform", "darwin")
        macos.setattr(fcntl, "F_FULLFSYNC", full_fsync, raising=False)
        macos.setattr(fcntl, "fcntl", lambda _fd, command: asked.append(command))
        assert sync_helper.sync([descriptor]) == 0
    assert asked == [full_fsync]


def test_a_sync_that_fails_is_final_and_says_why(play: Play) -> None:
    async def scene(witness: Witness) -> None:
        reading, writing = os.pipe()  # a pipe cannot be synced
        witness.helper.request([writing])
        await witness.until(lambda: bool(witness.failures))
        os.close(reading)
        os.close(writing)
        assert [str(failure) for failure in witness.failures] == ["syncing the log: Invalid argument"]
        assert witness.synced == 0
        with pytest.raises(AssertionError):
            witness.helper.request([0])

    play(scene)


def test_its_death_during_a_sync_is_final(play: Play, tmp_path: Path) -> None:
    async def scene(witness: Witness) -> None:
        os.kill(witness.helper.pid, signal.SIGSTOP)  # so that the request is outstanding for certain
        with (tmp_path / "file").open("wb") as file:
            witness.helper.request([file.fileno()])
            os.kill(witness.helper.pid, signal.SIGKILL)
            await witness.until(lambda: bool(witness.failures))
        assert [str(failure) for failure in witness.failures] == ["the sync helper died with status -9 during a sync"]
        assert witness.synced == 0

    play(scene)


def test_one_that_dies_idle_is_replaced(play: Play, tmp_path: Path) -> None:
    async def scene(witness: Witness) -> None:
        first = witness.helper.pid
        os.kill(first, signal.SIGKILL)
        await witness.until(lambda: witness.helper.pid != first)
        with (tmp_path / "file").open("wb") as file:
            witness.helper.request([file.fileno()])
            await witness.until(lambda: witness.synced == 1)
        assert witness.failures == []

    play(scene)


def test_one_that_died_unheard_is_replaced_by_the_next_request(play: Play, tmp_path: Path) -> None:
    async def scene(witness: Witness) -> None:
        os.kill(witness.helper.pid, signal.SIGKILL)
        witness.helper._process.wait()
        with (tmp_path / "file").open("wb") as file:
            witness.helper.request([file.fileno()])
            await witness.until(lambda: witness.synced == 1)
        assert witness.failures == []

    play(scene)


def test_it_does_not_stop_on_the_signals_that_stop_the_server(play: Play, tmp_path: Path) -> None:
    async def scene(witness: Witness) -> None:
        with (tmp_path / "file").open("wb") as file:
            witness.helper.request([file.fileno()])
            await witness.until(lambda: witness.synced == 1)
            for number in (signal.SIGTERM, signal.SIGINT):
                os.kill(witness.helper.pid, number)
            witness.helper.request([file.fileno()])
            await witness.until(lambda: witness.synced == 2)

    play(scene)


def test_it_ends_with_its_parent(play: Play) -> None:
    async def scene(witness: Witness) -> None:
        pid = witness.helper.pid
        witness.helper.close()
        assert not is_running(pid)
        witness.helper.start()  # for the fixture to close

    play(scene)
