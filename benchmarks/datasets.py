"""Keys and values that the scenarios share, and directories that hold them: made once a run, copied for each use.

A key is 16 bytes, the form `redis-benchmark -r` asks for (`key:000000000042`); a value is 64 that do not compress.
"""

from __future__ import annotations

import random
import shutil
import string
from collections.abc import Iterator
from pathlib import Path

from benchmarks.connection import encode
from benchmarks.figures import NotMeasured
from benchmarks.servers import Server, ServerKind

VALUE_BYTES = 64
_CHUNK_KEYS = 500
_TEN_HOURS_S = 36_000
_POOL = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=4096 + VALUE_BYTES)).encode()


def key(number: int) -> bytes:
    return b"key:%012d" % number


def value(number: int) -> bytes:
    start = number % 4096
    return _POOL[start : start + VALUE_BYTES]


def fill(server: Server, keys: int, *, expiring: bool = False) -> None:
    """SETs the keys 0..keys-1 through one pipelined connection; with `expiring`, each lives ten hours and something.

    Raises NotMeasured when the server then counts another number of keys.
    """
    with server.connect() as connection:
        connection.stream(_chunks(keys, expiring))
        found = connection.command("DBSIZE")
    if found != keys:
        raise NotMeasured(f"{server.kind.label} holds {found} keys instead of {keys}")


class Datasets:
    """Data directories by server and number of keys, kept under `root` while the run lasts."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._copies = 0

    def copy(self, kind: ServerKind, keys: int) -> Path:
        """A fresh directory with the keys 0..keys-1, as the server left it after a load and a clean stop."""
        self._copies += 1
        target = self._root / f"{kind.label.lower().replace(' ', '-')}-run-{self._copies}"
        if keys:
            shutil.copytree(self._original(kind, keys), target)
        else:
            target.mkdir(parents=True)
        return target

    def _original(self, kind: ServerKind, keys: int) -> Path:
        original = self._root / f"{kind.label.lower().replace(' ', '-')}-{keys}"
        if not original.exists():
            with Server(kind, original, "never") as server:
                fill(server, keys)
        return original


def _chunks(keys: int, expiring: bool) -> Iterator[tuple[bytes, int]]:
    for first in range(0, keys, _CHUNK_KEYS):
        numbers = range(first, min(first + _CHUNK_KEYS, keys))
        commands = (_set(number, expiring) for number in numbers)
        yield b"".join(commands), len(numbers)


def _set(number: int, expiring: bool) -> bytes:
    if expiring:
        return encode(b"SET", key(number), value(number), b"EX", b"%d" % (_TEN_HOURS_S + number % 3600))
    return b"*3\r\n$3\r\nSET\r\n$16\r\n%b\r\n$64\r\n%b\r\n" % (key(number), value(number))
