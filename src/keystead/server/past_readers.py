"""The server's side of the processes that read the past for followers: a few at a time, each for a while.

Owns: the processes, who waits for one. Must not know: what events mean, HTTP. See `execution/change_reader` for what
runs on the other side. A follower that reads slowly stops its process by the full pipe; so that it does not stop others
from having one, its process is ended after a while when somebody waits, and the follower goes on where it was, later.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from keystead.execution.change_events import Position
from keystead.execution.change_reader import BLOCK_BYTES, DROPPED_STATUS, NO_KEY, RECORD, Record, Request

log = logging.getLogger("keystead.server")

READERS = 4
TURN_S = 10.0
"""So long a process may run while others wait for one."""
SILENT_S = 1.0
"""Whoever waits is woken so often."""

_COMMAND = (sys.executable, "-m", "keystead.execution.change_reader")


class PastDropped(Exception):
    """What was asked for is not kept any more."""


class PastUnreadable(Exception):
    """The log could not be read; the text says why."""


class PastReaders:
    """Starts the processes, at most so many at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._free = asyncio.Semaphore(READERS)
        self._waiting = 0
        self._running: dict[_Turn, asyncio.subprocess.Process] = {}

    async def read(self, request: Request) -> AsyncGenerator[Record | None, None]:
        """What the process says; None now and then while it says nothing. PastDropped, PastUnreadable.

        May end early: then go on from the last record's position.
        """
        async for _ in self._wait_for_turn():
            yield None
        turn = _Turn(self._free)
        try:
            async with _process(request) as process:
                self._running[turn] = process
                self._loop.call_later(TURN_S, self._end_turn, turn, process)
                async for record in _records(process):
                    yield record
                if not turn.over:
                    await _check_end(process)
        finally:
            self._running.pop(turn, None)
            turn.end()

    def end_all(self) -> None:
        """End every reading: files have been replaced, and a process that has the old ones open reads on in them."""
        for turn, process in self._running.items():
            turn.end()
            if process.returncode is None:
                process.kill()

    async def _wait_for_turn(self) -> AsyncIterator[None]:
        self._waiting += 1
        try:
            while True:
                try:
                    await asyncio.wait_for(self._free.acquire(), SILENT_S)
                    return
                except TimeoutError:
                    yield
        finally:
            self._waiting -= 1

    def _end_turn(self, turn: _Turn, process: asyncio.subprocess.Process) -> None:
        if turn.over:
            return
        if self._waiting and process.returncode is None:
            turn.end()
            process.kill()
        else:
            self._loop.call_later(SILENT_S, self._end_turn, turn, process)


class _Turn:
    """One place among the readers, given back once."""

    def __init__(self, free: asyncio.Semaphore) -> None:
        self._free = free
        self.over = False

    def end(self) -> None:
        if not self.over:
            self.over = True
            self._free.release()


@asynccontextmanager
async def _process(request: Request) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*_COMMAND, stdin=pipe, stdout=pipe, stderr=pipe, limit=BLOCK_BYTES)
    try:
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(request) + b"\n")  # it stays open: its end is the process' end
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await asyncio.shield(process.wait())


async def _records(process: asyncio.subprocess.Process) -> AsyncIterator[Record | None]:
    assert process.stdout is not None
    while True:
        try:
            head = await asyncio.wait_for(process.stdout.readexactly(RECORD.size), SILENT_S)
        except TimeoutError:
            yield None
            continue
        except asyncio.IncompleteReadError:
            return
        sequence, place, key_bytes, length, goes_on = RECORD.unpack(head)
        try:
            key = None if key_bytes == NO_KEY else await process.stdout.readexactly(key_bytes)
            data = await process.stdout.readexactly(length)
        except asyncio.IncompleteReadError:
            return
        yield Record(Position(sequence, place), key, data, bool(goes_on))


async def _check_end(process: asyncio.subprocess.Process) -> None:
    assert process.stderr is not None
    said = (await process.stderr.read(4096)).decode("utf-8", "replace").strip()
    status = await process.wait()
    if status == DROPPED_STATUS:
        raise PastDropped
    if status != 0:
        log.error("reading the past failed with status %s: %s", status, said)
        raise PastUnreadable(said.splitlines()[-1] if said else f"status {status}")
