"""LZF, in which servers compress strings of a snapshot.

Written here because it is shorter than what would have to be said about a dependency: the packages that wrap liblzf
have either no wheels or hardly any users. Values that are not interpreted stay compressed, so only strings come here.
"""

from __future__ import annotations

_MOST_BYTES_OF_ONE = 264 // 3 + 1  # the longest match is 264 bytes, and takes three


def decompress(data: bytes, length: int) -> bytes:
    """*length* bytes. ValueError when *data* is anything but exactly these; never takes more memory than they need."""
    if length > len(data) * _MOST_BYTES_OF_ONE:
        raise ValueError("a declared length that no compression reaches")
    out = bytearray()
    at, end = 0, len(data)
    try:
        while at < end:
            control = data[at]
            at += 1
            if control < 32:  # literals follow
                until = at + control + 1
                if until > end:
                    raise ValueError("literals cut off")
                out += data[at:until]
                at = until
            else:
                count = control >> 5
                if count == 7:
                    count += data[at]
                    at += 1
                distance = ((control & 31) << 8 | data[at]) + 1
                at += 1
                _repeat(out, distance, count + 2)
            if len(out) > length:
                raise ValueError("more than was declared")
    except IndexError:
        raise ValueError("a match cut off") from None
    if len(out) != length:
        raise ValueError("less than was declared")
    return bytes(out)


def _repeat(out: bytearray, distance: int, count: int) -> None:
    """Append *count* bytes that begin *distance* before the end; the two may overlap, as in a run of one byte."""
    start = len(out) - distance
    if start < 0:
        raise ValueError("a match before the beginning")
    if count <= distance:
        out += out[start : start + count]
        return
    pattern = bytes(out[start:])
    out += (pattern * (count // distance + 1))[:count]
