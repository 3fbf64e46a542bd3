"""Memory a key: what all processes of a server hold after a load, less what they held when it was empty."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.checkpoints import wait_until_none
from benchmarks.datasets import fill
from benchmarks.figures import Aim, Figure
from benchmarks.scale import short_count
from benchmarks.servers import Server, ServerKind

_STEADY_S = 0.5
_STEADY_LIMIT_S = 20.0


def measure(bench: Bench) -> Iterator[Figure]:
    for expiring in (False, True):
        yield measure_memory(bench, bench.scale.keys, bench.scale.heavy_rounds, expiring=expiring)


def measure_memory(bench: Bench, keys: int, rounds: int, *, expiring: bool) -> Figure:
    ttl = ", each with a TTL" if expiring else ""
    name = f"memory a key at {short_count(keys)} keys{ttl}"

    def per_key(kind: ServerKind) -> float:
        # Syncing changes nothing about memory, so the load need not wait for the disk.
        with bench.one(kind, 0, "never") as server:
            empty = _steady_bytes(server)
            fill(server, keys, expiring=expiring)
            return (_steady_bytes(server) - empty) / keys

    ours, peer = bench.interleave(name, rounds, bench.kinds, per_key)
    return Figure("memory", name, "bytes", ours, peer, bench.peer.label, Aim("at most", 1.3), keys=keys)


def _steady_bytes(server: Server) -> int:
    """Resident memory once no checkpoint runs and it has not moved by 1 % for half a second (or after twenty)."""
    limit = time.monotonic() + _STEADY_LIMIT_S
    with server.connect() as connection:
        while True:
            wait_until_none(connection)
            before = server.resident_bytes()
            time.sleep(_STEADY_S)
            after = server.resident_bytes()
            if abs(after - before) <= before / 100 or time.monotonic() > limit:
                return after
