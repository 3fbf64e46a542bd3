"""keystead dump and load: all data as JSON lines (see `execution/json_lines`)."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, NoReturn, Self

from keystead.cli.offline import changing, reading
from keystead.cli.options import CommandLine
from keystead.cli.progress import Progress, many
from keystead.engine.engine import Engine
from keystead.engine.expiries import expiry_of
from keystead.engine.operations import Author
from keystead.engine.values import Value
from keystead.engine.view import DATABASES, KeyspaceView, View
from keystead.errors import DirectoryUnusable, DiskFull, KeysteadError, OutOfMemory
from keystead.execution.json_lines import from_line, to_line

_BATCH_RECORDS: Final = 1000
_BATCH_BYTES: Final = 1 << 20

_DUMP: Final = """\
Write all data of a data directory as JSON lines, one key a line. The directory
is only read; no server may have it open."""

_LOAD: Final = """\
Read JSON lines, as keystead dump writes them, into a data directory. Each batch
of 1,000 keys is applied as a whole or not at all; keys whose time is up are
left out. No server may have the directory open."""


class BadLine(KeysteadError):
    """A line of the input is not a record."""


# --- dump -----------------------------------------------------------------------------------------------------------


def run_dump(arguments: list[str]) -> int:
    """Write everything to a file, which appears only when it is whole, or to standard output."""
    line = CommandLine("dump", _DUMP, ["dir"])
    line.own.add_argument("file", nargs="?", metavar="FILE", help="write here [standard output]")
    options, settings = line.parse(arguments)
    with reading(settings.directory) as (view, now_ms), _output(options.file) as output:
        written = _write(output, view, now_ms)
    print(f"{many(written, 'key')} written", file=sys.stderr)
    return 0


def _write(output: IO[bytes], view: View, now_ms: int) -> int:
    written = 0
    total = sum(len(shard) for db in range(DATABASES) for shard in _shown(view, db).shards)
    with Progress("writing", total, "keys") as progress:
        for db in range(DATABASES):
            for key, value, expires_at_ms in _sorted_items(_shown(view, db)):
                progress.advance(1)
                if not 0 < expires_at_ms <= now_ms:
                    output.write(to_line(db, key, value, expires_at_ms))
                    written += 1
    return written


def _shown(view: View, db: int) -> KeyspaceView:
    return view.keyspace(view.databases[db])


def _sorted_items(keyspace: KeyspaceView) -> list[tuple[bytes, Value, int]]:
    """Key, value and expiry, in order of the keys, so that two dumps can be compared."""
    return sorted(
        (key, value, expiry_of(expires, key))
        for shard, expires in zip(keyspace.shards, keyspace.expires, strict=True)
        for key, value in shard.items()
    )


@contextlib.contextmanager
def _output(name: str | None) -> Iterator[IO[bytes]]:
    if name is None or name == "-":
        yield sys.stdout.buffer
        return
    path = Path(name).resolve()
    if path.exists() and not path.is_file():  # a device or a pipe is written to, never replaced
        with path.open("wb") as file:
            yield file
        return
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)  # the data is private, a copy of it is too
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


# --- load -----------------------------------------------------------------------------------------------------------


def run_load(arguments: list[str]) -> int:
    """Read records from a file or standard input into a store."""
    line = CommandLine("load", _LOAD, ["dir"])
    line.own.add_argument("file", nargs="?", metavar="FILE", help="read from here [standard input]")
    line.own.add_argument(
        "--merge", action="store_true", help="load into a directory that has data; keys of the file replace its keys"
    )
    options, settings = line.parse(arguments)
    with _input(options.file) as source, changing(settings) as engine:
        if not options.merge and any(len(database.keyspace) for database in engine.databases):
            raise DirectoryUnusable(str(settings.directory), "it has data already (--merge loads into it all the same)")
        engine.author = Author("", "keystead load")
        loaded = _Loading(engine).run(source)
    print(f"{many(loaded.keys, 'key')} loaded into {settings.directory}")
    if loaded.expired:
        print(f"{many(loaded.expired, 'key')} left out: the time was up")
    return 0


class _Loading:
    """Batches of lines become frames, each one synced before the next is read."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.keys = 0
        self.expired = 0

    def run(self, source: IO[bytes]) -> Self:
        """Load everything. Raises BadLine, OutOfMemory, DiskFull; whole batches before it stay loaded."""
        with Progress("loading", _size(source)) as progress:
            for first, lines in _batches(source):
                self._apply([self._record(number, line) for number, line in enumerate(lines, first) if line.strip()])
                progress.advance(sum(map(len, lines)))
        return self

    def _record(self, number: int, line: bytes) -> tuple[int, bytes, bytes, int]:
        try:
            return from_line(line)
        except ValueError as error:
            raise BadLine(f"line {number}: {error}; {many(self.keys, 'key')} of the lines before loaded") from None

    def _apply(self, records: list[tuple[int, bytes, bytes, int]]) -> None:
        engine = self._engine
        if engine.refusal is not None:
            self._refuse(engine.refusal)
        now_ms = engine.clock.refresh()
        live = [record for record in records if not 0 < record[3] <= now_ms]
        for db, key, value, expires_at_ms in live:
            engine.databases[db].keyspace.put(key, value, expires_at_ms)
        turn = engine.end_turn()
        engine.sync()
        engine.housekeep(1.0)  # rotates the log, and looks whether there is room for more
        engine.end_turn()
        if engine.durable_turn < turn:
            self._refuse("no room")
        self.keys += len(live)
        self.expired += len(records) - len(live)

    def _refuse(self, refusal: str) -> NoReturn:
        done = f"{many(self.keys, 'key')} loaded"
        if refusal.startswith("OOM"):
            raise OutOfMemory(f"the data has reached maxmemory; {done}")
        raise DiskFull(f"no space left for the log; {done}")


def _batches(source: IO[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """The number of its first line (from 1) and the lines of each batch."""
    number = 1
    lines: list[bytes] = []
    size = 0
    for line in source:
        lines.append(line)
        size += len(line)
        if len(lines) == _BATCH_RECORDS or size > _BATCH_BYTES:
            yield number, lines
            number += len(lines)
            lines, size = [], 0
    if lines:
        yield number, lines


def _input(name: str | None) -> contextlib.AbstractContextManager[IO[bytes]]:
    if name is not None and name != "-":
        return open(name, "rb")
    if sys.stdin.isatty():
        print("reading JSON lines from the terminal; Ctrl-D ends", file=sys.stderr)
    return contextlib.nullcontext(sys.stdin.buffer)


def _size(source: IO[bytes]) -> int:
    """Bytes of a file; 0 when nobody knows, as of a pipe."""
    return os.fstat(source.fileno()).st_size if source.seekable() else 0
