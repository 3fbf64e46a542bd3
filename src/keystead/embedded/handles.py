"""The open stores of this process, and what becomes of them at a fork and at the interpreter's exit.

A fork costs no test per operation: the child's handles are given parts that refuse. Must not know: what a store does.
"""

from __future__ import annotations

import atexit
import os
import warnings
from typing import TYPE_CHECKING
from weakref import WeakSet

from keystead.errors import ForkedHandle

if TYPE_CHECKING:
    from keystead.embedded.shared_engine import SharedEngine

_open: WeakSet[SharedEngine] = WeakSet()


def register(shared: SharedEngine) -> None:
    """Look after this store until it is closed."""
    _open.add(shared)


def is_open_here(path: str) -> bool:
    """Whether this very process has the directory open."""
    return any(not shared.closed and os.path.realpath(shared.path) == os.path.realpath(path) for shared in list(_open))


def _abandon_all() -> None:
    """In a forked child, before anything else runs there."""
    parent = os.getppid()
    for shared in list(_open):
        if not shared.closed:
            shared.abandon(
                ForkedHandle,
                f"the store {shared.path} was opened by process {parent}, before the fork that made this one "
                f"({os.getpid()}); two writers of one log would destroy it. Open the store after forking, or share it "
                'through a server: keystead.connect("redis://…")',
            )
    _open.clear()


def _close_all() -> None:
    for shared in list(_open):
        if not shared.closed:
            warnings.warn(f"unclosed store {shared.path!r} at exit", ResourceWarning, stacklevel=1)
            shared.close()


os.register_at_fork(after_in_child=_abandon_all)
atexit.register(_close_all)
