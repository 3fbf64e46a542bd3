"""BGREWRITEAOF on either server: asking for it, seeing it run, waiting for its end."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.connection import Connection

_SIGNS = ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")
_POLL_S = 0.03
_BEGIN_LIMIT_S = 0.5
_END_LIMIT_S = 60.0


@dataclass
class Checkpoints:
    """What was seen of a series: how many ran, and how long in all."""

    count: int = 0
    seconds: float = 0.0


def is_running(connection: Connection) -> bool:
    info = connection.info("persistence")
    return any(info.get(sign, "0") != "0" for sign in _SIGNS)


def checkpoint(connection: Connection) -> float:
    """Ask for one, once none runs, and wait for its end: seconds it was seen running, 0 when it never was."""
    wait_until_none(connection)
    connection.command("BGREWRITEAOF")
    began = _wait(connection, until_running=True, limit_s=_BEGIN_LIMIT_S)
    return 0.0 if began is None else _wait(connection, until_running=False, limit_s=_END_LIMIT_S) or 0.0


def checkpoint_for(connection: Connection, seconds: float) -> Checkpoints:
    """One after the other for so long; the last may end later."""
    seen = Checkpoints()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        took = checkpoint(connection)
        seen.count += took > 0
        seen.seconds += took
    return seen


def wait_until_none(connection: Connection) -> None:
    """Returns when no checkpoint that the server began by itself is running (or after a minute)."""
    _wait(connection, until_running=False, limit_s=_END_LIMIT_S)


def _wait(connection: Connection, *, until_running: bool, limit_s: float) -> float | None:
    began = time.monotonic()
    while is_running(connection) is not until_running:
        if time.monotonic() - began > limit_s:
            return None
        time.sleep(_POLL_S)
    return time.monotonic() - began
