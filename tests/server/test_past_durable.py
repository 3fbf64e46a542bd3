"""A question is asked when everything before it is durable, and of nothing behind that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from stage import Client, Stage

from keystead.engine.history.questions import Changes, HistoryOf
from keystead.server import past
from keystead.server.past import PastProcesses

QUESTION = HistoryOf(0, b"k", 10)


class Process:
    """Stands for a process: what it is asked, and its end."""

    started: list[Process]

    def __init__(self, _loop: object, _path: str, lane: Any) -> None:
        self.lane = lane
        self.asked: list[Any] = []
        self.is_over = False
        self.pid = 4711
        Process.started.append(self)

    def write(self, data: Any) -> None:
        self.asked.append(data)

    def end(self) -> None:
        self.is_over = True


class Loop:
    """The stage's, with a clock that stands still."""

    def __init__(self, stage: Stage) -> None:
        self.call_soon = stage.loop.call_soon
        self.call_later = stage.loop.call_later

    def time(self) -> float:
        return 0.0


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    stage = Stage(tmp_path / "data", helper=True)
    monkeypatch.setattr(past, "_Process", Process)
    monkeypatch.setattr(past, "framed", lambda request: request)
    Process.started = []
    yield stage
    stage.engine.close()


@pytest.fixture
def processes(stage: Stage) -> PastProcesses:
    return PastProcesses(cast("Any", Loop(stage)), stage.engine, stage.turns)


def asked() -> list[Any]:
    return [request for process in Process.started for request in process.asked]


def test_what_is_appended_is_synced_before_anything_is_asked(stage: Stage, processes: PastProcesses) -> None:
    client = Client(stage)
    stage.turns.plain_reads = True  # so that syncs are done elsewhere
    client.sends("PUT k 1")
    processes.ask(QUESTION, lambda _: None)
    stage.loop.run()
    assert (asked(), len(stage.helper.requests)) == ([], 1)
    client.asks("PUT k 2")  # appended while that sync is under way, behind the question
    assert asked() == []
    stage.sync()
    (request,) = asked()
    assert (request.question, request.until) == (QUESTION, 2)
    stage.sync()


def test_what_the_same_turn_has_recorded_is_part_of_it(stage: Stage, processes: PastProcesses) -> None:
    Client(stage).sends("PUT k 1", "PUT k 2")
    processes.ask(QUESTION, lambda _: None)
    stage.loop.run()
    if stage.helper.requests:
        stage.sync()
    assert [request.until for request in asked()] == [3]


def test_nothing_is_synced_for_a_question_when_all_is_durable(stage: Stage, processes: PastProcesses) -> None:
    syncs = stage.engine.log.syncs
    processes.ask(QUESTION, lambda _: None)
    stage.loop.run()
    assert [request.until for request in asked()] == [1]
    assert (stage.engine.log.syncs, stage.helper.requests) == (syncs, [])


def test_a_question_called_off_before_it_was_asked_is_not_asked(stage: Stage, processes: PastProcesses) -> None:
    processes.ask(QUESTION, lambda _: None)()
    stage.loop.run()
    assert asked() == []


def test_a_question_called_off_later_is_not_answered(stage: Stage, processes: PastProcesses) -> None:
    answers: list[object] = []
    call_off = processes.ask(QUESTION, answers.append)
    stage.loop.run()
    call_off()
    call_off()
    (process,) = Process.started
    assert [request.question for request in process.asked] == [QUESTION, None]
    processes.close()
    assert answers == []


def test_after_a_forgetting_another_process_is_asked_the_same(stage: Stage, processes: PastProcesses) -> None:
    answers: list[object] = []
    processes.ask(QUESTION, answers.append)
    stage.loop.run()
    processes.forget()
    first, second = Process.started
    assert first.is_over
    assert second.asked == first.asked
    first.lane.ended(first)  # its end is heard of later, and means nothing
    assert answers == []
    answer = Changes([])
    second.lane._pending[1].answer(answer)
    assert answers == [answer]


def test_whoever_waits_is_told_when_the_process_ends(stage: Stage, processes: PastProcesses) -> None:
    answers: list[object] = []
    processes.ask(QUESTION, answers.append)
    stage.loop.run()
    (process,) = Process.started
    process.lane.ended(process)
    assert answers == [None]
    processes.ask(QUESTION, answers.append)
    stage.loop.run()
    assert len(Process.started) == 2


def test_after_the_end_nothing_is_asked_any_more(stage: Stage, processes: PastProcesses) -> None:
    answers: list[object] = []
    processes.close()
    processes.ask(QUESTION, answers.append)
    stage.loop.run()
    assert (answers, Process.started) == ([None], [])
