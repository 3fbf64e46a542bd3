"""LZF against made-up input, and against a packer of literals and matches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystead.migration.replica.lzf import decompress


def packed(parts: list[bytes | tuple[int, int]]) -> tuple[bytes, bytes]:
    """Literals, and matches as (distance, length), as LZF and as what they mean, byte by byte."""
    out, meant = bytearray(), bytearray()
    for part in parts:
        if isinstance(part, bytes):
            out += bytes([len(part) - 1]) + part
            meant += part
        else:
            distance, length = min(part[0], len(meant)), part[1]
            if not distance:
                continue
            high, low = divmod(distance - 1, 256)
            short = min(length - 2, 7)
            out += bytes([short << 5 | high]) + (bytes([length - 9]) if short == 7 else b"") + bytes([low])
            for _ in range(length):
                meant.append(meant[-distance])
    return bytes(out), bytes(meant)


parts = st.lists(st.binary(min_size=1, max_size=32) | st.tuples(st.integers(1, 8192), st.integers(3, 264)))


@given(parts)
def test_literals_and_matches_that_overlap_themselves_are_undone(parts: list[bytes | tuple[int, int]]) -> None:
    data, meant = packed(parts)
    assert decompress(data, len(meant)) == meant


@given(parts, st.integers(-3, 3).filter(bool))
def test_another_length_than_was_declared_is_refused(parts: list[bytes | tuple[int, int]], off: int) -> None:
    data, meant = packed(parts)
    with pytest.raises(ValueError, match=r"declared|length"):
        decompress(data, len(meant) + off)


@given(st.binary(max_size=100), st.integers(0, 1 << 40))
def test_noise_is_refused_or_has_the_length_that_was_declared(noise: bytes, length: int) -> None:
    try:
        found = decompress(noise, length)
    except ValueError:
        return
    assert len(found) == length


@pytest.mark.parametrize("data", [b"\x05ab", b"\x20", b"\xe0\x01", b"\x20\x00", b"\xe0"])
def test_what_is_cut_off_or_points_before_the_beginning_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut off|before"):
        decompress(data, 3)
