"""The list of all lean routes."""

from __future__ import annotations

from keystead.commands.declaration import REGISTRY
from keystead.server.http import (
    backups,
    batch,
    commands,
    console,
    forgetting,
    health,
    history,
    importing,
    increments,
    keys,
    listing,
    login,
    memory,
    metrics,
    reference,
    statistics,
    undoing,
    upstash,
    verify,
)
from keystead.server.http.routes import Routes


def lean_routes() -> Routes:
    """Every lean route."""
    return Routes(
        exact=[
            *(*health.ROUTES, login.ROUTE, listing.ROUTE, metrics.ROUTE, batch.ROUTE, commands.ROUTE),
            *(importing.ROUTE, memory.ROUTE, reference.ROUTE, statistics.ROUTE, verify.ROUTE),
            *history.ROUTES,
            *backups.ROUTES,
            *upstash.ROUTES,
        ],
        prefixes=[
            keys.ROUTE,
            increments.ROUTE,
            forgetting.ROUTE,
            history.HISTORY_ROUTE,
            undoing.UNDO_ROUTE,
            undoing.RESTORE_ROUTE,
            console.ROUTE,
        ],
        by_name=upstash.BY_COMMAND,
        names=REGISTRY,
    )
