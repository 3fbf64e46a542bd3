"""Memory in figures, for INFO and MEMORY."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from keystead.engine.engine import Engine
    from keystead.execution.session import Session
    from keystead.execution.statistics import Statistics


class MemoryFacts(NamedTuple):
    """Bytes. Used and dataset are the estimates by which `maxmemory` is enforced, resident is the system's figure."""

    keys: int
    used_bytes: int
    dataset_bytes: int
    peak_bytes: int
    """The most that was used, looked at once a second."""
    resident_bytes: int
    client_bytes: int
    """Requests not executed and replies not written yet."""
    system_bytes: int
    """Memory of the machine."""


def memory_facts(engine: Engine, sessions: Iterable[Session], statistics: Statistics) -> MemoryFacts:
    """The figures at this moment."""
    keyspaces = [database.keyspace for database in engine.databases]
    payload_bytes = sum(keyspace.payload_bytes for keyspace in keyspaces) + engine.system.keyspace.payload_bytes
    used_bytes = engine.used_bytes()
    statistics.peak_used_bytes = max(statistics.peak_used_bytes, used_bytes)
    return MemoryFacts(
        keys=sum(map(len, keyspaces)),
        used_bytes=used_bytes,
        dataset_bytes=payload_bytes,
        peak_bytes=statistics.peak_used_bytes,
        resident_bytes=resident_bytes(),
        client_bytes=sum(sum(session.peer.buffer_sizes()) for session in sessions),
        system_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
    )


def resident_bytes() -> int:
    """Memory of this process as the system counts it: now on Linux, the most there was elsewhere."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except (OSError, IndexError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")
