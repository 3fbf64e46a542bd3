"""One server of a development cluster: its command line, its ports, its process and its life.

Knows nothing of the other nodes but what is on the command line. Nothing is kept on disk but the node's place in the
cluster (`nodes.conf`), so that a node that is started again is the one it was.
"""

from __future__ import annotations

import contextlib
import errno
import random
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import hiredis

from keystead.errors import CommandError, DevelopmentClusterFailed

START_S: Final = 30.0
ANSWER_S: Final = 10.0
_ENDS_S: Final = 10.0
_PORT_TRIES: Final = 10
_PORTS: Final = range(10_000, 32_000)
"""Below those that systems give to connections that go out: a node that is started again finds its ports still free."""

_LAST_LINES: Final = 500

Launch = Callable[[str, list[str], Path], "subprocess.Popen[bytes]"]
"""On a host, start a command with its output appended to a file."""


class Certificates(NamedTuple):
    """The files of a cluster that speaks TLS, on its bus too, where a node is also the client of another."""

    authority: Path
    certificate: Path
    key: Path
    client_certificate: Path
    client_key: Path


class NodeOptions(NamedTuple):
    """What the nodes of a cluster have in common."""

    server: str
    password: str
    node_timeout_ms: int
    certificates: Certificates | None
    more: tuple[str, ...]


class DevelopmentNode:
    """A node. `id` is the cluster's name for it, "" until it was started; it survives a restart."""

    def __init__(self, directory: Path, options: NodeOptions, launch: Launch, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = 0
        self.bus_port = 0
        self.id = ""
        self.directory = directory
        self.log = directory / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.paused = False
        self._options = options
        self._launch = launch

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def password(self) -> str:
        return self._options.password

    def start(self) -> None:
        """Start the server, on the ports it had before if it had any, and wait until it answers.

        DevelopmentClusterFailed with the end of its output when it does not. A port that somebody else was quicker to
        take is another try: nobody can hold a port for a process to come.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        for _ in range(_PORT_TRIES):
            if not self.id:
                self.port, self.bus_port = _free_ports(self.host)
            began_at = self.log.stat().st_size if self.log.exists() else 0
            with _signals_wait():  # one behind the start of a server and before we have it would leave it behind
                self.process = self._launch(self.host, self._command(), self.log)
            if self._comes_up():
                self.id = self.call("CLUSTER", "MYID").decode()
                return
            said = self.log.read_bytes()[began_at:].decode(errors="replace")
            if "Address already in use" not in said:
                break
        raise DevelopmentClusterFailed(f"{self._options.server} did not start: {said[-_LAST_LINES:].strip()}")

    def call(self, *words: str | int | bytes) -> Any:
        """Send one command by a connection of its own. CommandError for an error reply, OSError when none comes."""
        return self.call_each([words])[0]

    def call_each(self, commands: Iterable[tuple[str | int | bytes, ...]]) -> list[Any]:
        """The same for several, one after the other by one connection."""
        with self._connect() as connection:
            reader = hiredis.Reader()
            if self._options.password:
                _ask(connection, reader, ("AUTH", self._options.password))
            return [_ask(connection, reader, words) for words in commands]

    def info(self, section: str) -> dict[str, str]:
        """A section of INFO, or what `CLUSTER INFO` says for "cluster"."""
        text: bytes = self.call("CLUSTER", "INFO") if section == "cluster" else self.call("INFO", section)
        return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)

    @property
    def running(self) -> bool:
        """Whether its process is there and is not paused."""
        return self.process is not None and self.process.poll() is None and not self.paused

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone; nothing if it is."""
        self.paused = False
        if self.process is not None:
            self.process.kill()
            self.process.wait(_ENDS_S)

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and answers nobody."""
        self._signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)
        self.paused = False

    def _signal(self, number: signal.Signals) -> None:
        if self.process is None or self.process.poll() is not None:
            raise DevelopmentClusterFailed(f"{self.address} does not run")
        self.process.send_signal(number)

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((self.host, self.port), ANSWER_S)
        certificates = self._options.certificates
        if certificates is None:
            return connection
        context = ssl.create_default_context(cafile=str(certificates.authority))
        return context.wrap_socket(connection, server_hostname=self.host)

    def _comes_up(self) -> bool:
        """Whether it answers before it ends. Another process on a port that we lost is not it."""
        process = self.process
        deadline_s = time.monotonic() + START_S
        while process is not None and process.poll() is None and time.monotonic() < deadline_s:
            try:
                if int(self.info("server")["process_id"]) == process.pid and self.call("PING") == b"PONG":
                    return True
            except (OSError, CommandError):
                pass
            time.sleep(0.01)
        self.kill()
        return False

    def _command(self) -> list[str]:
        options = self._options
        port, tls = ("--port", []) if options.certificates is None else ("--tls-port", _tls(options.certificates))
        login = ["--requirepass", options.password, "--masterauth", options.password] if options.password else []
        return [
            options.server,
            *(port, str(self.port), "--cluster-port", str(self.bus_port), "--bind", self.host, *tls, *login),
            *("--dir", str(self.directory), "--save", "", "--appendonly", "no"),
            *("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"),
            *("--cluster-node-timeout", str(options.node_timeout_ms)),
            *("--cluster-replica-validity-factor", "0"),  # a replica stands for election however long it was cut off
            *("--repl-diskless-sync-delay", "0", *options.more),
        ]


def _tls(certificates: Certificates) -> list[str]:
    return [
        *("--port", "0", "--tls-cluster", "yes", "--tls-replication", "yes", "--tls-auth-clients", "no"),
        *("--tls-ca-cert-file", str(certificates.authority)),
        *("--tls-cert-file", str(certificates.certificate), "--tls-key-file", str(certificates.key)),
        *("--tls-client-cert-file", str(certificates.client_certificate)),
        *("--tls-client-key-file", str(certificates.client_key)),
    ]


def _ask(connection: socket.socket, reader: hiredis.Reader, words: tuple[str | int | bytes, ...]) -> Any:
    connection.sendall(hiredis.pack_command(words))  # type: ignore[arg-type]  # its stub leaves out int
    while (reply := reader.gets()) is False:
        data = connection.recv(65536)
        if not data:
            raise ConnectionResetError("the node closed the connection")
        reader.feed(data)
    if isinstance(reply, hiredis.ReplyError):
        raise CommandError(str(reply))
    return reply


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Those that end this process take effect behind the block. Other threads than the first get none anyway.

    They are not blocked: the server would inherit that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda which, _: came.append(which)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    for which in came:
        signal.raise_signal(which)


def _free_ports(host: str) -> tuple[int, int]:
    """Two ports that nobody listens on at this moment."""
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno != errno.EADDRNOTAVAIL:  # else the host is not this one, and all its ports are free
                    continue
        found.append(port)
        if len(found) == 2:
            return found[0], found[1]
    raise DevelopmentClusterFailed(f"no two free ports between {_PORTS.start} and {_PORTS.stop} on {host}")
