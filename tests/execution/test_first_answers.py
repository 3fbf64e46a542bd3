"""First answers: found again by the same user and key, after a restart too, for a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cases.case import split
from executors import Stage, stage
from keystead.commands.debug import replays_to_memory
from keystead.execution import first_answers
from keystead.execution.acl_rules import DEFAULT
from keystead.execution.batches import Batch, Step
from keystead.execution.first_answers import KEPT_MS, LONGEST_ANSWER_BYTES, FirstAnswer, FirstAnswers
from keystead.execution.users import User

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from executors import Client

FIRST = FirstAnswer(b"print", b"the answer")


class HandClock:
    """A wall clock that is turned by hand."""

    at_ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.at_ms


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def client(tmp_path: Path, clock: HandClock) -> Iterator[Client]:
    built = stage(tmp_path / "data", wall_ms=clock)
    yield built.client()
    built.executor.engine.close()


def answers(client: Client) -> FirstAnswers:
    return FirstAnswers(client.session.engine)


def once(client: Client, line: str, key: bytes) -> None:
    """Execute the line and keep FIRST as its answer."""

    def record(*_: object) -> None:
        answers(client).keep(client.session, key, FIRST)

    assert Batch(client.session, [Step(split(line))], record=record).start() is None


def test_an_answer_is_found_by_its_user_and_key_alone(client: Client) -> None:
    once(client, "INCR k", b"key")
    assert answers(client).find(client.session, b"key") == FIRST
    assert answers(client).find(client.session, b"other") is None
    client.session.user = User(b"somebody", DEFAULT)
    assert answers(client).find(client.session, b"key") is None


def test_an_answer_that_is_found_may_be_told_when_it_is_durable(client: Client) -> None:
    once(client, "INCR k", b"key")
    client.session.must_wait = False
    answers(client).find(client.session, b"other")
    assert not client.session.must_wait
    answers(client).find(client.session, b"key")
    assert client.session.must_wait


def test_an_answer_is_part_of_the_transaction_that_it_answers(client: Client) -> None:
    once(client, "INCR k", b"key")
    assert client.session.engine.turn.encode().transactions == 1


def test_an_answer_outlives_the_process_and_no_flush_reaches_it(tmp_path: Path) -> None:
    first = stage(tmp_path / "data")
    client = first.client()
    once(client, "INCR k", b"key")
    client("FLUSHALL")
    first.executor.engine.end_turn()
    assert replays_to_memory(first.executor.engine)
    first.executor.engine.close()
    again = stage(tmp_path / "data")
    client = again.client()
    assert answers(client).find(client.session, b"key") == FIRST
    again.executor.engine.close()


def test_an_answer_is_forgotten_after_a_day(client: Client, clock: HandClock) -> None:
    once(client, "INCR k", b"key")
    clock.at_ms += KEPT_MS - 1
    client("PING")
    assert answers(client).find(client.session, b"key") == FIRST
    clock.at_ms += 1
    client("PING")
    assert answers(client).find(client.session, b"key") is None


def test_of_a_long_answer_only_that_there_was_one_is_kept(client: Client) -> None:
    kept = answers(client)
    kept.keep(client.session, b"short", FirstAnswer(b"print", bytes(LONGEST_ANSWER_BYTES)))
    kept.keep(client.session, b"long", FirstAnswer(b"print", bytes(LONGEST_ANSWER_BYTES + 1)))
    assert kept.find(client.session, b"short") == FirstAnswer(b"print", bytes(LONGEST_ANSWER_BYTES))
    assert kept.find(client.session, b"long") == FirstAnswer(b"print", None)


def test_there_is_room_until_all_answers_together_are_too_large(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_answers, "MOST_BYTES", 200)
    kept = answers(client)
    kept.keep(client.session, b"1", FirstAnswer(b"print", bytes(100)))
    assert kept.have_room
    kept.keep(client.session, b"2", FirstAnswer(b"print", bytes(100)))
    assert not kept.have_room


def test_a_request_is_under_way_while_its_client_waits_for_it(executor_stage: Stage) -> None:
    client, other = executor_stage.client(), executor_stage.client()
    kept = FirstAnswers(executor_stage.executor.engine)
    other("CLIENT PAUSE 100")
    for waiting, key in ((client, b"a"), (other, b"b")):
        promise = Batch(waiting.session, [Step([b"INCR", b"k"])]).start()
        assert promise is not None
        kept.begin(waiting.session, key, promise)
    assert kept.is_under_way(executor_stage.client().session, b"a")
    assert not kept.is_under_way(client.session, b"c")
    executor_stage.executor.close_session(other.session)
    assert not kept.is_under_way(client.session, b"b")
    executor_stage.timers.pass_time(1)
    assert not kept.is_under_way(client.session, b"a")
