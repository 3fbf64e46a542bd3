"""The command cases' door over HTTP: each command is a POST /v1/commands, its reply read back from typed JSON.

Which cases it cannot play follows from the declarations: those with a command that changes the state of a connection,
and those that are about bytes on a socket.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import socket
from collections import deque
from dataclasses import dataclass
from typing import Any

from cases.case import Case, Step
from keystead.commands import catalogue  # declares every command
from keystead.commands.declaration import called_command
from keystead.server.http.notation import TYPES
from servers import HttpServer
from wire import CLOSED, TIMEOUT_SECONDS, Reply, read_reply

assert catalogue.REGISTRY

KINDS = {name: kind for kind, name in TYPES.items()} | {"error": "-"}


@dataclass(frozen=True)
class HttpDoor:
    """Connects to the HTTP side of a server."""

    server: HttpServer

    def connect(self) -> HttpCommands:
        return HttpCommands(self.server)


class HttpCommands:
    """Takes commands as the Redis protocol writes them, and gives replies as if it had answered. May pipeline."""

    def __init__(self, server: HttpServer) -> None:
        self._socket = socket.create_connection(server.http_address, TIMEOUT_SECONDS)
        self._file = self._socket.makefile("rb")
        self._replies: deque[Reply | None] = deque()

    def send(self, data: bytes) -> None:
        args = [part.value for part in read_reply(io.BytesIO(data)).value]
        if args[0] == b"HELLO":  # by which a case begins: replies are those of RESP3 anyway
            self._replies.append(Reply("%", []))
            return
        body = json.dumps([{"base64": base64.b64encode(arg).decode()} for arg in args]).encode()
        head = b"POST /v1/commands?reply=typed HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
        self._replies.append(None)
        with contextlib.suppress(ConnectionError):  # the case hears of it when it asks for the reply
            self._socket.sendall(head % len(body) + body)

    def receive(self) -> Reply:
        waiting = self._replies.popleft() if self._replies else None  # else the end is waited for
        if waiting is not None:
            return waiting
        try:
            status, said = self._answer()
        except ConnectionError:
            return CLOSED
        if status == 200:
            return reply_of(said["reply"])
        if "redis_error" not in said:
            return Reply(f"HTTP {status}", said["detail"])
        return Reply("-", said["redis_error"].encode())

    def _answer(self) -> tuple[int, Any]:
        line = self._file.readline()
        if not line:
            raise ConnectionResetError
        length = 0
        while (header := self._file.readline()) != b"\r\n":
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return int(line.split()[1]), json.loads(self._file.read(length))

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def reply_of(typed: dict[str, Any]) -> Reply:
    """The reply that typed JSON stands for."""
    kind, value = KINDS[typed["type"]], typed["value"]
    match kind:
        case "*" | "~" | ">":
            return Reply(kind, [reply_of(part) for part in value])
        case "%":
            return Reply(kind, [reply_of(part) for pair in value for part in pair])
        case ",":
            return Reply(kind, float(value))
        case "(":
            return Reply(kind, int(value))
        case ":" | "#" | "_":
            return Reply(kind, value)
    text = value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])
    return Reply(kind, b"txt:" + text if kind == "=" else text)


LOSSY = frozenset(("strings: invalid UTF-8 in key, value and command", "connection: unknown commands"))
"""Cases with bytes in errors that are no UTF-8: JSON has no place for them."""


def plays(case: Case) -> bool:
    """Whether a case can be played over HTTP."""
    return case.id not in LOSSY and all(_has_no_state(step) for step in (*case.steps, *case.cleanup))


def _has_no_state(step: Step) -> bool:
    if step.act in ("wait", "receive"):
        return True
    if step.act == "raw" or isinstance(step.data, bytes):
        return False
    if not step.data:
        return False
    command = called_command(list(step.data))
    return command is None or not command.connection_state
