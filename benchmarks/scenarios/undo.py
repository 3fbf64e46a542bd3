"""Undoing the delete of many keys: how long it takes, and what another client notices."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.connection import Connection
from benchmarks.datasets import key
from benchmarks.figures import Aim, Figure, NotMeasured
from benchmarks.probing import Probe
from benchmarks.scale import short_count

ONE_IN = 10
UNDO_AIM_S = 2.0
LONGEST_PAUSE_MS = 20.0
_CLIENTS = 50
_REQUESTS_PER_S = 1000
_REST_S = 1.0
_LIMIT_S = 120.0


def measure(bench: Bench) -> Iterator[Figure]:
    """A tenth of the keys is deleted, at once, and had back; fifty others ask twenty times a second each all the while.

    Not one that asks as often as all of them: it sends one request at a time, so what is due while it waits would
    count, and add up, as if the server had paused.
    """
    keys = bench.scale.keys
    gone = keys // ONE_IN
    # The prober writes too: only keys that are not to come back, else it would stand in the way of the undo.
    names = [key(number) for number in range(keys - gone, keys)]
    took: list[float] = []
    longest: list[float] = []
    lags: list[float] = []
    with bench.one(bench.ours, keys) as server, server.connect() as connection:
        for round_number in range(bench.scale.heavy_rounds):
            bench.progress(f"undo: round {round_number + 1}")
            sequence = _deleted(connection, names)
            time.sleep(_REST_S)
            with Probe(
                server.port, clients=_CLIENTS, requests_per_s=_REQUESTS_PER_S, keys=keys - gone, limit_s=_LIMIT_S
            ) as probe:
                started = time.perf_counter()
                connection.command("KS.UNDO", str(sequence))
                took.append(time.perf_counter() - started)
            if connection.command("DBSIZE") != keys:
                raise NotMeasured("the keys are not back after the undo")
            longest.append(probe.result.get.max_ms)
            lags.append(probe.result.lag_ms)
    what = f"undo of a delete of {short_count(gone)} keys of {short_count(keys)}"
    note = f"the prober itself was late by {max(lags):.1f} ms at most"
    yield Figure("undo", what, "s", took, peer_name="", aim=Aim("at most", UNDO_AIM_S, "ours"))
    pause = f"{what}: longest GET of others"
    yield Figure("undo", pause, "ms", longest, peer_name="", aim=Aim("at most", LONGEST_PAUSE_MS, "ours"), note=note)


def _deleted(connection: Connection, names: list[bytes]) -> int:
    """The number of the transaction that deletes them."""
    connection.command("DEL", *names)
    change = connection.command("KS.HISTORY", names[0], "COUNT", "1", "NOVALUES")[0]
    fields = dict(zip(change[::2], change[1::2], strict=True))
    sequence: int = fields[b"sequence"]
    return sequence
