"""The process that answers questions about the past, by its messages: see also tests/server/test_past_processes.py."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING, BinaryIO, cast

import pytest

from keystead.engine.background import InlineBackground
from keystead.engine.engine import Engine, Options
from keystead.engine.history.asking import (
    COMMAND,
    CalledOff,
    Reply,
    Request,
    Requests,
    decode_reply,
    framed,
    read_message,
)
from keystead.engine.history.questions import At, DifferencesBetween, MomentOf, Question

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS = 300_000


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Of a store in which comparing two moments takes seconds."""
    engine = Engine(str(tmp_path), Options(fsync="never"), background=InlineBackground())
    for _ in engine.load():
        pass
    for number in range(KEYS):
        engine.databases[0].keyspace.put(b"%d" % number, b"v")
        if number % 1_000 == 0:
            engine.end_turn()
    engine.end_turn()
    engine.close()
    pipe = subprocess.PIPE
    with subprocess.Popen([*COMMAND, str(tmp_path)], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        yield process
        with contextlib.suppress(BrokenPipeError):
            cast("BinaryIO", process.stdin).close()


def ask(process: subprocess.Popen[bytes], *asked: tuple[int, Question | None]) -> None:
    """All in one piece."""
    stdin = cast("BinaryIO", process.stdin)
    stdin.write(b"".join(framed(Request(number, KEYS + 1, question)) for number, question in asked))
    stdin.flush()


def reply(process: subprocess.Popen[bytes]) -> Reply:
    message = read_message(cast("BinaryIO", process.stdout))
    assert message is not None
    return decode_reply(message)


def test_a_question_that_is_called_off_is_not_answered(process: subprocess.Popen[bytes]) -> None:
    """Neither when it is being looked into nor when it waits for that; and the others are."""
    ask(process, (1, MomentOf(At(1))))
    assert reply(process).number == 1
    compare = DifferencesBetween(0, At(0), At(KEYS), b"none", None, 10)
    ask(process, (2, compare), (3, compare), (3, None), (2, None), (4, MomentOf(At(KEYS))))
    assert reply(process).number == 4


def test_it_ends_without_a_word_when_nobody_reads_its_answers_any_more(process: subprocess.Popen[bytes]) -> None:
    """Its server was killed: that the other pipe ends as well may be heard later."""
    cast("BinaryIO", process.stdout).close()
    ask(process, (1, MomentOf(At(1))))
    assert process.wait(60) == 0
    assert cast("BinaryIO", process.stderr).read() == b""


def test_nothing_is_kept_of_a_question_that_is_over() -> None:
    """Also when it is called off too late, or before its turn, or never was."""
    requests = Requests()
    for number in range(1, 4):
        requests.take_in(Request(number, 1, MomentOf(At(0))))
    requests.take_in(Request(2, 1, None))
    for number in (1, 3):
        request = requests.next()
        assert request.number == number
        requests.between_frames()
        requests.done(request)
        requests.take_in(Request(number, 1, None))
    requests.take_in(Request(99, 1, None))
    requests.take_in(Request(4, 1, MomentOf(At(0))))
    request = requests.next()
    requests.take_in(Request(4, 1, None))
    with pytest.raises(CalledOff):
        requests.between_frames()
    requests.done(request)
    assert not requests._open
    assert not requests._called_off
