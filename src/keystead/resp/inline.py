"""Inline commands: a line typed by a person, split into arguments by Redis' quoting rules."""

import re

# Redis splits with C's isspace() between arguments, but ends an unquoted argument only at these five.
_SPACE = b" \t\n\v\f\r"
_BARE = re.compile(rb"[^ \n\r\t\"']+")
_IN_DOUBLE = re.compile(rb"[^\"\\]+")
_IN_SINGLE = re.compile(rb"[^'\\]+")
_HEX = re.compile(rb"\\x([0-9a-fA-F]{2})")
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


def split_arguments(line: bytes) -> list[bytes] | None:
    """The arguments of `line`, or None when its quotes are unbalanced. A NUL ends the line, as it does in Redis."""
    line = line.partition(b"\0")[0]
    arguments: list[bytes] = []
    position = 0
    while True:
        while line[position : position + 1] in _SPACE and position < len(line):
            position += 1
        if position >= len(line):
            return arguments
        taken = _argument(line, position)
        if taken is None:
            return None
        argument, position = taken
        arguments.append(argument)


def _argument(line: bytes, position: int) -> tuple[bytes, int] | None:
    """One argument from `position`: bare and quoted pieces up to a space. A closing quote must be followed by one."""
    pieces: list[bytes] = []
    while position < len(line):
        byte = line[position : position + 1]
        if byte in (b'"', b"'"):
            closed = (_double_quoted if byte == b'"' else _single_quoted)(line, position + 1, pieces)
            if closed is None or line[closed : closed + 1] not in _SPACE:
                return None
            return b"".join(pieces), closed
        bare = _BARE.match(line, position)
        if bare is None:
            break
        pieces.append(bare.group())
        position = bare.end()
    return b"".join(pieces), position


def _double_quoted(line: bytes, position: int, pieces: list[bytes]) -> int | None:
    """Collects up to the closing double quote; the position after it, or None when the line ends first."""
    while position < len(line):
        plain = _IN_DOUBLE.match(line, position)
        if plain is not None:
            pieces.append(plain.group())
            position = plain.end()
        elif line[position] == ord('"'):
            return position + 1
        elif hexadecimal := _HEX.match(line, position):
            pieces.append(bytes.fromhex(hexadecimal.group(1).decode()))
            position += 4
        else:
            escaped = line[position + 1 : position + 2]
            pieces.append(_ESCAPES.get(escaped, escaped) or b"\\")
            position += 2
    return None


def _single_quoted(line: bytes, position: int, pieces: list[bytes]) -> int | None:
    """Collects up to the closing single quote; only the quote itself can be escaped."""
    while position < len(line):
        plain = _IN_SINGLE.match(line, position)
        if plain is not None:
            pieces.append(plain.group())
            position = plain.end()
        elif line[position] == ord("'"):
            return position + 1
        else:
            quote = line[position + 1 : position + 2] == b"'"
            pieces.append(b"'" if quote else b"\\")
            position += 2 if quote else 1
    return None
