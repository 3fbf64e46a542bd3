"""Entity tags and the conditions on them: a value's tag is its XXH3 digest, as DIGEST answers it, in quotes.

Must not know: commands, connections.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from xxhash import xxh3_64_hexdigest

from keystead.server.http.problems import Problem

_TAG = re.compile(rb'\s*((?:W/)?)"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')
_DIGEST = re.compile(rb"[0-9a-f]{16}")
EXAMPLE = '"17c1a0f4b3f7a5e2"'


def etag_of(value: bytes | bytearray) -> bytes:
    """The header's value, quotes included."""
    return b'"%b"' % xxh3_64_hexdigest(value).encode()


class Tags(NamedTuple):
    """What If-Match or If-None-Match lists."""

    any: bool
    """It is "*": whatever exists."""
    digests: tuple[bytes, ...] = ()
    """Those that can be ours; a tag that cannot matches nothing, and is left out."""

    def has(self, digest: bytes) -> bool:
        """Whether a value of that digest is meant."""
        return self.any or digest in self.digests


def parse_tags(header: bytes, name: str, *, weak: bool) -> Tags:
    """Read a list of entity tags, or "*". *weak* tags count (If-None-Match) or match nothing (If-Match). Problem for
    anything else."""
    if header.strip() == b"*":
        return Tags(any=True)
    digests: list[bytes] = []
    at = 0
    while at < len(header):
        match = _TAG.match(header, at)
        if match is None:
            break
        if _DIGEST.fullmatch(match[2]) and (weak or not match[1]):
            digests.append(match[2])
        at = match.end()
    if at < len(header) or not header.strip():
        raise Problem(
            400,
            f"{name} must be entity tags in quotes, as ETag gives them (such as {EXAMPLE}), separated by commas, or *.",
        )
    return Tags(any=False, digests=tuple(digests))
