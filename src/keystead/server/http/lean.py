"""The list of all lean routes."""

from __future__ import annotations

from keystead.server.http import health, keys
from keystead.server.http.routes import Routes


def lean_routes() -> Routes:
    """Every lean route."""
    return Routes(exact=[*health.ROUTES], prefixes=[keys.ROUTE])
