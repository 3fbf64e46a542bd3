"""How the newest golden stores were written: `python tests/engine/golden/write.py v3`. Never again once a version is
released; in the stores of version 2 nothing was forgotten, those of version 1 have no system keyspace.

It stays here to say what is in them. A later format gets a directory of its own beside the old ones, which stay as they
are for ever: files of every released format open for ever.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from keystead.engine import turns
from keystead.engine.background import InlineBackground
from keystead.engine.engine import Engine, Options
from keystead.engine.files import LOCK_NAME
from keystead.engine.operations import Author
from keystead.engine.reserve import RESERVE_NAME

OPTIONS = Options(segment_bytes=4096, reserve_bytes=512)
FAR_MS = 32_503_680_000_000
"""The year 3000."""


def step(engine: Engine) -> None:
    """Turn, sync, housekeeping."""
    engine.end_turn()
    engine.sync()
    engine.housekeep(1)
    engine.end_turn()
    engine.sync()


def write(path: Path) -> Engine:
    """Every kind of operation, a checkpoint, sealed segments, an older generation, parts; still open."""
    engine = Engine(str(path), OPTIONS, background=InlineBackground())
    list(engine.load())
    zero, one, two = engine.databases[:3]
    engine.author = Author("ada", "console")
    for i in range(40):
        zero.keyspace.put(b"key:%d" % i, b"value %d" % i * 3)
    one.keyspace.put(b"expiring", b"v", FAR_MS)
    one.keyspace.put("Schlüssel \0".encode(), b"\xff\0\x01")
    one.keyspace.put(b"", b"")
    step(engine)
    engine.system.keyspace.put(b"kept", b"for the system itself")
    engine.request_checkpoint()
    step(engine)
    engine.author = Author("bob", "")
    zero.keyspace.delete(b"key:1")
    zero.keyspace.patch(b"key:2", 2, b"PATCHED")
    zero.keyspace.patch(b"new", 3, b"x")
    zero.keyspace.set_expiry(b"key:3", FAR_MS + 1)
    one.keyspace.set_expiry(b"expiring", 0)
    zero.keyspace.put(b"gone", b"", 1)
    zero.keyspace.delete(b"gone")
    engine.swap(one, two)
    zero.keyspace.put(b"before", b"the flush")
    step(engine)
    engine.databases[4].keyspace.put(b"flushed", b"x")
    engine.flush(engine.databases[4])
    engine.databases[4].keyspace.put(b"after", b"the flush")
    start = len(engine.ops)
    zero.keyspace.put(b"large", b"0123456789" * 60)
    two.keyspace.put(b"with it", b"in one transaction")
    engine.system.keyspace.put(b"answered", b"that too", FAR_MS)
    engine.end_group(start)
    step(engine)
    for i in range(30):
        zero.keyspace.put(b"later:%d" % i, b"x" * 100)
        step(engine)
    engine.append_mark()
    engine.sync()
    engine.system.keyspace.patch(b"answered", 0, b"T")
    zero.keyspace.put(b"last", b"of all")
    engine.end_turn()
    engine.sync()
    return engine


def forget(engine: Engine) -> None:
    """As version 3 has it: a key in segments of both generations, one in a checkpoint, one in parts."""
    forgetting = engine.forget(engine.databases[0], [b"key:2", b"key:7", b"large"])
    while not forgetting.done:
        step(engine)
    assert forgetting.rewritten, forgetting.failure
    engine.databases[0].keyspace.put(b"key:2", b"written later")
    step(engine)


def content(engine: Engine) -> dict[str, dict[str, list[object]]]:
    """By database (-1: the system) and key, in hexadecimal: value and expiry."""
    return {
        str(database.number): {
            key.hex(): [bytes(database.keyspace.get(key) or b"").hex(), database.keyspace.expires_at_ms(key)]
            for key in sorted(database.keyspace.keys())
        }
        for database in (*engine.databases, engine.system)
        if len(database.keyspace)
    }


def main(version: str) -> None:
    """Write the stores of this version."""
    turns.SPLIT_BYTES, turns.PART_BYTES, turns.LARGE_TRANSACTION_BYTES = 500, 200, 300
    root = Path(__file__).parent / version
    for name in ("clean", "killed"):
        engine = write(root / name)
        forget(engine)
        (root / f"{name}.json").write_text(json.dumps(content(engine), indent=1) + "\n")
        if name == "clean":
            engine.close()
        else:
            engine.abandon()
        for file in (LOCK_NAME, RESERVE_NAME):
            (root / name / file).unlink()


if __name__ == "__main__":
    shutil.rmtree(Path(__file__).parent / sys.argv[1], ignore_errors=True)
    main(sys.argv[1])
