"""What is written is read, whether it fits into memory or not."""

from __future__ import annotations

import threading
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from keystead.migration.replica.spool import READ_BYTES, Spool


@given(st.lists(st.binary(min_size=1, max_size=400) | st.none(), max_size=60), st.integers(0, 500))
def test_bytes_come_out_as_they_went_in_however_writes_and_reads_take_turns(
    steps: list[bytes | None], memory: int
) -> None:
    spool, written, read = Spool(memory_bytes=memory, file_bytes=700), b"", b""
    for step in steps:
        if step is None:
            read += spool.read()
        else:
            spool.write(step)
            written += step
        assert spool.waiting == len(written) - len(read)
    while data := spool.read():
        read += data
    assert read == written
    spool.close()


def test_nothing_is_only_read_when_nothing_waits() -> None:
    spool = Spool(memory_bytes=0, file_bytes=READ_BYTES)
    for mark in (b"a", b"b", b"c"):
        spool.write(mark * READ_BYTES)
    assert [spool.read()[:1] for _ in range(4)] == [b"a", b"b", b"c", b""]


def test_one_thread_may_write_while_another_reads(tmp_path: Path) -> None:
    spool, pieces = Spool(str(tmp_path), memory_bytes=1000, file_bytes=5000), [b"%d," % n for n in range(20_000)]
    writer = threading.Thread(target=lambda: [spool.write(piece) for piece in pieces])
    writer.start()
    read: list[bytes] = []
    while writer.is_alive() or spool.waiting:
        read.append(spool.read())
    assert b"".join(read) == b"".join(pieces)
    assert list(tmp_path.iterdir()) == []
