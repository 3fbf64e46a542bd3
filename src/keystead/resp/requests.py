"""The request grammar: arrays of bulk strings and inline commands, with Redis' limits and Redis' words for errors.

Owns the state between two chunks of one client's input. What comes out does not depend on where the chunks were cut.
Memory is taken only for bytes that have arrived, never for a length that was declared; a long argument that arrives in
many chunks is collected once. Like Redis, the two bytes after a bulk string and the one after a header's carriage
return are passed over unread.

Knows no command.
"""

import re
from dataclasses import dataclass
from sys import maxsize

from keystead.resp.inline import split_arguments
from keystead.resp.plain import LARGEST_PLAIN_ARRAY, LARGEST_PLAIN_CHUNK, LENGTHS, parse_plain
from keystead.resp.runs import Run, parse_run

_STAR, _DOLLAR, _CR = b"*$\r"
_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}").fullmatch
_COUNTS = {b"*%d" % count: count for count in range(1, 100)}

# A read that fills the buffer nearly always ends within a command.
_FULL_READ_BYTES = 16384
_NEXT_COMMAND = b"\r\n*"
# What a small `bytes` and its place in a list take, beside its contents.
_ARGUMENT_OVERHEAD_BYTES = 48

_ARGUMENTS_BEFORE_LOGIN = 10
_BULK_BYTES_BEFORE_LOGIN = 16384
_QUERY_BUFFER_BYTES_BEFORE_LOGIN = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may send. Before login Redis' tighter limits hold as well, and commands come one by one."""

    max_bulk_bytes: int = 64 << 20
    max_query_buffer_bytes: int = 128 << 20
    max_arguments: int = 1 << 20
    inline_max_bytes: int = 65536
    before_login: bool = False


class ProtocolError(Exception):
    """The input is not the protocol: run `commands`, answer `message` as an error, close. Nothing after it is read."""

    def __init__(self, message: str, commands: list[list[bytes]]) -> None:
        super().__init__(message)
        self.message = message
        self.commands = commands


class QueryBufferExceeded(ProtocolError):
    """One command is larger than `max_query_buffer_bytes`: close without an answer."""


