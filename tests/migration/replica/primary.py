"""A primary that says whatever a test wants it to say, once it was asked for everything it is asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from wire import encode

HISTORY = "a" * 40
Script = Callable[["Asked"], None]


class Asked:
    """One connection to it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._file = connection.makefile("rb")

    def hear(self) -> list[bytes]:
        """The next command. EOFError."""
        count = int(self._line()[1:])
        return [self._file.read(int(self._line()[1:]) + 2)[:-2] for _ in range(count)]

    def _line(self) -> bytes:
        line = self._file.readline()
        if not line:
            raise EOFError
        return line

    def say(self, data: bytes) -> None:
        self.connection.sendall(data)


class Primary:
    """`said` are answers to commands by their first word; behind PSYNC's, the scripts take over, one a connection."""

    def __init__(self, said: dict[bytes, bytes], scripts: list[Script]) -> None:
        self.said = {
            b"PING": b"+PONG\r\n",
            b"AUTH": b"+OK\r\n",
            b"REPLCONF": b"+OK\r\n",
            b"COMMAND": b"*0\r\n",
            b"CONFIG": b"*0\r\n",
            b"INFO": bulk(b"role:master\r\nmaster_replid:%b\r\nmaster_repl_offset:0\r\n" % HISTORY.encode()),
            b"PSYNC": b"+FULLRESYNC " + HISTORY.encode() + b" 100\r\n",
        } | said
        self.heard: list[list[bytes]] = []
        self._scripts = iter(scripts)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        asked = Asked(connection)
        with connection:
            try:
                while True:
                    command = asked.hear()
                    self.heard.append(command)
                    asked.say(self.said[command[0]])
                    if command[0] == b"PSYNC":
                        next(self._scripts, _hang_up)(asked)
                        return
            except (EOFError, OSError):
                return

    def close(self) -> None:
        self._listener.close()


def _hang_up(_: Asked) -> None:
    return


def bulk(data: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(data), data)


@contextmanager
def primary(*scripts: Script, said: dict[bytes, bytes] | None = None) -> Iterator[Primary]:
    with closing(Primary(said or {}, list(scripts))) as made:
        yield made


def sends(*pieces: bytes) -> Script:
    """Each piece, then whatever is heard, until the other side hangs up."""

    def script(asked: Asked) -> None:
        for piece in pieces:
            asked.say(piece)
        while True:
            asked.hear()

    return script


def stream(*commands: list[bytes]) -> bytes:
    return b"".join(encode(command) for command in commands)
