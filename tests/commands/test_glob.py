"""Glob patterns against a recursive model of Redis' matcher, and against the matcher of a real redis-server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keystead.commands.glob import compile_glob, literal_prefix
from wire import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server
    from wire import SocketConnection

PATTERNS = st.lists(st.sampled_from([*(bytes((b,)) for b in b"aAb*?[]^-\\\x00\x80\xff")])).map(b"".join) | st.binary()
TEXTS = st.lists(st.sampled_from([*(bytes((b,)) for b in b"aAbB-]^[\\*\x00\x80\xff")]), max_size=8).map(b"".join)


def model(pattern: bytes, text: bytes, nocase: bool) -> bool:
    """One byte of the pattern after the other, trying every length at a star: slow, and plainly what Redis does."""

    def lower(byte: int) -> int:
        return byte + 32 if nocase and 65 <= byte <= 90 else byte

    def signed(byte: int) -> int:
        return byte - 256 if byte > 127 else byte

    if not pattern or not text:
        return pattern == text
    head = pattern[0:1]
    if head == b"*":
        rest = pattern.lstrip(b"*")
        return not rest or any(model(rest, text[i:], nocase) for i in range(len(text)))
    at = 1
    if head == b"?":
        good = True
    elif head == b"[":
        negated = pattern[1:2] == b"^"
        at += negated
        good = False
        while at < len(pattern):
            if pattern[at : at + 1] == b"\\" and at + 1 < len(pattern):
                at += 1
                good |= pattern[at] == text[0]
            elif pattern[at : at + 1] == b"]":
                break
            elif pattern[at + 1 : at + 2] == b"-" and at + 2 < len(pattern):
                low, high = sorted((signed(pattern[at]), signed(pattern[at + 2])))
                good |= lower(low) <= lower(signed(text[0])) <= lower(high)
                at += 2
            else:
                good |= lower(pattern[at]) == lower(text[0])
            at += 1
        at = min(at + 1, len(pattern))
        good ^= negated
    else:
        if head == b"\\" and len(pattern) > 1:
            at = 2
        good = lower(pattern[at - 1]) == lower(text[0])
    if not good:
        return False
    pattern, text = pattern[at:], text[1:]
    return model(pattern, text, nocase) if text else not pattern.strip(b"*")


@pytest.mark.parametrize(
    ("pattern", "matches", "refuses"),
    [
        (b"h?llo", [b"hello", b"hallo", b"h\xffllo"], [b"hllo", b"heello"]),
        (b"h*llo", [b"hllo", b"heeeello"], [b"ello", b"helloo"]),
        (b"h[ae]llo", [b"hello", b"hallo"], [b"hillo", b"hllo"]),
        (b"h[^e]llo", [b"hallo", b"hbllo"], [b"hello"]),
        (b"h[a-b]llo", [b"hallo", b"hbllo"], [b"hcllo"]),
        (b"h[b-a]llo", [b"hallo", b"hbllo"], [b"hcllo"]),
        (rb"h\*", [b"h*"], [b"hi", rb"h\*"]),
        (b"*", [b"", b"a"], []),
        (b"**", [b"a"], [b""]),
        (b"", [b""], [b"a"]),
        (b"a\\", [b"a\\"], [b"a"]),
        (b"[", [], [b"[", b"a"]),
        (b"[]", [], [b"]", b"[]", b"a"]),
        (b"[^", [b"a", b"^"], [b"aa"]),
        (b"[^]", [b"a", b"]"], [b"aa"]),
        (b"[ab", [b"a", b"b"], [b"[", b"ab"]),
        (b"[a-", [b"a", b"-"], [b"b"]),
        (b"[a-]", [b"a", b"^", b"]"], [b"b", b"-"]),
        (rb"[\]x]", [b"]", b"x"], [b"\\"]),
        (b"[\\", [b"\\"], [b"["]),
        (b"*a*b*c*", [b"abc", b"xaxbxcx"], [b"acb", b"ab"]),
        (b"*ab?*ab", [b"abxab", b"ababab"], [b"abab", b"ab"]),
    ],
)
def test_corners(pattern: bytes, matches: list[bytes], refuses: list[bytes]) -> None:
    predicate = compile_glob(pattern)
    assert [text for text in [*matches, *refuses] if predicate(text)] == matches


def test_case_is_ignored_on_request() -> None:
    predicate = compile_glob(b"max[M-n]*\\MORY", ignore_case=True)
    assert predicate(b"MAXmemory")
    assert predicate(b"maxn-memory")
    assert not predicate(b"maxomemory")


@settings(max_examples=1000)
@given(PATTERNS, TEXTS, st.booleans())
@example(b"[a-\xff]", b"b", False)
@example(b"[a-\xff]", b"B", False)
def test_agrees_with_the_model(pattern: bytes, text: bytes, nocase: bool) -> None:
    if pattern == b"*":
        return
    assert bool(compile_glob(pattern, ignore_case=nocase)(text)) == model(pattern, text, nocase)


@given(PATTERNS, TEXTS)
def test_a_match_begins_with_the_literal_prefix(pattern: bytes, text: bytes) -> None:
    if compile_glob(pattern)(text):
        assert text.startswith(literal_prefix(pattern))


def test_the_literal_prefix_ends_at_the_first_choice() -> None:
    found = {pattern: literal_prefix(pattern) for pattern in (b"user:*", b"a?c", b"a[b]c*", rb"\*x[yz]", b"[^a]", b"*")}
    assert found == {b"user:*": b"user:", b"a?c": b"a", b"a[b]c*": b"abc", rb"\*x[yz]": b"*x", b"[^a]": b"", b"*": b""}


@pytest.fixture(scope="module")
def oracle(redis: Server) -> Iterator[SocketConnection]:
    """A database of the real server with every short key over a small alphabet, and some longer ones."""
    connection = redis.connect()
    assert connection.call("SELECT", 9).value == b"OK"
    connection.call("FLUSHDB")
    for key in KEYS:
        connection.call("SET", key, b"")
    yield connection
    connection.call("FLUSHDB")
    connection.close()


ALPHABET = [bytes((byte,)) for byte in b"aAb]^-\\[*\x00\x80\xff"]
KEYS = [b"", *ALPHABET, *(a + b for a in ALPHABET for b in ALPHABET), b"aab", b"abab", b"a-b", b"bab]", b"aaaaaaaab"]


@settings(max_examples=200)
@given(st.lists(PATTERNS, min_size=20, max_size=20))
def test_keys_are_those_that_redis_finds(oracle: SocketConnection, patterns: list[bytes]) -> None:
    oracle.send(b"".join(encode([b"KEYS", pattern]) for pattern in patterns))
    for pattern in patterns:
        found = sorted(reply.value for reply in oracle.receive().value)
        assert found == sorted(filter(compile_glob(pattern), KEYS)), pattern


def test_many_stars_on_a_long_key_cost_one_pass() -> None:
    """A backtracking matcher would need more than 10^80 steps here; this ends, or the suite's timeout ends it."""
    key = b"a" * 100_000
    for pattern in (b"*a" * 20 + b"*b*", b"*?[ab]" * 20 + b"*b*", b"*" + b"a*" * 1000 + b"[b]"):
        started = time.perf_counter()
        assert not compile_glob(pattern)(key)
        print(f"{pattern[:12]!r} … {1000 * (time.perf_counter() - started):.3f} ms")
