"""The list of lean routes of a server in front of a cluster: a store's where they ask nothing of it but commands."""

from __future__ import annotations

from keystead.commands.declaration import REGISTRY
from keystead.server.cluster_samples import ClusterSample
from keystead.server.http import (
    batch,
    commands,
    console,
    health,
    increments,
    login,
    metrics,
    reference,
    statistics,
    upstash,
)
from keystead.server.http.cluster import absent, document, importing, keys, listing, nodes
from keystead.server.http.routes import Route, Routes

_SAMPLE = ClusterSample(
    time_ms=1700000000250,
    operations_per_s=1200.0,
    errors_per_s=0.0,
    unknown_outcomes_per_s=0.0,
    input_bytes_per_s=48000.0,
    output_bytes_per_s=6000.0,
    connections=3,
    keys=2,
    memory_bytes=5242880,
    node_operations_per_s=2400,
    hits_per_s=990.0,
    misses_per_s=10.0,
    loop_lag_ms=0.2,
)
_MEANINGS = {
    "time_ms": "End of the second, in milliseconds of Unix time.",
    "operations_per_s": "Of this front door; others may serve the same cluster.",
    "unknown_outcomes_per_s": "Writes of which nobody knows whether they happened.",
    "keys": "Of all primaries; so for memory, hits, misses, and operations of nodes, whoever has them executed.",
    "loop_lag_ms": "How long input waited for its turn, the longest seen.",
}


def cluster_routes() -> Routes:
    """Every lean route."""
    return Routes(
        exact=[
            *(*health.ROUTES, login.ROUTE, listing.ROUTE, metrics.ROUTE, importing.ROUTE, nodes.ROUTE),
            *(reference.ROUTE, statistics.route_of(_SAMPLE, _MEANINGS)),
            _adapted(batch.ROUTE)._replace(documentation=document.batch(batch.ROUTE.documentation)),
            _adapted(commands.ROUTE),
            *map(_adapted, (upstash.COMMAND, upstash.PIPELINE)),
            upstash.TRANSACTION._replace(documentation=document.transaction(upstash.TRANSACTION.documentation)),
            *absent.EXACT,
        ],
        prefixes=[keys.ROUTE, _adapted(increments.ROUTE), console.ROUTE, *absent.PREFIXES],
        by_name=_adapted(upstash.BY_COMMAND),
        names=REGISTRY,
    )


def _adapted(route: Route) -> Route:
    return route._replace(documentation=document.adapted(route.documentation))
