"""The servers under measurement: how each kind is started, when it has answered, how it is stopped."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from benchmarks import processes
from benchmarks.connection import Connection, ServerError
from benchmarks.figures import NotMeasured

Flavour = Literal["keystead", "redis"]
Fsync = Literal["always", "interval", "never"]

START_LIMIT_S = 60.0
_TELL_VERSION = "from importlib.metadata import version; print(version('keystead'))"
_REDIS_FSYNC = {"always": "always", "interval": "everysec", "never": "no"}


class CannotStart(NotMeasured):
    """A server is not installed, ended, or did not answer in time; the message ends with what it printed."""


@dataclass(frozen=True)
class ServerKind:
    """One side of a comparison. `program` is redis-server's path, or the Python that has this build of keystead."""

    flavour: Flavour
    program: str
    label: str

    @classmethod
    def parse(cls, text: str) -> ServerKind:
        """From `keystead`, `redis`, `keystead:PYTHON` or `redis:SERVER`. Raises ValueError for anything else."""
        flavour, _, program = text.partition(":")
        if flavour == "keystead":
            return cls("keystead", program or sys.executable, "Keystead")
        if flavour == "redis":
            return cls("redis", program or "redis-server", "Redis")
        raise ValueError(f"{text!r} is neither keystead[:PYTHON] nor redis[:SERVER]")

    def command(self, directory: Path, port: int, fsync: Fsync) -> list[str]:
        if self.flavour == "keystead":
            serve = [
                self.program,
                "-m",
                "keystead",
                "serve",
                "--dir",
                str(directory),
                "--port",
                str(port),
                "--http-port",
                "0",
            ]
            return [*serve, "--fsync", fsync]
        listen = [self.program, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory)]
        return [*listen, "--save", "", "--appendonly", "yes", "--appendfsync", _REDIS_FSYNC[fsync]]

    def version(self) -> str:
        """What the program says of itself, "not installed" when there is none."""
        asked = ["-c", _TELL_VERSION] if self.flavour == "keystead" else ["--version"]
        try:
            said = subprocess.run([self.program, *asked], capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            return "not installed"
        return version_in(said)


class Server:
    """One running server on a free port of 127.0.0.1; a context manager that has answered once when it is entered.

    Raises CannotStart. Everything the server starts belongs to a session of its own and ends with it.
    """

    def __init__(
        self, kind: ServerKind, directory: Path, fsync: Fsync = "always", environment: Mapping[str, str] | None = None
    ) -> None:
        self.kind = kind
        self.port = free_port()
        self._directory = directory
        self._fsync = fsync
        self._environment = _environment() | dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._output = directory.with_name(directory.name + ".output")

    def __enter__(self) -> Self:
        self.start((b"PING",), b"PONG")
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def start(self, question: tuple[bytes, ...], answer: bytes) -> float:
        """Seconds from starting the program to the expected `answer`; errors such as LOADING are asked again."""
        self._directory.mkdir(parents=True, exist_ok=True)
        command = self.kind.command(self._directory, self.port, self._fsync)
        started = time.perf_counter()
        with self._output.open("wb") as output:
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    cwd=self._directory,
                    start_new_session=True,
                )
            except OSError as error:
                raise CannotStart(f"{self.kind.label}: {error.strerror}: {self.kind.program}") from error
        while not self._answers(question, answer):
            if self._process.poll() is not None:
                status = self._process.returncode
                raise CannotStart(f"{self.kind.label} ended with status {status}: {self._last_words()}")
            if time.perf_counter() - started > START_LIMIT_S:
                self.stop()
                raise CannotStart(f"{self.kind.label} did not answer in {START_LIMIT_S:.0f} s: {self._last_words()}")
            time.sleep(0.001)
        return time.perf_counter() - started

    def stop(self) -> None:
        if self._process is not None:
            processes.end(self._process)
            self._process = None

    def connect(self) -> Connection:
        return Connection(self.port)

    def resident_bytes(self) -> int:
        return processes.resident_bytes(self.pid)

    def cpu_seconds(self) -> float:
        return processes.cpu_seconds(self.pid)

    @property
    def pid(self) -> int:
        if self._process is None:
            raise CannotStart(f"{self.kind.label} is not running")
        return self._process.pid

    def _answers(self, question: tuple[bytes, ...], answer: bytes) -> bool:
        try:
            with self.connect() as connection:
                return bool(connection.command(*question) == answer)
        except (OSError, ServerError):
            return False

    def _last_words(self) -> str:
        lines = self._output.read_text(encoding="utf-8", errors="replace").split("\n")
        return " / ".join(line.strip() for line in lines if line.strip())[-300:]


def version_in(text: str) -> str:
    """The number in `Redis server v=7.0.15 sha=…` or `7.0.15`."""
    found = re.search(r"v?=?(\d+(?:\.\w+)+)", text)
    return found[1] if found else text.strip()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment() -> dict[str, str]:
    """Ours without settings that would configure a server behind the benchmark's back."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KEYSTEAD_")}
