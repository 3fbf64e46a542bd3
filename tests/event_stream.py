"""A follower of the change feed of the barest kind, for tests: every event that a server sends, and nothing hidden."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Mapping
from typing import Any, NamedTuple

from wire import TIMEOUT_SECONDS


class Told(NamedTuple):
    """One event."""

    name: str
    """"message" for a change."""
    id: str
    data: dict[str, Any]

    @property
    def key(self) -> bytes | None:
        return self._bytes("key")

    @property
    def value(self) -> bytes | None:
        return self._bytes("value")

    def _bytes(self, member: str) -> bytes | None:
        if member in self.data:
            text: str = self.data[member]
            return text.encode()
        encoded = self.data.get(member + "_base64url")
        return None if encoded is None else base64.urlsafe_b64decode(encoded + "==")


class EventStream:
    """A connection that follows; iterate for its events. Ends when the server ends it."""

    def __init__(
        self,
        address: tuple[str, int],
        query: str = "",
        last_event_id: str = "",
        headers: Mapping[str, str] | None = None,
        receive_bytes: int = 0,
    ) -> None:
        """AssertionError when it is refused. *receive_bytes* is the room for what is not read yet."""
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.socket.connect(address)
        self.last_id = last_event_id
        lines = [f"GET /v1/changes?{query} HTTP/1.1", "Host: localhost"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if last_event_id:
            lines.append(f"Last-Event-ID: {last_event_id}")
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._file = self.socket.makefile("rb")
        status = self._file.readline()
        while self._file.readline() not in (b"\r\n", b""):
            pass
        if not status.startswith(b"HTTP/1.1 200"):
            self.close()
            raise AssertionError(status)
        self._text = b""

    def __iter__(self) -> EventStream:
        return self

    def __next__(self) -> Told:
        """The next event, progress included. TimeoutError when none comes."""
        while b"\n\n" not in self._text:
            length = int(self._file.readline() or b"0", 16)
            if not length:
                raise StopIteration
            piece = self._file.read(length + 2)
            if len(piece) < length + 2:
                raise StopIteration
            self._text += piece[:-2]
        block, _, self._text = self._text.partition(b"\n\n")
        fields = dict(line.split(b": ", 1) for line in block.split(b"\n"))
        if b"data" not in fields:
            return next(self)
        told = Told(
            fields.get(b"event", b"message").decode(), fields.get(b"id", b"").decode(), json.loads(fields[b"data"])
        )
        self.last_id = told.id or self.last_id
        return told

    def changes(self, count: int) -> list[Told]:
        """The next so many changes."""
        found: list[Told] = []
        while len(found) < count:
            told = next(self)
            if told.name == "message":
                found.append(told)
        return found

    def changes_until(self, key: bytes) -> list[Told]:
        """The changes before the next one of that key."""
        found: list[Told] = []
        for told in self:
            if told.name != "message":
                continue
            if told.key == key:
                return found
            found.append(told)
        raise AssertionError(f"the stream ended after {len(found)} changes, without {key!r}")

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
