"""Errors that say that nothing was executed are known, and what they say of where to go."""

from __future__ import annotations

import pytest

from keystead.cluster.redirects import Redirect, read_outcome, read_redirect
from keystead.cluster.request import Request

ASKED = "127.0.0.9"


@pytest.mark.parametrize(
    ("reply", "redirect"),
    [
        (b"-MOVED 3999 127.0.0.1:6381\r\n", Redirect("moved", 3999, ("127.0.0.1", 6381))),
        (b"-ASK 3999 node.example:6381\r\n", Redirect("ask", 3999, ("node.example", 6381))),
        (b"-MOVED 1 2001:db8::1:6381\r\n", Redirect("moved", 1, ("2001:db8::1", 6381))),
        (b"-MOVED 1 :6381\r\n", Redirect("moved", 1, (ASKED, 6381))),
        (b"-MOVED 1 ?:6381\r\n", Redirect("moved", 1, None)),
        (b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n", Redirect("later", -1, None)),
        (b"-CLUSTERDOWN The cluster is down\r\n", Redirect("later", -1, None)),
        (b"-LOADING Redis is loading the dataset in memory\r\n", Redirect("later", -1, None)),
        (b"-MASTERDOWN Link with MASTER is down\r\n", Redirect("later", -1, None)),
        (b"-READONLY You can't write against a read only replica.\r\n", Redirect("later", -1, None)),
        (b"-MOVED somewhere else\r\n", Redirect("later", -1, None)),
        (b"-MOVED 99999 127.0.0.1:1\r\n", Redirect("later", -1, None)),
    ],
)
def test_a_redirect_says_where_or_when(reply: bytes, redirect: Redirect) -> None:
    assert read_redirect(reply, ASKED) == redirect


@pytest.mark.parametrize(
    "reply",
    [
        b"-ERR syntax error\r\n",
        b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        b"-NOREPLICAS Not enough good replicas to write.\r\n",
        b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        b"-CROSSSLOT Keys in request don't hash to the same slot\r\n",
        b"-MOVEDX 1 127.0.0.1:1\r\n",
    ],
)
def test_any_other_error_is_the_answer(reply: bytes) -> None:
    assert read_redirect(reply, ASKED) is None


def outcome(*replies: bytes, asking: bool = False) -> tuple[bytes, Redirect | None]:
    request = Request(0, b"", lambda _: None, replies=len(replies) - asking, writes=True)
    if asking:
        request.ask()
    request.earlier = list(replies[:-1])
    return read_outcome(request, replies[-1], ASKED)


def test_the_first_redirect_among_the_queued_commands_decides_what_became_of_a_transaction() -> None:
    aborted = b"-EXECABORT Transaction discarded because of previous errors.\r\n"
    moved = b"-MOVED 5 127.0.0.1:1\r\n"
    assert outcome(b"+OK\r\n", b"+QUEUED\r\n", moved, aborted) == (moved, Redirect("moved", 5, ("127.0.0.1", 1)))
    assert outcome(b"+OK\r\n", b"+QUEUED\r\n", b"-ERR wrong number\r\n", aborted) == (aborted, None)
    assert outcome(b"+OK\r\n", b"+QUEUED\r\n", b"+QUEUED\r\n", moved)[0] == moved


def test_the_reply_to_asking_is_nobody_elses() -> None:
    assert outcome(b"+OK\r\n", b"$1\r\nx\r\n", asking=True) == (b"$1\r\nx\r\n", None)
    told, redirect = outcome(b"+OK\r\n", b"+OK\r\n", b"+QUEUED\r\n", b"*1\r\n:1\r\n", asking=True)
    assert (told, redirect) == (b"*1\r\n:1\r\n", None)


def test_where_multi_itself_was_refused_nobody_knows_what_was_done() -> None:
    told, redirect = outcome(b"-NOPERM no MULTI\r\n", b"+OK\r\n", b"-ERR EXEC without MULTI\r\n")
    assert told.startswith(b"-UNKNOWNOUTCOME ")
    assert b"NOPERM no MULTI" in told
    assert redirect is None
