"""dump and load: JSON lines that bring back the same data, byte for byte."""

from __future__ import annotations

import io
import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.stores import content, files, fill, flip, keystead
from keystead.engine.engine import Engine, Options
from keystead.execution.json_lines import from_line, to_line

LATER_MS = 4_102_444_800_000


@given(db=st.integers(0, 15), key=st.binary(), value=st.binary(), expires_at_ms=st.integers(0, 2**62))
def test_a_line_brings_back_its_record(db: int, key: bytes, value: bytes, expires_at_ms: int) -> None:
    line = to_line(db, key, value, expires_at_ms)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    json.loads(line)  # any JSON reader takes it
    assert from_line(line) == (db, key, value, expires_at_ms)


def test_text_is_text_and_other_bytes_are_base64() -> None:
    assert to_line(0, "é".encode(), b"\xff", 0) == '{"db":0,"key":"é","value":{"base64":"/w=="}}\n'.encode()
    assert to_line(1, b"", bytearray(b"v"), 5) == b'{"db":1,"key":"","value":"v","expires_at_ms":5}\n'


def test_a_line_may_leave_out_what_has_a_default() -> None:
    assert from_line(b'{"key":"a","type":"string","value":"b"}') == (0, b"a", b"b", 0)


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[]",
        b"oops",
        b'{"key":"a"}',
        b'{"key":"a","value":1}',
        b'{"key":"a","value":"b","db":16}',
        b'{"key":"a","value":"b","db":-1}',
        b'{"key":"a","value":"b","expires_at_ms":0}',
        b'{"key":"a","value":"b","expires_at_ms":1.5}',
        b'{"key":"a","value":"b","ttl":5}',
        b'{"key":"a","value":"b","type":"list"}',
        b'{"key":"a","value":{"base64":"*"}}',
        b'{"key":"\\ud800","value":""}',
        b'{"key":"\xff","value":""}',
    ],
)
def test_a_line_that_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # whichever reason msgspec gives
        from_line(line)


def test_what_was_dumped_and_loaded_is_the_same_data(tmp_path: Path) -> None:
    engine = Engine.open(str(tmp_path / "a"), Options())
    one, other = engine.databases[0].keyspace, engine.databases[9].keyspace
    one.put(b"\x00\xff", b"", LATER_MS)
    one.put("schlüssel".encode(), bytes(range(256)))
    one.patch(b"patched", 3, b"x")
    one.put(b"big", b"0" * 3_000_000)
    other.put(b"", b"empty key")
    engine.close()
    assert keystead("dump", "--dir", tmp_path / "a", tmp_path / "a.jsonl").errors == "5 keys written\n"
    assert keystead("load", "--dir", tmp_path / "b", tmp_path / "a.jsonl").output.startswith("5 keys loaded into ")
    assert keystead("dump", "--dir", tmp_path / "b").output == (tmp_path / "a.jsonl").read_text(encoding="utf-8")
    engine = Engine.open(str(tmp_path / "b"))
    assert engine.databases[0].keyspace.expires_at_ms(b"\x00\xff") == LATER_MS
    assert engine.databases[0].keyspace.get(b"patched") == b"\0\0\0x"
    assert engine.databases[9].keyspace.get(b"") == b"empty key"
    engine.close()


def test_a_dump_is_in_order_and_changes_nothing(tmp_path: Path) -> None:
    fill(tmp_path / "store", 20)
    before = files(tmp_path / "store")
    lines = keystead("dump", "--dir", tmp_path / "store").output.splitlines()
    assert [json.loads(line)["key"] for line in lines] == sorted(f"k{number}" for number in range(20))
    assert files(tmp_path / "store") == before


def test_keys_whose_time_is_up_are_neither_dumped_nor_loaded(tmp_path: Path) -> None:
    engine = Engine.open(str(tmp_path / "store"))
    engine.databases[0].keyspace.put(b"short", b"v", engine.clock.now_ms + 1)
    engine.databases[0].keyspace.put(b"long", b"v", LATER_MS)
    engine.close()
    time.sleep(0.01)
    assert [json.loads(line)["key"] for line in keystead("dump", "--dir", tmp_path / "store").output.splitlines()] == [
        "long"
    ]
    run = keystead("load", "--dir", tmp_path / "other", text='{"key":"a","value":"b","expires_at_ms":1}\n')
    assert run.output.endswith("1 key left out: the time was up\n")


