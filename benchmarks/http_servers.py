"""The HTTP servers under measurement: Keystead, webdis, a student's; each with all its processes on one core."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Self

from benchmarks import processes
from benchmarks.connection import Connection
from benchmarks.datasets import key, value
from benchmarks.servers import START_LIMIT_S, CannotStart, free_port

SERVER_CORE = 0


def load_cores() -> set[int]:
    """The cores that are left for the load: all but the servers'."""
    available = os.sched_getaffinity(0)
    return available - {SERVER_CORE} or available


class HttpServer(ABC):
    """One running server; a context manager that answers when it is entered. Raises CannotStart."""

    label: str

    def __init__(self, directory: Path, *, one_core: bool = True) -> None:
        self.port = free_port()
        self.directory = directory
        self._pinned = ["taskset", "-c", str(SERVER_CORE)] if one_core else []
        self._running: list[subprocess.Popen[bytes]] = []

    @abstractmethod
    def path(self, name: str) -> str:
        """Where the key of that name is read."""

    def write_path(self, name: str) -> str:
        """Where it is written, by PUT with the value as the body."""
        return self.path(name)

    @abstractmethod
    def start(self) -> None:
        """Start the processes."""

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.start()
        self.wait_until(lambda: self.request("GET", "/") > 0)
        return self

    def __exit__(self, *_exception: object) -> None:
        for process in reversed(self._running):
            processes.end(process)

    def run(self, *command: str) -> None:
        """Start a process that belongs to this server."""
        with (self.directory / "output").open("ab") as output:
            try:
                process = subprocess.Popen(
                    [*self._pinned, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise CannotStart(f"{self.label}: {error.strerror}: {error.filename}") from error
        self._running.append(process)

    def wait_until(self, answers: Callable[[], bool]) -> None:
        """Raises CannotStart when a process ends or time is up before."""
        until = time.monotonic() + START_LIMIT_S
        while True:
            try:
                if answers():
                    return
            except OSError:
                pass
            if any(process.poll() is not None for process in self._running) or time.monotonic() > until:
                said = (self.directory / "output").read_text(encoding="utf-8", errors="replace")
                raise CannotStart(f"{self.label} does not answer: {' '.join(said.split())[-300:]}")
            time.sleep(0.01)

    def request(self, method: str, path: str, body: bytes | None = None) -> int:
        """The status of one answer. Raises OSError."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body)
            return connection.getresponse().status
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    def cpu_seconds(self) -> float:
        """Processor time of all its processes so far."""
        return sum(processes.cpu_seconds(process.pid) for process in self._running)


class KeysteadHttp(HttpServer):
    label = "Keystead"

    def __init__(self, directory: Path, python: str = sys.executable, *, one_core: bool = True) -> None:
        super().__init__(directory, one_core=one_core)
        self.resp_port = free_port()
        self._python = python

    def path(self, name: str) -> str:
        return f"/v1/keys/{name}"

    def start(self) -> None:
        ports = ("--port", str(self.resp_port), "--http-port", str(self.port))
        self.run(self._python, "-m", "keystead", "serve", "--dir", str(self.directory / "data"), *ports)
        self.wait_until(lambda: self.request("GET", "/readyz") == http.client.OK)


class Webdis(HttpServer):
    """webdis in front of a redis-server of its own that syncs every write."""

    label = "webdis"

    def path(self, name: str) -> str:
        return f"/GET/{name}.txt"

    def write_path(self, name: str) -> str:
        return f"/SET/{name}"

    def start(self) -> None:
        redis_port = free_port()
        listen = ("--bind", "127.0.0.1", "--port", str(redis_port), "--dir", str(self.directory))
        self.run("redis-server", *listen, "--save", "", "--appendonly", "yes", "--appendfsync", "always")
        self.wait_until(lambda: _answers_ping(redis_port))
        settings = {
            "redis_host": "127.0.0.1",
            "redis_port": redis_port,
            "http_host": "127.0.0.1",
            "http_port": self.port,
            "threads": 2,
            "daemonize": False,
            "verbosity": 0,
            "logfile": str(self.directory / "webdis.log"),
        }
        configuration = self.directory / "webdis.json"
        configuration.write_text(json.dumps(settings))
        self.run("webdis", str(configuration))


def _answers_ping(port: int) -> bool:
    with Connection(port) as connection:
        return bool(connection.command("PING") == b"PONG")


class Student(HttpServer):
    """benchmarks/student_server.py, with so many keys in its file."""

    label = "student"

    def __init__(self, directory: Path, keys: int = 0) -> None:
        super().__init__(directory)
        self._keys = keys

    def path(self, name: str) -> str:
        return f"/keys/{name}"

    def start(self) -> None:
        file = self.directory / "data.json"
        file.write_text(json.dumps({key(number).decode(): value(number).decode() for number in range(self._keys)}))
        self.run(sys.executable, "-m", "benchmarks.student_server", str(self.port), str(file))
