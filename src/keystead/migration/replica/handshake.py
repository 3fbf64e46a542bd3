"""How a replica introduces itself, and what a primary answers: go on from there, or begin with all keys.

No port is announced: there is none, and Sentinel would take whoever announces one for a replica to be promoted.
"""

from __future__ import annotations

import re
import socket
from typing import Final, NamedTuple

import hiredis

from keystead.migration.addresses import ServerAddress
from keystead.migration.connection import Command, connected_to, login
from keystead.migration.source import FollowingRefused, SourceFailed

READ_BYTES: Final = 1 << 18
ANSWER_S: Final = 60.0
"""A primary may wait for a while before it answers, and says nothing then but line ends."""
_LONGEST_LINE: Final = 65536

# A snapshot in the newest format that is read here; servers that do not know the option say so, which does no harm.
_VERSION: Final = b"9.0.0"
_CONTINUE: Final = re.compile(rb"\+CONTINUE(?: ([0-9a-zA-Z]{40}))?").fullmatch
_FULL: Final = re.compile(rb"\+FULLRESYNC ([0-9a-zA-Z]{40}) ([0-9]{1,19})").fullmatch
_NOT_NOW: Final = (b"-LOADING", b"-NOMASTERLINK", b"-MASTERDOWN", b"-BUSY")
_WRONG_LOGIN: Final = (b"-WRONGPASS", b"-NOAUTH", b"-ERR invalid password", b"-ERR Client sent AUTH")


class NotReady(SourceFailed):
    """The server cannot be followed now (it loads its data, or has lost its own primary); later it may."""


class Answer(NamedTuple):
    """What a primary agreed to."""

    connection: socket.socket
    arrived: bytes
    """Behind the answer, already."""
    full: bool
    """All keys come first."""
    history: str
    """Its replication id from now on."""
    offset: int
    """Of the last byte of the stream that is not going to be sent."""


def introduce(address: ServerAddress, host: str, port: int, history: str = "?", offset: int = -2) -> Answer:
    """Ask to be sent what comes behind *offset* of *history*; by default, everything. NotReady, FollowingRefused,
    SourceFailed, OSError."""
    connection = connected_to(address, host, port)
    try:
        connection.settimeout(ANSWER_S)
        return _Introduction(connection, f"{host}:{port}").ask(login(address), history, offset)
    except BaseException:
        connection.close()
        raise


class _Introduction:
    def __init__(self, connection: socket.socket, name: str) -> None:
        self._connection = connection
        self._name = name
        self._arrived = b""

    def ask(self, greeting: list[Command], history: str, offset: int) -> Answer:
        for command in [*greeting, (b"PING",)]:
            if (reply := self._call(*command)).startswith(b"-"):
                raise self._refusal(reply)
        self._call(b"REPLCONF", b"version", _VERSION)
        if (reply := self._call(b"REPLCONF", b"capa", b"eof", b"capa", b"psync2")).startswith(b"-"):
            raise self._refusal(reply)
        try:
            reply = self._call(b"PSYNC", history.encode(), b"%d" % (offset + 1))
        except ConnectionError:
            raise FollowingRefused(f"{self._name} hangs up when it is asked to be followed") from None
        if full := _FULL(reply):
            return Answer(self._connection, self._arrived, True, full[1].decode(), int(full[2]))
        if resumed := _CONTINUE(reply):
            now = resumed[1].decode() if resumed[1] else history
            return Answer(self._connection, self._arrived, False, now, offset)
        raise self._refusal(reply)

    def _refusal(self, reply: bytes) -> Exception:
        said = reply[1:].decode(errors="replace")
        if reply.startswith(_NOT_NOW):
            return NotReady(f"{self._name} is not ready to be followed: {said}")
        if reply.startswith(_WRONG_LOGIN):
            return SourceFailed(f"{self._name} does not accept the password: {said}")
        return FollowingRefused(f"{self._name} does not let itself be followed: {said}")

    def _call(self, *words: bytes) -> bytes:
        self._connection.sendall(hiredis.pack_command(words))  # type: ignore[arg-type]  # its stub means other tuples
        return self._line()

    def _line(self) -> bytes:
        """The next line that says something. OSError, SourceFailed."""
        while True:
            line, found, rest = self._arrived.partition(b"\n")
            if found:
                self._arrived = rest
                if line := line.rstrip(b"\r"):
                    return line
            elif len(line) > _LONGEST_LINE:
                raise SourceFailed(f"{self._name} does not speak the protocol of Redis")
            elif data := self._connection.recv(READ_BYTES):
                self._arrived += data
            else:
                raise ConnectionResetError(f"{self._name} closed the connection")
