"""Threads for what must not hold up the loop: password hashes and the ACL file.

Two hash at a time. Both let go of the interpreter while they compute, and on Linux they are at a low priority, so a
crowd of logins takes what the loop leaves. Implements `keystead.execution.aside.Aside`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

HASHING_THREADS = 2
NICENESS = 10


class Threads:
    """The threads of one server; they are started when first needed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._hashing = ThreadPoolExecutor(HASHING_THREADS, "keystead-passwords", initializer=_give_way)
        self._writing = ThreadPoolExecutor(1, "keystead-files")

    def compute(self, work: Callable[[], T], done: Callable[[T], None]) -> None:
        """For password hashes."""
        self._hashing.submit(self._run, work, done)

    def write(self, work: Callable[[], T], done: Callable[[T], None]) -> None:
        """For files."""
        self._writing.submit(self._run, work, done)

    def _run(self, work: Callable[[], T], done: Callable[[T], None]) -> None:
        result = work()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(done, result)

    def close(self) -> None:
        """Let hashes go that have not begun; files are written to their end."""
        self._hashing.shutdown(wait=True, cancel_futures=True)
        self._writing.shutdown(wait=True)


def _give_way() -> None:
    if sys.platform == "linux":  # elsewhere a thread has no priority of its own
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
