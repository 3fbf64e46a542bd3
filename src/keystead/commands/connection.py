"""Commands about the connection itself: who is talking, in which protocol, to which database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystead import resp
from keystead.commands.declaration import command, wrong_number
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.execution.session import Session


@command(
    "PING [message]",
    group="connection",
    since="1.0.0",
    flags="fast",
    reads="nothing",
    raw=True,
    hints="request_policy:all_shards response_policy:all_succeeded",
    summary="Returns the server's liveliness response.",
)
def ping(session: Session, args: list[bytes]) -> bytes:
    if len(args) == 1:
        return resp.PONG
    if len(args) == 2:
        return resp.bulk(args[1])
    raise CommandError(wrong_number("ping"))


@command(
    "ECHO message",
    group="connection",
    since="1.0.0",
    flags="fast",
    reads="nothing",
    summary="Returns the given string.",
)
def echo(session: Session, message: bytes) -> bytes:
    return message
