"""What is in the store of the console's tests: each kind of value that it shows, and names meant to break it."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import redis

USERS = 3000
SESSIONS = 500
HOSTILE_NAME = "<img src=x onerror=alert(1)>"
HOSTILE_VALUE = "<script>alert(1)</script>\x00\u202eend"
BINARY_NAME = b"bin\xff\x00key"
LARGE_NUMBER = 12345678901234567890
ZSTD_INSIDE = b'{"inside": "zstd", "list": [' + b", ".join(b'{"number": %d}' % (n % 10) for n in range(300)) + b"]}"
ZSTD = bytes.fromhex(
    "28b52ffd04687d020062c30c11907d8840c02914b16ba43bc4eec9d8891cbba9848e296408073bf8fa0addc4f435f3f5d746"
    "f90efe5d9bdfd7c3172d8daf030b20b023ebf990e901b83293453e329345be32831493b89501aaa8468a"
)
"""That, as `zstd -19` makes it."""
CONFIGURATION = {"name": "shop", "limits": {"requests": 120, "big": LARGE_NUMBER}, "hosts": ["a.example", "b.example"]}


def fill(client: redis.Redis) -> None:
    """Store them all."""
    pipeline = client.pipeline()
    for number in range(USERS):
        pipeline.set(f"user:{number}:name", f"Ada {number}")
    for number in range(SESSIONS):
        pipeline.set(f"session:{number:04d}", f"token-{number}", ex=3600 + number)
    pipeline.set("config:app", json.dumps(CONFIGURATION, indent=2))
    pipeline.set("image:logo", picture(48, 48))
    pipeline.set("value:gzip", gzip.compress(b'{"inside": "gzip"}'))
    pipeline.set("value:zstd", ZSTD)
    pipeline.set("value:msgpack", msgspec.msgpack.encode({"list": [1, 2.5, None, True], "map": {"depth": -7}}))
    pipeline.set("value:text", "first line\nsecond line")
    pipeline.set("value:empty", "")
    pipeline.set(HOSTILE_NAME, HOSTILE_VALUE)
    pipeline.set(BINARY_NAME, bytes(range(256)))
    pipeline.execute()


def picture(width: int, height: int) -> bytes:
    """A PNG."""
    rows = b"".join(b"\0" + bytes(part for x in range(width) for part in (x * 4, y * 4, 120)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
