"""The process that answers questions about the past: requests on its standard input, outcomes on standard output.

Reading is done in another process because decoding takes the interpreter: a server would stand still meanwhile. The
process stays, so that indexes and the keys of recent moments are at hand. It ends when its input ends, which is when
its parent ends, however that happens.

A message is its length (`LENGTH`) and MessagePack. Questions are answered one after the other; what was called off
before its turn came is not answered.
"""

from __future__ import annotations

import contextlib
import os
import queue
import struct
import sys
import threading
from typing import BinaryIO, Final, TypeAlias

import msgspec

from keystead.engine.files import Directory
from keystead.engine.history.questions import Answerer, Outcome, Question

LENGTH: Final = struct.Struct("<I")
NICENESS: Final = 10
COMMAND: Final = (sys.executable, "-m", "keystead.engine.history.asking")
"""Followed by the path of the directory."""


class Request(msgspec.Struct, frozen=True, array_like=True):
    """A question, of what was committed before transaction *until*; None calls off the one of that number."""

    number: int
    until: int
    question: Question | None


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """The outcome of the request of that number."""

    number: int
    outcome: Outcome


_encode = msgspec.msgpack.Encoder().encode
decode_reply = msgspec.msgpack.Decoder(Reply).decode
_decode_request = msgspec.msgpack.Decoder(Request).decode

Waiting: TypeAlias = "queue.SimpleQueue[Request | None]"


def framed(message: Request | Reply) -> bytes:
    """The message as it is written."""
    data = _encode(message)
    return LENGTH.pack(len(data)) + data


def read_message(source: BinaryIO) -> bytes | None:
    """The next message; None when the other side has ended."""
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    data = source.read(length)
    return data if len(data) == length else None


def main() -> None:
    """Entry point of the process."""
    answerer = Answerer(Directory(sys.argv[1]))
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    waiting: Waiting = queue.SimpleQueue()
    called_off: set[int] = set()
    threading.Thread(target=_listen, args=(waiting, called_off), daemon=True).start()
    output = sys.stdout.buffer
    while (request := waiting.get()) is not None:
        if request.number in called_off:
            called_off.discard(request.number)
            continue
        assert request.question is not None
        outcome = answerer.answer(request.question, request.until)
        output.write(framed(Reply(request.number, outcome)))
        output.flush()


def _listen(waiting: Waiting, called_off: set[int]) -> None:
    # Not by the buffer of sys.stdin: its lock would be held when the interpreter ends.
    with open(sys.stdin.fileno(), "rb", closefd=False) as source:
        while (message := read_message(source)) is not None:
            request = _decode_request(message)
            if request.question is None:
                called_off.add(request.number)
            else:
                waiting.put(request)
    os._exit(0)  # whatever is being looked for: nobody waits for it


if __name__ == "__main__":
    main()
