"""Glob patterns: KEYS, SCAN MATCH, CONFIG GET, PSUBSCRIBE.

Owns: what a pattern matches, byte for byte as Redis' own matcher has it, its odd corners included (a class without its
end, an escape at the end, a range whose ends are swapped). Must not know: keys in the store, commands.

A pattern is cut at its stars into segments, each of a fixed number of bytes. The first segment is tied to the start of
the text, the last to its end, and each one between is taken at the first place it fits: a later place can never allow
more. So nothing is ever tried twice: at most len(text) * len(segment) steps in C, and mostly len(text).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Predicate: TypeAlias = "Callable[[bytes], object]"
"""True in a boolean sense for a text that matches."""

_STAR, _ANY, _CLASS, _CLASS_END, _NOT, _RANGE, _ESCAPE = b"*?[]^-\\"
_EVERY_BYTE = frozenset(range(256))
_ByteSet: TypeAlias = frozenset[int]
_Segment: TypeAlias = list[_ByteSet]
"""What each of a fixed number of bytes in a row may be."""

_KEPT_PATTERN_BYTES = 512
"""Longer patterns are compiled anew each time, so that what is kept has a bound."""


def compile_glob(pattern: bytes, *, ignore_case: bool = False) -> Predicate:
    """The predicate of *pattern*, to be made once and asked of many texts.

    As in KEYS and SCAN, `*` alone matches every text; any other pattern but the empty one refuses the empty text.
    Compiling costs about 5 µs for each `?` and class in a pattern that is not a literal.
    """
    if len(pattern) > _KEPT_PATTERN_BYTES:
        return _compile(pattern, ignore_case)
    return _compile_and_keep(pattern, ignore_case)


def literal_prefix(pattern: bytes) -> bytes:
    """The bytes every text that *pattern* matches begins with; for a walk over an ordered index."""
    segment = _segments(pattern, ignore_case=False)[0]
    literal = bytearray()
    for allowed in segment:
        if len(allowed) != 1:
            break
        literal += bytes(allowed)
    return bytes(literal)


def _compile(pattern: bytes, ignore_case: bool) -> Predicate:
    if pattern == b"*":
        return _every_text
    first, *middle = _segments(pattern, ignore_case)
    if not all(map(all, [first, *middle])):  # a class that allows no byte
        return _no_text
    if not middle:
        return _exactly(first)
    last = middle.pop()
    if not middle:
        return _around_one_star(first, last)
    return _around_stars(first, [segment for segment in middle if segment], last)


_compile_and_keep = lru_cache(maxsize=64)(_compile)


# --- reading a pattern -----------------------------------------------------------------------------------------------


def _segments(pattern: bytes, ignore_case: bool) -> list[_Segment]:
    segments: list[_Segment] = [[]]
    at = 0
    while at < len(pattern):
        byte = pattern[at]
        if byte == _STAR:
            segments.append([])
        elif byte == _ANY:
            segments[-1].append(_EVERY_BYTE)
        elif byte == _CLASS:
            allowed, at = _read_class(pattern, at + 1, ignore_case)
            segments[-1].append(allowed)
        else:
            if byte == _ESCAPE and at + 1 < len(pattern):
                at += 1
            segments[-1].append(_literal(pattern[at], ignore_case))
        at += 1
    return segments


def _read_class(pattern: bytes, at: int, ignore_case: bool) -> tuple[_ByteSet, int]:
    """The bytes allowed by the class that starts before *at*, and where its end is: `]`, or the last byte of all."""
    negated = pattern[at : at + 1] == b"^"
    at += negated
    allowed: set[int] = set()
    while at < len(pattern) and pattern[at] != _CLASS_END:
        if pattern[at] == _ESCAPE and at + 1 < len(pattern):
            at += 1
            allowed.add(pattern[at])  # an escaped byte keeps its case, in Redis too
        elif at + 2 < len(pattern) and pattern[at + 1] == _RANGE:
            allowed |= _range(pattern[at], pattern[at + 2], ignore_case)
            at += 2
        else:
            allowed |= _literal(pattern[at], ignore_case)
        at += 1
    return frozenset(_EVERY_BYTE - allowed if negated else allowed), min(at, len(pattern) - 1)


def _literal(byte: int, ignore_case: bool) -> _ByteSet:
    if not ignore_case:
        return frozenset((byte,))
    one = bytes((byte,))
    return frozenset(one.lower() + one.upper())


def _range(start: int, end: int, ignore_case: bool) -> _ByteSet:
    # Redis compares C's plain char, which is signed where it is mostly run: 0x80 to 0xff come before 0x00.
    low, high = sorted((_signed(start), _signed(end)))
    if not ignore_case:
        return frozenset(byte & 0xFF for byte in range(low, high + 1))
    low, high = _lower(low), _lower(high)
    return frozenset(byte & 0xFF for byte in range(-128, 128) if low <= _lower(byte) <= high)


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def _lower(byte: int) -> int:
    return byte + 32 if 65 <= byte <= 90 else byte


# --- predicates ------------------------------------------------------------------------------------------------------


def _every_text(_text: bytes) -> bool:
    return True


def _no_text(_text: bytes) -> bool:
    return False


def _exactly(segment: _Segment) -> Predicate:
    literal = _literal_of(segment)
    return literal.__eq__ if literal is not None else re.compile(_regex(segment), re.DOTALL).fullmatch


def _around_one_star(first: _Segment, last: _Segment) -> Predicate:
    prefix, suffix = _literal_of(first), _literal_of(last)
    if prefix is None or suffix is None or (prefix and suffix):
        # Possessive: `.{n,}` takes the text to its end in one step and is not tried shorter.
        tail = b"(?<=%b)" % _regex(last) if last else b""
        return re.compile(b"%b.{%d,}+%b" % (_regex(first), len(last), tail), re.DOTALL).fullmatch
    if suffix:
        return lambda text: text.endswith(suffix)
    if prefix:
        return lambda text: text.startswith(prefix)
    return bool  # only stars, more than one: Redis refuses the empty text


class _Search(NamedTuple):
    """A segment between two stars: where it next fits, and how long it is."""

    find: Callable[[bytes, int, int], int]
    length: int


def _around_stars(first: _Segment, middle: list[_Segment], last: _Segment) -> Predicate:
    if len(middle) == 1 and not first and not last:
        needle = _literal_of(middle[0])
        if needle is not None:
            return lambda text: needle in text
    if not middle:
        return _around_one_star(first, last)
    outer = _around_one_star(first, last)
    start, end = len(first), len(last)
    searches = [_search(segment) for segment in middle]
    least = start + end + sum(search.length for search in searches)

    def matches(text: bytes) -> bool:
        if len(text) < least or not outer(text):
            return False
        at, stop = start, len(text) - end
        for find, length in searches:
            at = find(text, at, stop)
            if at < 0:
                return False
            at += length
        return True

    return matches


def _search(segment: _Segment) -> _Search:
    literal = _literal_of(segment)
    if literal is not None:
        return _Search(lambda text, at, stop: text.find(literal, at, stop), len(literal))
    search = re.compile(_regex(segment), re.DOTALL).search

    def find(text: bytes, at: int, stop: int) -> int:
        found = search(text, at, stop)
        return found.start() if found else -1

    return _Search(find, len(segment))


def _literal_of(segment: _Segment) -> bytes | None:
    """The one text a segment matches, or None when there are several."""
    if any(len(allowed) != 1 for allowed in segment):
        return None
    return b"".join(map(bytes, segment))


def _regex(segment: _Segment) -> bytes:
    return b"".join(map(_regex_of_byte, segment))


@lru_cache(maxsize=512)
def _regex_of_byte(allowed: _ByteSet) -> bytes:
    if len(allowed) == 256:
        return b"."
    return b"[%b]" % b"".join(b"\\x%02x" % byte for byte in sorted(allowed))
