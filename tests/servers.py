"""Servers as subprocesses for tests: a real redis-server, and `keystead serve`, on free loopback ports.

Each is started in a directory of its own and ended by its process id, also when the test run is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from wire import SocketConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

AnyServer = TypeVar("AnyServer", bound="Server")

START_SECONDS = 120.0
STOP_SECONDS = 15.0
PORT_TRIES = 3
PORT_TAKEN = re.compile("already listens|Address already in use")


@dataclass
class Server:
    """A running server process that answers on `port`; its output is in `log`."""

    process: subprocess.Popen[bytes]
    port: int
    directory: Path
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def connect(self) -> SocketConnection:
        return SocketConnection(self.address)

    def kill(self) -> None:
        """SIGKILL: what a crash of the process looks like; the page cache survives."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """SIGTERM; returns the exit status. A server that does not end in time is killed and TimeoutExpired raised."""
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on, another one each time: two that a server gets must not be the same."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def spawn(command: list[str], port: int, directory: Path) -> Server:
    """Start `command` and wait for nothing. Its output is appended to a log beside the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    log = directory.with_name(directory.name + ".log")
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
    return Server(process, port, directory, log)


def ready(server: Server) -> Server:
    """Wait until the server answers PING. Raises RuntimeError with its output when it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not _answers(server.address):
        if server.process.poll() is not None or time.monotonic() > deadline:
            server.kill()
            raise RuntimeError(f"status {server.process.returncode}:\n{server.log.read_text()[-1000:]}")
        time.sleep(0.002)
    return server


def start(command: Callable[[int], list[str]], directory: Path) -> Server:
    """Spawn `command(port)` on a free port and wait for it; once more when somebody else was quicker to take the
    port.
    """
    for _ in range(PORT_TRIES - 1):
        port = free_port()
        server = spawn(command(port), port, directory)
        try:
            return ready(server)
        except RuntimeError as failure:
            if not PORT_TAKEN.search(str(failure)):
                raise
    port = free_port()
    return ready(spawn(command(port), port, directory))


def start_redis(directory: Path, *options: str) -> Server:
    """A redis-server, without persistence unless `options` ask for it. FileNotFoundError if it is not installed."""

    def command(port: int) -> list[str]:
        fixed = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", ""]
        return [*fixed, "--enable-debug-command", "yes", "--loglevel", "warning", *options]

    return start(command, directory)


def keystead_command(directory: Path, port: int, *options: str) -> list[str]:
    """`keystead serve` with its default durability (fsync always) unless `options` say otherwise."""
    fixed = ["--port", str(port), "--http-port", "0", "--dir", str(directory)]
    return [sys.executable, "-m", "keystead", "serve", *fixed, *options]


def spawn_keystead(directory: Path, *options: str) -> Server:
    """Not waited for."""
    port = free_port()
    return spawn(keystead_command(directory, port, *options), port, directory)


def start_keystead(directory: Path, *options: str) -> Server:
    return start(lambda port: keystead_command(directory, port, *options), directory)


@dataclass
class HttpServer(Server):
    """A Keystead that listens for HTTP as well."""

    http_port: int = 0

    @property
    def http_address(self) -> tuple[str, int]:
        return "127.0.0.1", self.http_port


def start_keystead_http(directory: Path, *options: str) -> HttpServer:
    """`keystead serve` with both protocols."""
    http_port = free_port()
    server = start_keystead(directory, "--http-port", str(http_port), *options)
    return HttpServer(**vars(server), http_port=http_port)


def spawn_keystead_http(directory: Path, *options: str) -> HttpServer:
    """The same, not waited for."""
    http_port = free_port()
    return HttpServer(**vars(spawn_keystead(directory, "--http-port", str(http_port), *options)), http_port=http_port)


def start_again(server: HttpServer) -> HttpServer:
    """One that has ended, by the same command line and so on the same ports."""
    command: list[str] = server.process.args  # type: ignore[assignment]  # as `spawn` was given it
    again = spawn(command, server.port, server.directory)
    return HttpServer(**vars(ready(again)), http_port=server.http_port)


@contextlib.contextmanager
def running(server: AnyServer) -> Iterator[AnyServer]:
    """Stop the server at the end of the block, whatever happened in it."""
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def _answers(address: tuple[str, int]) -> bool:
    try:
        connection = SocketConnection(address)
    except OSError:
        return False
    try:
        reply = connection.call(b"PING")
        return reply.kind in "+-" and not reply.value.startswith(b"LOADING")
    except OSError:
        return False
    finally:
        connection.close()


def _end_with_parent() -> None:
    """Ask the kernel to end this process with the test run: a killed run must leave no server behind."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
