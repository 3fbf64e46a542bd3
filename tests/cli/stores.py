"""Stores and runs of the command line for the tests of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from keystead.engine.engine import Engine, Options
from keystead.engine.operations import Author

LIMIT_S = 60


class Run(NamedTuple):
    """What one run of the command line did."""

    status: int
    output: str
    errors: str


def keystead(*arguments: str | Path, text: str = "", cwd: Path | None = None) -> Run:
    """Run the command line in a process of its own, with nothing of ours in its environment."""
    command = [sys.executable, "-m", "keystead", *map(str, arguments)]
    done = subprocess.run(
        command,
        input=text,
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT_S,
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Run(done.returncode, done.stdout, done.stderr)


def fill(path: Path, count: int, *, first: int = 0, database: int = 0) -> None:
    """Put keys k<first> … with the values v<number> into the store at `path`, one transaction each."""
    engine = Engine.open(str(path), Options())
    engine.author = Author("", "test")
    for number in range(first, first + count):
        engine.databases[database].keyspace.put(b"k%d" % number, b"v%d" % number)
        engine.end_turn()
    engine.sync()
    engine.close()


def content(path: Path) -> dict[bytes, bytes]:
    """Database 0 of the store at `path`."""
    engine = Engine.open(str(path))
    keyspace = engine.databases[0].keyspace
    found = {key: bytes(keyspace.get(key) or b"") for key in keyspace.keys()}  # noqa: SIM118  # a keyspace is no mapping
    engine.close()
    return found


def files(path: Path) -> dict[str, bytes]:
    """Every file of the directory, to see whether anything was changed."""
    return {entry.name: entry.read_bytes() for entry in path.iterdir()}


def flip(file: Path, offset: int, bit: int = 0) -> None:
    """Flip one bit of a file."""
    data = bytearray(file.read_bytes())
    data[offset] ^= 1 << bit
    file.write_bytes(data)