def test_a_dump_of_damaged_data_leaves_no_file(tmp_path: Path) -> None:
    fill(tmp_path / "store", 50)
    flip(tmp_path / "store" / "segment-0000000001.log", 500)
    run = keystead("dump", "--dir", tmp_path / "store", tmp_path / "out.jsonl")
    assert run.status == 65
    assert "segment-0000000001.log at byte" in run.errors
    assert not list(tmp_path.glob("out*"))


def test_a_dump_into_a_pipe_goes_through_it_and_leaves_it(tmp_path: Path) -> None:
    """`keystead dump /dev/null` once replaced the device by an empty file."""
    fill(tmp_path / "store", 3)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert keystead("dump", "--dir", tmp_path / "store", pipe).status == 0
        assert os.read(descriptor, 10_000).count(b"\n") == 3
    finally:
        os.close(descriptor)
    assert pipe.is_fifo()


def test_a_dump_through_a_link_replaces_what_it_points_to(tmp_path: Path) -> None:
    fill(tmp_path / "store", 3)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    keystead("dump", "--dir", tmp_path / "store", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes().count(b"\n") == 3


def test_loading_over_data_needs_to_be_asked_for(tmp_path: Path) -> None:
    fill(tmp_path / "store", 2)
    line = '{"key":"k1","value":"new"}\n'
    run = keystead("load", "--dir", tmp_path / "store", text=line)
    assert (run.status, content(tmp_path / "store")[b"k1"]) == (73, b"v1")
    assert "--merge" in run.errors
    assert keystead("load", "--merge", "--dir", tmp_path / "store", text=line).status == 0
    assert content(tmp_path / "store") == {b"k0": b"v0", b"k1": b"new"}


def test_a_bad_line_is_named_and_its_batch_left_out_whole(tmp_path: Path) -> None:
    lines = [json.dumps({"key": f"k{number}", "value": ""}) for number in range(2500)]
    lines[2100] = '{"key":'
    run = keystead("load", "--dir", tmp_path / "store", text="\n".join(lines))
    assert run.status == 1
    assert run.errors.startswith("keystead: line 2101: ")
    assert run.errors.endswith("; 2,000 keys of the lines before loaded\n")
    assert len(content(tmp_path / "store")) == 2000


def test_empty_lines_do_not_matter(tmp_path: Path) -> None:
    keystead("load", "--dir", tmp_path / "store", text='\n{"key":"a","value":"b"}\n\n')
    assert content(tmp_path / "store") == {b"a": b"b"}


def test_loading_stops_at_the_bound_of_memory_and_says_so(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"key": f"k{number}", "value": "v" * 1000}) + "\n" for number in range(5000))
    (tmp_path / "k.toml").write_text('maxmemory = "1mb"\n')
    run = keystead("load", "--config", tmp_path / "k.toml", "--dir", tmp_path / "store", text=lines)
    assert run.status == 1
    assert "the data has reached maxmemory; " in run.errors
    assert 0 < len(content(tmp_path / "store")) < 5000


def test_a_store_that_is_held_is_not_touched(tmp_path: Path) -> None:
    fill(tmp_path / "store", 1)
    engine = Engine.open(str(tmp_path / "store"))
    for command in ("check", "dump", "load", "compact"):
        run = keystead(command, "--dir", tmp_path / "store")
        assert run.status == 75
        assert "holds" in run.errors
    engine.close()


def test_batches_are_bounded_in_lines_and_bytes() -> None:
    from keystead.cli.json_lines import _batches

    assert [(first, len(lines)) for first, lines in _batches(io.BytesIO(b"x\n" * 2500))] == [
        (1, 1000),
        (1001, 1000),
        (2001, 500),
    ]
    wide = b"y" * 700_000 + b"\n"
    assert [(first, len(lines)) for first, lines in _batches(io.BytesIO(wide * 3))] == [(1, 2), (3, 1)]
