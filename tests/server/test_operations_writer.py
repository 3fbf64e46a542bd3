"""The operation log's lines and its thread: order, rotation, a slow reader, a file that cannot be written."""

from __future__ import annotations

import json
import os
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from keystead.execution.operation_log import Operation
from keystead.server.operations_writer import (
    OperationsWriter,
    escaped,
    json_line,
    json_loss,
    text_line,
    text_loss,
)

PATIENCE_S = 10.0
AT_NS = 1_795_652_339_123_456_789
SET = Operation(AT_NS, "ada", "10.0.0.7:50000", b"", "http", 3, "SET", (b"k",), 1, "ok", 12)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never happens"
        time.sleep(0.005)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


# --- lines ------------------------------------------------------------------------------------------------------------


def test_a_json_line_has_every_field() -> None:
    assert json.loads(json_line(SET)) == {
        "at": "2026-11-26T00:18:59.123456Z",
        "user": "ada",
        "addr": "10.0.0.7:50000",
        "protocol": "http",
        "db": 3,
        "command": "SET",
        "keys": ["k"],
        "result": "ok",
        "us": 12,
    }


def test_a_json_line_says_what_is_not_always_there_only_when_it_is() -> None:
    fields = json.loads(json_line(SET._replace(client=b"worker", key_count=20)))
    assert (fields["client"], fields["key_count"]) == ("worker", 20)


def test_a_text_line_reads_from_left_to_right() -> None:
    assert text_line(SET).decode() == '2026-11-26T00:18:59.123456Z http ada 10.0.0.7:50000 db3 SET "k" ok 12us\n'
    more = SET._replace(client=b"worker", keys=(b"a", b"b"), key_count=9, result="NOPERM")
    assert text_line(more).decode().endswith('ada worker@10.0.0.7:50000 db3 SET "a" "b" and 7 more NOPERM 12us\n')


def test_a_loss_is_told_in_the_form_of_the_other_lines() -> None:
    assert json.loads(json_loss("now", 7)) == {"at": "now", "dropped": 7}
    assert text_loss("now", 7) == b"now 7 lines were dropped\n"


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (b"user:1", "user:1"),
        ("Zoë".encode(), "Zoë"),
        (b"\xff\x00", r"\xff\x00"),
        (b"a\nb", r"a\nb"),
        (b"a\\xff", r"a\\xff"),
        ("\u2028".encode(), r"\u2028"),
        (b"\x1b[2J", r"\x1b[2J"),
    ],
)
def test_no_key_can_break_a_line_or_pass_for_another_key(key: bytes, shown: str) -> None:
    assert escaped(key) == shown
    for line in (json_line(SET._replace(keys=(key,))), text_line(SET._replace(keys=(key,), client=key))):
        assert line.count(b"\n") == 1
        assert len(line.decode().splitlines()) == 1


def test_a_key_cannot_end_its_quotes_in_a_text_line() -> None:
    assert b'SET "a\\" NOPERM" ok' in text_line(SET._replace(keys=(b'a" NOPERM',)))


# --- the thread -------------------------------------------------------------------------------------------------------


def test_everything_is_written_in_order_when_it_closes(tmp_path: Path) -> None:
    path = tmp_path / "operations.log"
    writer = OperationsWriter(path, text=False)
    writer.start()
    for number in range(5000):
        writer.put(SET._replace(db=number))
    writer.close()
    assert [line["db"] for line in lines(path)] == list(range(5000))
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_goes_on_in_a_new_file_when_the_old_one_was_moved_away(tmp_path: Path) -> None:
    path, old = tmp_path / "operations.log", tmp_path / "operations.log.1"
    writer = OperationsWriter(path, text=False)
    writer.start()
    writer.put(SET._replace(db=1))
    until(lambda: lines(path))
    path.rename(old)
    writer.put(SET._replace(db=2))
    until(lambda: len(lines(old)) == 2)
    writer.reopen()
    writer.put(SET._replace(db=3))
    writer.close()
    assert [line["db"] for line in lines(old)] == [1, 2]
    assert [line["db"] for line in lines(path)] == [3]


def test_a_reader_that_is_too_slow_loses_lines_which_are_counted_and_stops_nobody(tmp_path: Path) -> None:
    """The log is a pipe that nobody reads at first; the queue is bounded, and the count is in the log at last."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = OperationsWriter(pipe, text=False, most_waiting=100)
    writer.start()
    writer.put(SET)
    select.select([reading], [], [], PATIENCE_S)
    put = 1
    while writer.dropped < 50:
        writer.put(SET)
        put += 1
        assert put < 1_000_000
    os.set_blocking(reading, True)
    received: list[bytes] = []

    def read() -> None:
        while data := os.read(reading, 65536):
            received.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    writer.close()
    reader.join(PATIENCE_S)
    os.close(reading)
    found = [json.loads(line) for line in b"".join(received).splitlines()]
    assert sum(line.get("dropped", 1) for line in found) == put
    assert sum(line.get("dropped", 0) for line in found) == writer.dropped


def test_what_cannot_be_written_is_dropped_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "missing" / "operations.log"
    writer = OperationsWriter(path, text=False)
    writer.start()
    for expected in (1, 2):
        writer.put(SET)
        until(lambda expected=expected: writer.dropped == expected)  # type: ignore[misc]
    assert sum("cannot be written" in record.message for record in caplog.records) == 1
    path.parent.mkdir()
    until(lambda: lines(path))
    writer.put(SET._replace(db=9))
    writer.close()
    assert [line.get("dropped", line.get("db")) for line in lines(path)] == [2, 9]


def test_closing_one_that_never_began_is_harmless(tmp_path: Path) -> None:
    writer = OperationsWriter(tmp_path / "operations.log", text=False)
    writer.close()
    assert not (tmp_path / "operations.log").exists()
