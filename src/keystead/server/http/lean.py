"""The list of all lean routes."""

from __future__ import annotations

from keystead.commands.declaration import REGISTRY
from keystead.server.http import (
    batch,
    commands,
    forgetting,
    health,
    history,
    increments,
    keys,
    listing,
    metrics,
    undoing,
    upstash,
)
from keystead.server.http.routes import Routes


def lean_routes() -> Routes:
    """Every lean route."""
    return Routes(
        exact=[
            *health.ROUTES,
            listing.ROUTE,
            metrics.ROUTE,
            batch.ROUTE,
            commands.ROUTE,
            *history.ROUTES,
            *upstash.ROUTES,
        ],
        prefixes=[
            keys.ROUTE,
            increments.ROUTE,
            forgetting.ROUTE,
            history.HISTORY_ROUTE,
            undoing.UNDO_ROUTE,
            undoing.RESTORE_ROUTE,
        ],
        by_name=upstash.BY_COMMAND,
        names=REGISTRY,
    )
