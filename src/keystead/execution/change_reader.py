"""The process that reads the past for a follower of the change feed, and writes it to its standard output as events.

Reading is done in another process because decoding takes the interpreter: the server would stand still. The pipe is
the back-pressure: a follower that does not read stops its process. The request comes as one line on standard input,
which then stays open: the process ends when it closes, which is when its parent ends, however that happens.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from keystead.engine.background_process import end_with_parent
from keystead.engine.files import Directory
from keystead.engine.history.transactions import History, HistoryDropped
from keystead.errors import DamagedData, KeysteadError
from keystead.execution.change_events import Filter, Position, Values, encoded, events_of

DROPPED_STATUS = 3
"""The process's exit status when the past is not kept any more."""
BLOCK_BYTES = 1 << 15
"""A record has about so much of events; an event that is much longer comes in several."""
MOST_BYTES = 2 * BLOCK_BYTES
SILENT_S = 1.0
"""At least so often a record is written, be it without events: it says how far the reading has come."""
RECORD = struct.Struct("<QIIIB")
NO_KEY = 0xFFFF_FFFF


class Request(msgspec.Struct):
    """What is to be read."""

    directory: str
    sequence: int
    place: int
    """Begin behind the event of that index."""
    until: int
    """End before that transaction; all before it are durable."""
    db: int | None
    prefix: bytes
    values: Values
    by_key: bool
    """Each event in a record of its own, with its key, for whoever is shown only some of them."""


class Record(NamedTuple):
    """Some events, and the place in the history behind them."""

    position: Position
    key: bytes | None
    data: bytes
    goes_on: bool = False
    """It is a piece of one event, and not the last: the place is the one behind that event all the same."""

    def encode(self) -> bytes:
        """As it is written."""
        key = self.key or b""
        key_bytes = NO_KEY if self.key is None else len(key)
        return RECORD.pack(*self.position, key_bytes, len(self.data), self.goes_on) + key + self.data

    def pieces(self) -> Iterator[Record]:
        """The same in records of which none is much longer than a block."""
        last = max(0, len(self.data) - 1) // MOST_BYTES * MOST_BYTES
        for start in range(0, last, MOST_BYTES):
            yield self._replace(data=self.data[start : start + MOST_BYTES], goes_on=True)
        yield self._replace(data=self.data[last:])


def records(request: Request) -> Iterator[Record]:
    """What is asked for, in order. HistoryDropped, DamagedData."""
    wanted = Filter(request.db, request.prefix)
    block: list[bytes] = []
    size, said_s = 0, time.monotonic()
    with History(Directory(request.directory), request.sequence) as past:
        history = past.history_id.encode()
        for transaction in past.read(request.until):
            sequence = transaction.sequence
            seen = request.place if sequence == request.sequence else 0
            for event in events_of(transaction):
                if event.place <= seen or not wanted.passes(event):
                    continue
                data = encoded(history, transaction, event, request.values)
                if request.by_key:
                    yield Record(Position(sequence, event.place), event.key, data)
                    continue
                block.append(data)
                size += len(data)
                if size >= BLOCK_BYTES:
                    yield Record(Position(sequence, event.place), None, b"".join(block))
                    block, size, said_s = [], 0, time.monotonic()
            if time.monotonic() - said_s > SILENT_S:
                yield Record(Position(sequence + 1, 0), None, b"".join(block))
                block, size, said_s = [], 0, time.monotonic()
    yield Record(Position(request.until, 0), None, b"".join(block))


def main() -> None:
    """Entry point of the process."""
    request = msgspec.json.decode(sys.stdin.buffer.readline(), type=Request)
    end_with_parent()
    os.nice(10)
    output = sys.stdout.buffer
    try:
        for record in records(request):
            for piece in record.pieces():
                output.write(piece.encode())
                output.flush()
    except HistoryDropped:
        sys.exit(DROPPED_STATUS)
    except KeysteadError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code if isinstance(error, DamagedData) else 1)


if __name__ == "__main__":
    main()
