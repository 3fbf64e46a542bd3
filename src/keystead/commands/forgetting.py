"""KS.FORGET: a key and its past, erased for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keystead.commands.declaration import command
from keystead.commands.placement import NO_PAST
from keystead.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable

    from keystead.execution.forgetting import Forgotten
    from keystead.execution.promise import Promise
    from keystead.execution.session import Session


@command(
    "KS.FORGET key [key ...]",
    group="history",
    cluster=NO_PAST,
    since="0.1.0",
    flags="write admin noscript no_async_loading no_multi",
    keys="RM DELETE",
    encoded=True,
    complexity="O(N) where N is the number of bytes of data and history on disk; another process does the work",
    summary="Deletes keys and erases them, their names and their past, from every file of the store.",
)
def ks_forget(session: Session, keys: list[bytes]) -> bytes | Promise:
    """Answers when the files that had them are gone and the directory is synced."""
    local = session.local

    def start(done: Callable[[bytes | CommandError], None]) -> None:
        def encoded(outcome: Forgotten | CommandError) -> None:
            done(outcome if isinstance(outcome, CommandError) else session.encode(_map(outcome)))

        local.forget(session, keys, encoded)

    return local.eventually([b"KS.FORGET", *keys], start)


def _map(forgotten: Forgotten) -> dict[bytes, object]:
    fields = msgspec.structs.asdict(forgotten)
    return {
        name.encode(): [_bytes(text) for text in value] if isinstance(value, tuple) else value
        for name, value in fields.items()
    }


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
