"""Channels. Publishing and subscribing come later; what exists today is what clients send in any case.

Leaving channels without having entered any answers as if it were done, for there is nothing to leave: clients send it
on connections whose state they have lost track of.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from keystead import resp
from keystead.commands.declaration import command

if TYPE_CHECKING:
    from keystead.execution.session import Session

channel_command = partial(
    command,
    group="pubsub",
    since="2.0.0",
    flags="pubsub noscript loading stale",
    reads="nothing",
    connection_state=True,
    encoded=True,
)


@channel_command(
    "UNSUBSCRIBE [channel [channel ...]]",
    complexity="O(N) where N is the number of channels to unsubscribe.",
    summary="Stops listening to messages posted to channels.",
)
def unsubscribe(session: Session, channels: list[bytes]) -> bytes:
    return left(session, b"unsubscribe", channels)


@channel_command(
    "PUNSUBSCRIBE [pattern [pattern ...]]",
    complexity="O(N) where N is the number of patterns to unsubscribe.",
    summary="Stops listening to messages published to channels that match one or more patterns.",
)
def punsubscribe(session: Session, patterns: list[bytes]) -> bytes:
    return left(session, b"punsubscribe", patterns)


def left(session: Session, kind: bytes, channels: list[bytes]) -> bytes:
    """One message for each channel, or one for none."""
    encode = resp.push if session.protocol == 3 else session.encode
    each: list[bytes | None] = [*channels] or [None]
    return b"".join(encode([kind, channel, 0]) for channel in each)
