"""What the processes that work for a store have in common: how they end.

Owns: that they end with their parent, and how they say that the disk is full. Must not know: what they work on.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Final

from keystead.engine.log import NO_SPACE

NO_SPACE_STATUS: Final = 28
"""Exit status of a process that met a full disk."""


def end_with_parent() -> None:
    """From now on this process ends as soon as its standard input does, of which the parent holds the other end, and
    into which it writes nothing more."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    os.read(0, 1)  # not by the buffer of sys.stdin: its lock would be held when the interpreter ends
    os._exit(1)


@contextlib.contextmanager
def full_disk_as_status() -> Iterator[None]:
    """Who meets a full disk in the block exits with NO_SPACE_STATUS."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            sys.exit(NO_SPACE_STATUS)
        raise
