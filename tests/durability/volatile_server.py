"""`keystead` as on a machine whose page cache a crash loses: remembers how far each segment was ever synced.

    volatile_server.py LEDGER SYNC_DELAY_SECONDS FLAW serve …

Runs keystead's command line with three of its seams watched: what is written to segments, what is synced in place, and
what was reported as synced by the helper. Before anybody can be told of a sync, its extent is in LEDGER. `cut_power`
takes back what the ledger does not hold from the files of a killed server. Syncs take longer by the delay, which makes
the time long in which there is something to lose. FLAW breaks a promise, to see that it is noticed; `none` breaks none.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECTOR_BYTES = 512


class Ledger:
    """How far each segment is synced, by name: appended to one file, of which the last line for a name counts."""

    def __init__(self, path: Path) -> None:
        self.before = synced_ends(path)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def record(self, ends: dict[str, int]) -> None:
        if ends:
            os.write(self._descriptor, "".join(f"{name} {end}\n" for name, end in ends.items()).encode())


def synced_ends(ledger: Path) -> dict[str, int]:
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    return {name: int(end) for name, end in (line.split() for line in lines)}


def cut_power(directory: Path, ledger: Path, rng: random.Random) -> int:
    """Take back what was never synced: all of it, or sectors of it at random. Returns how many bytes were lost."""
    ends = synced_ends(ledger)
    lost = 0
    for segment in sorted(directory.glob("segment-*.log")):
        data = bytearray(segment.read_bytes())
        synced = ends.get(segment.name, 0)
        written = len(data.rstrip(b"\x00"))
        everything = rng.random() < 0.5
        for start in range(synced, written, SECTOR_BYTES):
            if everything or rng.random() < 0.5:
                end = min(start + SECTOR_BYTES, written)
                data[start:end] = bytes(end - start)
                lost += end - start
        if lost:
            segment.write_bytes(data)
    return lost


def watch(ledger: Ledger, sync_delay_seconds: float) -> None:
    """Watch the operating system's calls, and the engine's word for it where another process does the sync."""
    from keystead.engine.engine import Engine
    from keystead.engine.files import OperatingSystem
    from keystead.server.sync_process import SyncProcess

    names: dict[int, str] = {}
    written = dict(ledger.before)
    under_way: dict[int, dict[str, int]] = {}
    system: Any = OperatingSystem
    opened, wrote, synced = system.open, system.pwrite, system.sync
    began, finished, requested = Engine.begin_sync, Engine.finish_sync, SyncProcess.request

    def open_file(path: str, flags: int, mode: int = 0o600) -> int:
        descriptor: int = opened(path, flags, mode)
        names[descriptor] = os.path.basename(path)
        return descriptor

    def pwrite(descriptor: int, data: bytes | memoryview, offset: int) -> int:
        count: int = wrote(descriptor, data, offset)
        end = offset + len(bytes(data[:count]).rstrip(b"\x00"))  # zeros ahead are as good as nothing
        name = names[descriptor]
        written[name] = max(written.get(name, 0), end if end > offset else 0)
        return count

    def extent(descriptors: list[int]) -> dict[str, int]:
        segments = (names[descriptor] for descriptor in descriptors if names[descriptor].startswith("segment-"))
        return {name: written.get(name, 0) for name in segments}

    def sync(descriptor: int) -> None:
        ends = extent([descriptor])
        time.sleep(sync_delay_seconds)
        synced(descriptor)
        ledger.record(ends)

    def begin_sync(engine: Engine) -> Any:
        ticket = began(engine)
        if ticket is not None:
            under_way[ticket.turn] = extent(ticket.descriptors)
        return ticket

    def finish_sync(engine: Engine, ticket: Any) -> None:
        ledger.record(under_way.pop(ticket.turn))  # before `finished`, after which replies are released
        finished(engine, ticket)

    def request(helper: Any, descriptors: list[int]) -> None:
        helper._loop.call_later(sync_delay_seconds, requested, helper, descriptors)

    system.open, system.pwrite, system.sync = map(staticmethod, (open_file, pwrite, sync))
    Engine.begin_sync, Engine.finish_sync = begin_sync, finish_sync  # type: ignore[method-assign]
    SyncProcess.request = request  # type: ignore[method-assign]


def show_unsynced_values() -> None:
    """Plain reads answer from memory instead of from the durable view."""
    from keystead.engine.keyspace import Keyspace

    Keyspace.read = lambda keyspace, key, _: keyspace.get(key)  # type: ignore[method-assign, assignment]


FLAWS: dict[str, Callable[[], None]] = {"none": lambda: None, "shows-unsynced-values": show_unsynced_values}


def main(arguments: list[str]) -> int:
    ledger, delay, flaw, *command = arguments
    watch(Ledger(Path(ledger)), float(delay))
    FLAWS[flaw]()
    from keystead.cli import main as keystead

    return keystead(command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
