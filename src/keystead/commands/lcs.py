"""The longest common subsequence of two strings: LCS.

Owns: its length and, of the many there can be, the very one that Redis finds, with its ranges. Must not know: keys.

Redis fills a table of len(a) * len(b) cells and walks back from its last corner: over a pair of equal bytes to both
strings' next bytes, else along *a* where that alone keeps the length, else along *b*. Here a row of that table is one
big integer (a bit says that the length grows at this byte), so a row costs a few long additions, and the walk jumps
over the bytes that it need not look at. The largest tables Redis accepts, 2^27 cells, take 16 MB and about 0.1 s.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

LARGEST_TABLE_CELLS = 1 << 27
"""Redis refuses a larger table by default: at four bytes a cell it would take more than 512 MB. Here it is the bound on
the time that the server stands still."""

_FEW_DISTINCT_BYTES = 8


class Match(NamedTuple):
    """A run of bytes common to both strings: offsets of its first byte, and its length."""

    a: int
    b: int
    length: int


def table_cells(a: bytes, b: bytes) -> int:
    """The size of the table by which Redis decides whether two strings are too long."""
    return (len(a) + 1) * (len(b) + 1)


def lcs_length(a: bytes, b: bytes) -> int:
    """Length of the longest common subsequence."""
    long, short = (a, b) if len(a) >= len(b) else (b, a)
    return _rows(long, short, _occurrences(long, short))[-1].bit_count()


def lcs_matches(a: bytes, b: bytes) -> list[Match]:
    """The runs of the subsequence that Redis picks, last run first. Joined in reverse they are the subsequence."""
    if len(a) >= len(b):
        return _join(_walk_along_a(a, b))
    return _join(_walk_along_b(a, b))


def lcs_text(a: bytes, matches: list[Match]) -> bytes:
    """The subsequence itself."""
    return b"".join(a[match.a : match.a + match.length] for match in reversed(matches))


_Masks: TypeAlias = dict[int, int]
"""For a byte, the integer whose bit i says that the long string has it at i."""


def _rows(long: bytes, short: bytes, masks: _Masks) -> list[int]:
    """Row r: bit i is set where LCS(long[:i+1], short[:r]) is longer than LCS(long[:i], short[:r]).

    The recurrence is Hyyrö's (2004), on the complement of the rows returned.
    """
    full = (1 << len(long)) - 1
    same = full
    rows = [0]
    for byte in short:
        hits = same & masks[byte]
        same = ((same + hits) | (same ^ hits)) & full
        rows.append(same ^ full)
    return rows


def _occurrences(long: bytes, short: bytes) -> _Masks:
    wanted = set(short)
    if len(wanted) <= _FEW_DISTINCT_BYTES:
        backwards = long[::-1]  # the first digit of a numeral is its highest bit
        return {byte: _bits(backwards, bytes(b == byte for b in range(256))) for byte in wanted}
    return _occurrences_by_planes(long, wanted)


def _occurrences_by_planes(long: bytes, wanted: set[int]) -> _Masks:
    """With many distinct bytes: one integer for each of the eight bits of a byte, and a few operations a mask."""
    backwards = long[::-1]
    full = (1 << len(long)) - 1
    planes = []
    for bit in range(8):
        ones = _bits(backwards, bytes(b >> bit & 1 for b in range(256)))
        planes.append((ones ^ full, ones))
    masks = {}
    for byte in wanted:
        mask = full
        for bit, plane in enumerate(planes):
            mask &= plane[byte >> bit & 1]
        masks[byte] = mask
    return masks


def _bits(backwards: bytes, table: bytes) -> int:
    return int(b"0" + backwards.translate(table).translate(_DIGITS), 2)


_DIGITS = b"01" + bytes(254)


def _walk_along_a(a: bytes, b: bytes) -> list[tuple[int, int]]:
    """The pairs of equal bytes, last first, when the bits of a row run along *a*.

    Between unequal bytes Redis steps along *a* while LCS(i-1, j) > LCS(i, j-1). If that holds once it holds down to
    the next occurrence of b[j-1] (the table grows by at most one a step), so one comparison decides for the whole way.
    """
    masks = _occurrences(a, b)
    rows = _rows(a, b, masks)
    pairs = []
    i, j = len(a), len(b)
    while i and j:
        if a[i - 1] != b[j - 1]:
            before = (1 << i) - 1
            if (rows[j] & before).bit_count() == (rows[j - 1] & before).bit_count():
                j -= 1
                continue
            i = (masks[b[j - 1]] & before).bit_length()
        i -= 1
        j -= 1
        pairs.append((i, j))
    return pairs


def _walk_along_b(a: bytes, b: bytes) -> list[tuple[int, int]]:
    """The same walk when the bits of a row run along *b*.

    Redis steps along *b* while the length does not grow there: up to the next bit of the row, or an equal byte.
    """
    masks = _occurrences(b, a)
    rows = _rows(b, a, masks)
    pairs = []
    i, j = len(a), len(b)
    while i and j:
        if a[i - 1] != b[j - 1]:
            j = ((rows[i] | masks[a[i - 1]]) & ((1 << j) - 1)).bit_length()
            if not j:
                break
            if a[i - 1] != b[j - 1]:
                i -= 1
                continue
        i -= 1
        j -= 1
        pairs.append((i, j))
    return pairs


def _join(pairs: list[tuple[int, int]]) -> list[Match]:
    """Runs out of single pairs; both are in falling order."""
    matches: list[Match] = []
    a = b = length = 0
    for i, j in pairs:
        if length and i == a - 1 and j == b - 1:
            a, b, length = i, j, length + 1
            continue
        if length:
            matches.append(Match(a, b, length))
        a, b, length = i, j, 1
    if length:
        matches.append(Match(a, b, length))
    return matches
