"""Batches that are all or nothing: what is sent, how conditions are judged, what is told of whom.

The script itself runs in tests/server/cluster.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from keystead.errors import CommandError
from keystead.execution.batches import Condition, Failure, Step
from keystead.execution.cluster.whole_batches import MOST_ARGUMENTS, MOST_ROUNDS, Outcome, WholeBatch
from scripted_cluster import A, B, FrontClient

if TYPE_CHECKING:
    from scripted_cluster import FrontStage

KEY = A.encode()
DONE = b"*3\r\n$4\r\ndone\r\n+OK\r\n$1\r\n7\r\n"


def found(step: int, what: bytes, value: bytes | None) -> bytes:
    """The script has met a value that it was not told of."""
    told = b"$-1\r\n" if value is None else b"$%d\r\n%b\r\n" % (len(value), value)
    return b"*4\r\n$5\r\nfound\r\n:%d\r\n$%d\r\n%b\r\n%b" % (step, len(what), what, told)


def sha1(value: bytes) -> bytes:
    return hashlib.sha1(value, usedforsecurity=False).hexdigest().encode()


def starting_with(letter: bytes) -> Condition:
    return Condition(KEY, lambda value: None if value is not None and bytes(value)[:1] == letter else "another letter")  # type: ignore[arg-type]


class Running:
    """A batch on its way."""

    def __init__(self, client: FrontClient, *steps: Step) -> None:
        self.outcomes: list[Outcome] = []
        batch = WholeBatch(client.executor, client.session, steps, self.outcomes.append)
        at_once = batch.start()
        if at_once is not None:
            self.outcomes.append(at_once)


@pytest.fixture
def client(front: FrontStage) -> FrontClient:
    return front.client()


def test_all_goes_to_the_node_of_the_slot_in_one_piece(front: FrontStage, client: FrontClient) -> None:
    batch = Running(client, Step([b"SET", KEY, b"v"]), Step([b"INCR", KEY]))
    (sent,) = front.cluster.sent
    assert (sent.commands[0][0], sent.commands[0][2:4], sent.protocol) == (b"EVAL", [b"1", KEY], 2)
    assert sent.request.writes
    sent.answer(DONE)
    assert batch.outcomes == [[b"+OK\r\n", b":7\r\n"]], "a counter was read back as text, and is a number"


def test_a_value_that_is_unknown_is_judged_and_the_script_runs_again(front: FrontStage, client: FrontClient) -> None:
    batch = Running(client, Step([b"SET", KEY, b"v"], starting_with(b"a")), Step([b"GET", KEY]))
    front.cluster.answer(found(1, sha1(b"abc"), b"abc"))
    assert batch.outcomes == []
    assert sha1(b"abc") in front.cluster.sent[1].commands[0]
    assert sha1(b"abc") not in front.cluster.sent[0].commands[0]
    front.cluster.answer(DONE)
    assert batch.outcomes == [[b"+OK\r\n", b"$1\r\n7\r\n"]]


@pytest.mark.parametrize("value", [b"xyz", None])
def test_a_value_that_is_not_wanted_ends_it(front: FrontStage, client: FrontClient, value: bytes | None) -> None:
    batch = Running(client, Step([b"SET", KEY, b"v"], starting_with(b"a")))
    front.cluster.answer(found(1, b"absent" if value is None else sha1(value), value))
    assert batch.outcomes == [Failure(0, "another letter", unmet=True)]
    assert len(front.cluster.sent) == 1


def test_whether_a_key_exists_is_judged_before_anything_is_sent(front: FrontStage, client: FrontClient) -> None:
    absent = Condition(KEY, lambda value: None if value is None else "The key exists.", tells_value=False)
    batch = Running(client, Step([b"SET", KEY, b"v"], absent))
    assert b"absent" in front.cluster.sent[0].commands[0]
    front.cluster.answer(found(1, b"present", None))
    assert batch.outcomes == [Failure(0, "The key exists.", unmet=True)]


def test_a_condition_on_another_type_than_a_string_is_an_error(front: FrontStage, client: FrontClient) -> None:
    batch = Running(client, Step([b"SET", KEY, b"v"], starting_with(b"a")))
    front.cluster.answer(found(1, b"other type", None))
    (failure,) = batch.outcomes
    assert isinstance(failure, Failure)
    assert (failure.reason.split()[0], failure.unmet) == ("WRONGTYPE", False)


def test_who_is_always_too_slow_gives_up(front: FrontStage, client: FrontClient) -> None:
    batch = Running(client, Step([b"SET", KEY, b"v"], starting_with(b"a")))
    for number in range(MOST_ROUNDS + 1):
        assert batch.outcomes == []
        front.cluster.answer(found(1, sha1(b"a%d" % number), b"a%d" % number))
    (error,) = batch.outcomes
    assert isinstance(error, CommandError)
    assert error.prefix == "TRYAGAIN"


@pytest.mark.parametrize("reply", [b"-UNKNOWNOUTCOME perhaps\r\n", b"-CLUSTERDOWN no\r\n", b"-NOPERM eval\r\n"])
def test_an_error_of_the_whole_is_none_of_a_step(front: FrontStage, client: FrontClient, reply: bytes) -> None:
    batch = Running(client, Step([b"SET", KEY, b"v"]), Step([b"GET", KEY]))
    front.cluster.answer(reply)
    (error,) = batch.outcomes
    assert isinstance(error, CommandError)
    assert error.text == reply[1:-2].decode()
    assert client.executor.statistics.errors[error.prefix] == 1


def test_what_cannot_take_part_is_refused_before_anything_is_sent(front: FrontStage, client: FrontClient) -> None:
    set_ = Step([b"SET", KEY, b"v"])
    for step, reason in (
        (Step([b"SET", B.encode(), b"v"]), "CROSSSLOT"),
        (Step([b"KS.UNDO", b"1"]), "ERR"),
        (Step([b"KEYS", b"*"]), "ERR"),
        (Step([b"NOSUCH"]), "ERR"),
        (Step([b"GET"]), "ERR"),
        (Step([b"DEL", *[KEY] * MOST_ARGUMENTS]), "ERR"),
    ):
        (outcome,) = Running(client, set_, step).outcomes
        text = outcome.text if isinstance(outcome, CommandError) else outcome.reason  # type: ignore[union-attr]
        assert text.split()[0] == reason, step
    assert front.cluster.sent == []


def test_who_may_not_take_one_step_takes_none(front: FrontStage, client: FrontClient) -> None:
    client(f"ACL SETUSER ada on nopass ~{A} +get", "AUTH ada x")
    (failure,) = Running(client, Step([b"GET", KEY]), Step([b"SET", KEY, b"v"])).outcomes
    assert isinstance(failure, Failure)
    assert (failure.step, failure.reason.split()[0]) == (1, "NOPERM")
    assert front.cluster.sent == []


def test_it_waits_for_the_end_of_a_pause(front: FrontStage, client: FrontClient) -> None:
    other = front.client()
    other("CLIENT PAUSE 1000 WRITE")
    Running(client, Step([b"SET", KEY, b"v"]), Step([b"GET", KEY]))
    assert front.cluster.sent == []
    other("CLIENT UNPAUSE")
    assert len(front.cluster.sent) == 1
