"""WAIT in front of a cluster: how many replicas have everybody's writes, by what the primaries say of them."""

from __future__ import annotations

import pytest

from scripted_cluster import A, FrontStage, front_stage


def said(offset: int, *replicas: int) -> bytes:
    lines = [f"role:master\r\nmaster_repl_offset:{offset}\r\n"]
    for number, at in enumerate(replicas):
        lines.append(f"slave{number}:ip=127.0.0.1,port=70{number},state=online,offset={at},lag=0\r\n")
    text = "".join(lines).encode()
    return b"$%d\r\n%b\r\n" % (len(text), text)


@pytest.mark.parametrize(("line", "reply"), [("WAIT 1 0", b":1\r\n"), ("WAIT 0 0", b":1\r\n")])
def test_one_replica_has_whatever_was_acknowledged_as_replicated(line: str, reply: bytes, front: FrontStage) -> None:
    assert front.client()(line) == reply
    assert front.cluster.sends == []


def test_more_replicas_are_waited_for_until_the_slowest_shard_has_them(front: FrontStage) -> None:
    running = front.client().run("WAIT 2 0")
    assert front.cluster.lines() == ["INFO replication"] * 3
    front.cluster.answer(said(100, 100, 100), said(50, 50, 49), said(7, 7, 7))
    assert running.replies is None
    front.timers.pass_time(0.06)
    front.cluster.answer(said(200, 150, 120), said(60, 55, 50), said(7, 7, 7))
    assert running.replies == b":2\r\n"


def test_at_the_timeout_it_says_how_many_there_are(front: FrontStage) -> None:
    running = front.client().run("WAIT 3 100")
    front.cluster.answer(*[said(100, 100, 100)] * 3)
    front.timers.pass_time(0.2)
    assert running.replies == b":2\r\n"


def test_without_replicated_acknowledgement_even_one_is_asked_for() -> None:
    front = front_stage(cluster_acknowledge="async")
    running = front.client().run("WAIT 1 100")
    front.cluster.answer(said(100, 90), said(1, 1), said(1, 1))
    front.timers.pass_time(0.2)
    assert running.replies == b":0\r\n"


def test_it_begins_when_the_writes_before_it_are_answered(front: FrontStage) -> None:
    running = front.client().run(f"SET {A} 1", "WAIT 2 0")
    assert front.cluster.lines() == [f"SET {A} 1"]
    front.cluster.answer(b"+OK\r\n")
    assert front.cluster.lines()[1:] == ["INFO replication"] * 3
    front.cluster.answer(*[said(9, 9, 9)] * 3)
    assert running.replies == b"+OK\r\n:2\r\n"


def test_a_client_that_leaves_is_not_waited_for(front: FrontStage) -> None:
    client = front.client()
    client.run("WAIT 2 0")
    front.executor.close_session(client.session)
    front.cluster.answer(*[said(9, 1)] * 3)
    front.timers.pass_time(1)
    assert len(front.cluster.sends) == 1


def test_a_client_may_be_unblocked(front: FrontStage) -> None:
    client = front.client()
    running = client.run("WAIT 2 0")
    assert front.client()(f"CLIENT UNBLOCK {client.session.id} ERROR") == b":1\r\n"
    assert running.replies == b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"