class RequestParser:
    """Commands out of one client's bytes."""

    __slots__ = (
        "_argument_bytes",
        "_arguments",
        "_bulk",
        "_bulk_bytes",
        "_commands",
        "_counted",
        "_lengths",
        "_limits",
        "_line",
        "_missing",
        "_plain",
        "_plain_allowed",
        "_rest",
    )

    def __init__(self, limits: Limits) -> None:
        self._commands: list[list[bytes]] = []  # completed by the feed() under way
        self._arguments: list[bytes] = []  # of the command under way
        self._missing = 0  # how many more it declared; 0 = between commands
        self._counted = 0  # arguments already in _argument_bytes
        self._argument_bytes = 0
        self._bulk: bytearray | None = None  # the argument under way, with the two bytes that follow it
        self._bulk_bytes = 0
        self._line: bytes | bytearray = b""  # a header or inline command whose end has not arrived
        self._rest = b""  # not looked at yet (only before login)
        self._plain = True  # between commands, nothing held, and limits far away
        self.limits = limits

    @property
    def limits(self) -> Limits:
        """What this client may send; may be replaced between two calls of feed()."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        largest_known = len(LENGTHS) - 1
        self._lengths = LENGTHS if limits.max_bulk_bytes >= largest_known else {}
        self._plain_allowed = (
            not limits.before_login
            and limits.max_arguments >= LARGEST_PLAIN_ARRAY
            and limits.max_bulk_bytes >= LARGEST_PLAIN_CHUNK
        )
        self._plain = self._plain_allowed and self._idle()

    @property
    def buffered_bytes(self) -> int:
        """Memory held for input that has not become a command yet."""
        bulk = self._bulk
        return self._argument_bytes + len(self._line) + len(self._rest) + (0 if bulk is None else len(bulk))

    def feed(self, data: bytes) -> list[list[bytes]]:
        """The commands that `data` completes, in order; each has at least one argument.

        Before login at most one is returned: call feed(b"") until none comes, so that what follows a login is judged by
        the limits after it. Raises ProtocolError, after which the parser must not be used again.
        """
        if self._plain and len(data) < _FULL_READ_BYTES:
            commands = parse_plain(data)
            if commands is not None:
                return commands
        return self._feed(data)

    def run_of(self, data: bytes) -> Run | None:
        """The commands of `data` if they are a run and nothing else (see runs). None changes nothing: feed() it."""
        # The search tells a single command in a tenth of the time that parse_run needs for it.
        return parse_run(data) if self._plain and len(data) < _FULL_READ_BYTES and _NEXT_COMMAND in data else None

    def _feed(self, data: bytes) -> list[list[bytes]]:
        commands: list[list[bytes]] = []
        self._commands = commands
        whole = self._with_held(data)
        if whole is not None:
            self._parse_chunk(whole)
        self._commands = []
        self._check_buffer(commands)
        self._plain = self._plain_allowed and self._idle()
        return commands

    def _idle(self) -> bool:
        return not (self._missing or self._line or self._rest)

    def _parse_chunk(self, data: bytes) -> None:
        """Finishes the command under way by the grammar, takes what is plain after it, and the rest by the grammar."""
        position = 0
        enough = 1 if self._limits.before_login else maxsize
        if self._plain_allowed:
            if self._missing:
                position = self._parse(data, 0, 1)
            if not self._missing and not self._line:
                position = self._take_plain(data, position)
        position = self._parse(data, position, enough)
        self._rest = data[position:]

    def _with_held(self, data: bytes) -> bytes | None:
        """`data` behind what was held back, or None while it does not end what was begun. Each byte is copied once."""
        if self._bulk is not None:
            lacking = self._bulk_bytes - len(self._bulk)
            self._bulk += data[:lacking]
            if len(data) < lacking:
                return None
            self._arguments.append(bytes(memoryview(self._bulk)[:-2]))
            self._bulk = None
            self._missing -= 1
            if not self._missing:
                self._complete()
            return data[lacking:]
        if self._line:
            if not self._ends_line(data) and len(self._line) + len(data) <= self._limits.inline_max_bytes:
                self._line += data
                return None
            data = bytes(self._line) + data
            self._line = b""
        elif self._rest:
            data = self._rest + data
            self._rest = b""
        return data

    def _ends_line(self, data: bytes) -> bool:
        if not self._missing and self._line[0] != _STAR:
            return b"\n" in data
        return self._line[-1] == _CR or b"\r" in data

    def _take_plain(self, data: bytes, position: int) -> int:
        """Takes the whole commands from `position` the fast way, all but the last, which may be cut off."""
        end = data.rfind(b"\r\n*", position) + 2
        if end > position + 2:
            commands = parse_plain(data[position:end])
            if commands is not None:
                self._commands += commands
                return end
        return position

    def _parse(self, data: bytes, position: int, enough: int) -> int:
        """Takes commands from `position` by the grammar until there are `enough`; the position after them."""
        while position < len(data) and len(self._commands) < enough:
            if self._missing:
                position = self._take_arguments(data, position)
            elif data[position] == _STAR:
                position = self._take_count(data, position)
            else:
                position = self._take_inline(data, position)
        return position

    def _take_count(self, data: bytes, position: int) -> int:
        """The header of an array. Arrays of no or fewer arguments are passed over, as in Redis."""
        end = data.find(b"\r", position, position + self._limits.inline_max_bytes + 1)
        if end < 0 or end + 1 >= len(data):
            return self._hold_line(data, position, end, "too big mbulk count string")
        count = _COUNTS.get(data[position:end])
        if count is None:
            count = self._number(data[position + 1 : end])
        if count is None or count > self._limits.max_arguments:
            raise self._error("invalid multibulk length")
        if count > _ARGUMENTS_BEFORE_LOGIN and self._limits.before_login:
            raise self._error("unauthenticated multibulk length")
        if count > 0:
            self._missing = count
        return end + 2

    def _take_arguments(self, data: bytes, position: int) -> int:
        """The bulk strings of the command under way, as far as they have arrived."""
        arguments, size, find, lengths = self._arguments, len(data), data.find, self._lengths
        longest_line = self._limits.inline_max_bytes + 1
        missing = self._missing
        while missing and position < size:
            end = find(b"\r", position, position + longest_line)
            if end < 0 or end + 1 >= size:
                self._missing = missing
                return self._hold_line(data, position, end, "too big bulk count string")
            length = lengths.get(data[position:end])
            if length is None:
                length = self._bulk_length(data, position, end)
            start = end + 2
            position = start + length + 2
            if position > size:
                self._missing = missing
                self._bulk = bytearray(memoryview(data)[start:])
                self._bulk_bytes = length + 2
                return size
            arguments.append(data[start : position - 2])
            missing -= 1
        self._missing = missing
        if not missing:
            self._complete()
        return position

    def _bulk_length(self, data: bytes, position: int, end: int) -> int:
        if data[position] != _DOLLAR:
            mark = data[position : position + 1].decode("utf-8", "surrogateescape")
            raise self._error(f"expected '$', got '{mark}'")
        length = self._number(data[position + 1 : end])
        if length is None or not 0 <= length <= self._limits.max_bulk_bytes:
            raise self._error("invalid bulk length")
        if length > _BULK_BYTES_BEFORE_LOGIN and self._limits.before_login:
            raise self._error("unauthenticated bulk length")
        return length

    def _take_inline(self, data: bytes, position: int) -> int:
        end = data.find(b"\n", position, position + self._limits.inline_max_bytes + 1)
        if end < 0:
            return self._hold_line(data, position, end, "too big inline request")
        arguments = split_arguments(data[position:end].removesuffix(b"\r"))
        if arguments is None:
            raise self._error("unbalanced quotes in request")
        if arguments:
            self._commands.append(arguments)
        return end + 1

    def _hold_line(self, data: bytes, position: int, end: int, too_long: str) -> int:
        """Keeps a line that has not ended (`end` < 0: nor its carriage return arrived) for the next chunk."""
        if end < 0 and len(data) - position > self._limits.inline_max_bytes:
            raise self._error(too_long)
        self._line = bytearray(memoryview(data)[position:])
        return len(data)

    def _complete(self) -> None:
        self._commands.append(self._arguments)
        self._arguments = []
        self._counted = self._argument_bytes = 0

    def _check_buffer(self, commands: list[list[bytes]]) -> None:
        """Counts what the command under way holds, each argument once, and refuses too much of it."""
        new = self._arguments[self._counted :]
        self._counted += len(new)
        self._argument_bytes += sum(map(len, new)) + _ARGUMENT_OVERHEAD_BYTES * len(new)
        most = self._limits.max_query_buffer_bytes
        if self._limits.before_login:
            most = min(most, _QUERY_BUFFER_BYTES_BEFORE_LOGIN)
        if self.buffered_bytes > most:
            raise QueryBufferExceeded("a command larger than the query buffer may be", commands)

    @staticmethod
    def _number(text: bytes) -> int | None:
        """A length as Redis reads it: no sign but a minus, no leading zero, no space; None for anything else."""
        return int(text) if _INTEGER(text) else None

    def _error(self, message: str) -> ProtocolError:
        return ProtocolError(f"Protocol error: {message}", self._commands)
