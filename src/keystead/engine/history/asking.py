"""The process that answers questions about the past: requests on its standard input, outcomes on standard output.

Reading is done in another process because decoding takes the interpreter: a server would stand still meanwhile. The
process stays, so that indexes and the keys of recent moments are at hand. It ends when its input ends, which is when
its parent ends, however that happens. It is started by `giving_way.py`, and rests as often as that asks for.

A message is its length (`LENGTH`) and MessagePack. Questions are answered one after the other; one that is called off,
before its turn has come or after, is not answered.
"""

from __future__ import annotations

import gc
import os
import queue
import struct
import sys
import threading
from typing import BinaryIO, Final

import msgspec

from keystead.engine import giving_way
from keystead.engine.files import Directory
from keystead.engine.history.answering import Answerer
from keystead.engine.history.questions import Outcome, Question

LENGTH: Final = struct.Struct("<I")
COMMAND: Final = (sys.executable, "-P", giving_way.__file__, "keystead.engine.history.asking")
"""Followed by the path of the directory, and, for who lists processes, what for."""


COLLECTIONS: Final = (20_000, 50, 1_000)
"""A full one looks at all keys of the moments that are kept, without a rest, and there is next to nothing to find."""


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


class CalledOff(Exception):
    """Nobody waits for the answer any more."""


class Requests:
    """What has been asked and is not answered yet: taken in by one thread, answered by another."""

    def __init__(self) -> None:
        self.answering = 0
        """The number of the one that is being answered."""
        self._waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._open: set[int] = set()
        self._called_off: set[int] = set()
        self._rests = giving_way.Rests()

    def take_in(self, request: Request) -> None:
        """A question, or one that is called off. It may have been answered meanwhile."""
        number = request.number
        if request.question is not None:
            self._open.add(number)
            self._waiting.put(request)
        elif number in self._open:
            self._called_off.add(number)
            if number not in self._open:  # it was answered between these two
                self._called_off.discard(number)

    def next(self) -> Request:
        """The next one, when there is one, that has not been called off."""
        while True:
            request = self._waiting.get()
            if request.number not in self._called_off:
                self.answering = request.number
                return request
            self.done(request)

    def done(self, request: Request) -> None:
        """It is answered, or will not be."""
        self._open.discard(request.number)  # first: see `take_in`
        self._called_off.discard(request.number)

    def between_frames(self) -> None:
        """What a process that looks for an answer does now and then: it rests, and hears when to stop. CalledOff."""
        self._rests.take_if_due()
        if self.answering in self._called_off:
            raise CalledOff


def main(arguments: list[str]) -> None:
    """Entry point of the process: the directory as its argument."""
    gc.set_threshold(*COLLECTIONS)
    requests = Requests()
    answerer = Answerer(Directory(arguments[0]), requests.between_frames)
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    output = sys.stdout.buffer
    while True:
        request = requests.next()
        assert request.question is not None
        try:
            outcome = answerer.answer(request.question, request.until)
        except CalledOff:
            pass
        else:
            try:
                output.write(framed(Reply(request.number, outcome)))
                output.flush()
            except BrokenPipeError:
                os._exit(0)  # the server was killed; `_listen` may not have heard yet
        requests.done(request)


def _listen(requests: Requests) -> None:
    # Not by the buffer of sys.stdin: its lock would be held when the interpreter ends.
    with open(sys.stdin.fileno(), "rb", closefd=False) as source:
        while (message := read_message(source)) is not None:
            requests.take_in(_decode_request(message))
    os._exit(0)  # whatever is being looked for: nobody waits for it
