"""Logins that take their time: AUTH and HELLO answer with promises, and delay nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import Client, Stage

from asides import ManualAside
from keystead.execution.access import Access

WRONG = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"


@pytest.fixture
def aside() -> ManualAside:
    return ManualAside()


@pytest.fixture
def stage(tmp_path: Path, aside: ManualAside) -> Iterator[Stage]:
    """A store that anybody may use, with the user ada, whose password is slow to check."""
    access = Access(aside=aside)
    access.set_user(b"ada", [b"on", b">secret", b"~app:*", b"+@read", b"+auth", b"+acl|whoami"], lambda _: None)
    aside.finish()
    stage = Stage(tmp_path / "data", helper=True, access=access)
    yield stage
    stage.engine.close()


def finish(stage: Stage, aside: ManualAside) -> None:
    aside.finish()
    stage.loop.run()


def test_a_login_is_answered_when_the_password_is_checked(stage: Stage, aside: ManualAside) -> None:
    client = Client(stage)
    assert client.asks("AUTH ada secret") == b""
    finish(stage, aside)
    assert client.pipe.replies() == b"+OK\r\n"


def test_what_follows_a_login_waits_for_it_and_runs_as_that_user(stage: Stage, aside: ManualAside) -> None:
    client = Client(stage)
    assert client.asks("ECHO 1", "AUTH ada secret", "ACL WHOAMI", "GET other") == b"$1\r\n1\r\n"
    finish(stage, aside)
    assert client.pipe.replies() == (
        b"+OK\r\n$3\r\nada\r\n-NOPERM this user has no permissions to access one of the keys used as arguments\r\n"
    )


def test_what_follows_a_failed_login_runs_as_before(stage: Stage, aside: ManualAside) -> None:
    client = Client(stage)
    assert client.asks("AUTH ada wrong", "ACL WHOAMI") == b""
    finish(stage, aside)
    assert client.pipe.replies() == WRONG + b"$7\r\ndefault\r\n"


def test_a_pending_login_delays_nobody_else(stage: Stage) -> None:
    waiting, other = Client(stage), Client(stage)
    assert waiting.asks("AUTH ada secret") == b""
    assert other.asks("ECHO 1", "ACL WHOAMI") == b"$1\r\n1\r\n$7\r\ndefault\r\n"
    assert waiting.pipe.replies() == b""


def test_hello_goes_on_with_its_options_after_the_login(stage: Stage, aside: ManualAside) -> None:
    client = Client(stage)
    assert client.asks("HELLO 3 AUTH ada secret SETNAME front") == b""
    finish(stage, aside)
    assert client.pipe.replies().startswith(b"%7\r\n")
    (session,) = stage.executor.sessions.values()
    assert (session.user.name, session.name, session.protocol) == ("ada", b"front", 3)


def test_a_client_that_leaves_during_its_login_is_not_answered(stage: Stage, aside: ManualAside) -> None:
    client = Client(stage)
    client.asks("AUTH ada secret")
    client.pipe.abort()
    finish(stage, aside)
    assert client.pipe.replies() == b""
    assert stage.executor.sessions == {}


def test_a_second_login_with_the_same_password_does_not_wait(stage: Stage, aside: ManualAside) -> None:
    Client(stage).asks("AUTH ada secret")
    finish(stage, aside)
    assert Client(stage).asks("AUTH ada secret") == b"+OK\r\n"


def test_a_user_deleted_during_the_login_is_not_let_in(stage: Stage, aside: ManualAside) -> None:
    client = Client(stage)
    client.asks("AUTH ada secret")
    assert Client(stage).asks("ACL DELUSER ada") == b":1\r\n"
    finish(stage, aside)
    assert client.pipe.replies() == WRONG


def test_a_deleted_users_clients_are_disconnected(stage: Stage, aside: ManualAside) -> None:
    client, other = Client(stage), Client(stage)
    client.asks("AUTH ada secret")
    finish(stage, aside)
    assert other.asks("ACL DELUSER ada") == b":1\r\n"
    assert (client.pipe.closed, other.pipe.closed) == (True, False)


def test_a_changed_user_is_held_to_the_change_at_once(stage: Stage, aside: ManualAside) -> None:
    client, other = Client(stage), Client(stage)
    client.asks("AUTH ada secret")
    finish(stage, aside)
    client.pipe.replies()
    assert client.asks("GET app:1") == b"$-1\r\n"
    other.asks("ACL SETUSER ada -get")
    finish(stage, aside)
    assert client.asks("GET app:1") == b"-NOPERM this user has no permissions to run the 'get' command\r\n"


def test_within_a_transaction_only_what_can_be_told_at_once_logs_in(stage: Stage, aside: ManualAside) -> None:
    client = Client(stage)
    assert client.asks("MULTI", "AUTH ada secret", "EXEC").startswith(b"+OK\r\n+QUEUED\r\n*1\r\n-ERR a password cannot")
    client.asks("AUTH ada secret")
    finish(stage, aside)
    client.pipe.replies()
    assert Client(stage).asks("MULTI", "AUTH ada secret", "EXEC") == b"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n"
