"""`keystead serve --cluster` as a subprocess, for tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from http_client import HttpConnection
from servers import HttpServer, spawn_keystead_http, start_keystead_http

PATIENCE_S = 30.0


def cluster_options(addresses: Iterable[tuple[str, int]]) -> tuple[str, str]:
    """The options that name a cluster."""
    return "--cluster", ",".join(f"{host}:{port}" for host, port in addresses)


def start_front_door(directory: Path, addresses: Iterable[tuple[str, int]], *options: str) -> HttpServer:
    """One that serves."""
    return start_keystead_http(directory, *cluster_options(addresses), *options)


def failed_start(directory: Path, *options: str) -> tuple[int, str]:
    """Of one that cannot serve: its exit status and what it said."""
    server = spawn_keystead_http(directory, *options)
    try:
        status = server.process.wait(PATIENCE_S)
    finally:
        server.kill()
    return status, server.log.read_text()


def until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE_S) -> None:
    """Wait until it holds."""
    deadline_s = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline_s, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def readiness(http: HttpConnection) -> int:
    """The status of /readyz."""
    return http.ask("GET", "/readyz").status
