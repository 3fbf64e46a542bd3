"""The FastAPI application of a server in front of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystead.server.http import app
from keystead.server.http.cluster import export
from keystead.server.http.cluster.document import DESCRIPTION
from keystead.server.http.cluster.routes import cluster_routes

if TYPE_CHECKING:
    from fastapi import FastAPI


def build() -> FastAPI:
    """The application."""
    return app.build(cluster_routes(), [export.router], DESCRIPTION)
