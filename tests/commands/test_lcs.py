"""The longest common subsequence against the table that defines it, and against a real redis-server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keystead.commands.lcs import Match, lcs_length, lcs_matches, lcs_text, table_cells
from wire import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server
    from wire import SocketConnection

FEW_LETTERS = st.binary(max_size=60).map(lambda text: bytes(b"abc"[byte % 3] for byte in text))
MANY_LETTERS = st.lists(st.sampled_from([bytes((byte,)) for byte in range(0, 256, 15)]), max_size=40).map(b"".join)
STRINGS = FEW_LETTERS | MANY_LETTERS


def walked(a: bytes, b: bytes) -> bytes:
    """The subsequence by a table of every prefix pair and the walk back from its last corner."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if left == right else max(table[i][j + 1], table[i + 1][j])
    i, j, found = len(a), len(b), bytearray()
    while i and j:
        if a[i - 1] == b[j - 1]:
            i, j = i - 1, j - 1
            found.append(a[i])
        elif table[i - 1][j] > table[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return bytes(found[::-1])


def test_the_example_of_the_redis_manual() -> None:
    a, b = b"ohmytext", b"mynewtext"
    matches = lcs_matches(a, b)
    assert matches == [Match(4, 5, 4), Match(2, 0, 2)]
    assert lcs_text(a, matches) == b"mytext"
    assert lcs_length(a, b) == 6


@pytest.mark.parametrize(("a", "b"), [(b"", b""), (b"abc", b""), (b"", b"abc"), (b"abc", b"xyz"), (b"x", b"abc")])
def test_nothing_in_common(a: bytes, b: bytes) -> None:
    assert lcs_length(a, b) == 0
    assert lcs_matches(a, b) == []


def test_the_limit_counts_the_table_that_redis_would_need() -> None:
    assert table_cells(b"abc", b"a") == 4 * 2


@settings(max_examples=400)
@given(STRINGS, STRINGS)
def test_picks_the_subsequence_of_the_full_table(a: bytes, b: bytes) -> None:
    matches = lcs_matches(a, b)
    assert lcs_text(a, matches) == lcs_text(b, [Match(m.b, m.a, m.length) for m in matches]) == walked(a, b)
    assert lcs_length(a, b) == len(walked(a, b))


@pytest.fixture(scope="module")
def oracle(redis: Server) -> Iterator[SocketConnection]:
    connection = redis.connect()
    yield connection
    connection.call("DEL", "lcs:a", "lcs:b")
    connection.close()


@settings(max_examples=400)
@given(STRINGS, STRINGS)
def test_ranges_are_those_that_redis_finds(oracle: SocketConnection, a: bytes, b: bytes) -> None:
    oracle.send(
        encode([b"MSET", b"lcs:a", a, b"lcs:b", b]) + encode([b"LCS", b"lcs:a", b"lcs:b", b"IDX", b"WITHMATCHLEN"])
    )
    assert oracle.receive().value == b"OK"
    _, ranges, _, length = oracle.receive().value
    expected = [
        Match(in_a.value[0].value, in_b.value[0].value, run.value)
        for in_a, in_b, run in (found.value for found in ranges.value)
    ]
    assert lcs_matches(a, b) == expected
    assert lcs_length(a, b) == length.value
