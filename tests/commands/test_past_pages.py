"""Replies about the past end early rather than look through everything, and name nothing that may not be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from executors import Client, Stage, stage
from keystead.commands import past_replies
from keystead.engine.history.questions import Question
from keystead.execution.promise import Promise
from keystead.resp.replies import encode2

HIDDEN = 40


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Four keys that ada may read, and many that she may not, were deleted, flushed, and written."""
    monkeypatch.setattr(past_replies, "MOST_ANSWERS", 2)
    monkeypatch.setattr(past_replies, "MOST_COUNT", 5)
    built = stage(tmp_path / "data")
    client = built.client()
    secret = " ".join(f"secret:{number} v" for number in range(HIDDEN))
    client("MSET open:1 a open:2 b")
    client("DEL open:1 open:2")
    client(f"MSET {secret} open:3 c zopen:3 c")
    client("FLUSHDB")
    client(f"MSET {secret} open:4 d")
    client("DEL open:4 " + " ".join(f"secret:{number}" for number in range(HIDDEN)))
    for number in range(HIDDEN):
        client(f"SET secret:new:{number} v")
    client("ACL SETUSER ada on nopass ~open:* ~zopen:* +@all")
    yield built
    built.executor.engine.close()


@pytest.fixture
def asked(store: Stage, monkeypatch: pytest.MonkeyPatch) -> list[Question]:
    """What was asked of the past since the last look."""
    questions: list[Question] = []
    historian = store.executor.historian
    original = historian.ask

    def ask(question: Question, answered: Any) -> Any:
        questions.append(question)
        return original(question, answered)

    monkeypatch.setattr(historian, "ask", ask)
    return questions


def pages(client: Client, asked: list[Question], first: str, further: str) -> list[bytes]:
    """All replies: to the *first* line, and to the *further* one at each place to go on."""
    replies: list[bytes] = []
    line: str | None = first
    while line is not None:
        reply: bytes = client(line)
        assert reply[:1] == b"*", reply
        assert len(asked) <= 2
        asked.clear()
        replies.append(reply)
        place = next_place(reply)
        line = None if place is None else f"{further} {place}"
    return replies


def next_place(reply: bytes) -> str | None:
    """What stands under `next`, which is last."""
    kind, *text = reply.rpartition(b"next\r\n")[2].split(b"\r\n")
    if kind == b"$-1":
        return None
    return (kind[1:] if kind[:1] == b":" else text[0]).decode()


def test_pages_of_the_recycle_bin_end_early(store: Stage, asked: list[Question]) -> None:
    ada = store.client()
    ada("AUTH ada x")
    replies = pages(ada, asked, "KS.DELETED COUNT 3", "KS.DELETED COUNT 3 BEFORE")
    assert b"secret" not in b"".join(replies)
    found = [word for word in b"".join(replies).split(b"\r\n") if b"open:" in word]
    assert found == [b"open:4", b"open:3", b"zopen:3", b"open:1", b"open:2"]
    assert any(b"open" not in reply for reply in replies)  # one that found nothing says where to go on all the same


@pytest.mark.parametrize(("first", "further"), [("KS.LOG", "KS.LOG FROM"), ("KS.LOG REV", "KS.LOG BEFORE")])
def test_pages_of_the_log_end_early(store: Stage, asked: list[Question], first: str, further: str) -> None:
    ada = store.client()
    ada("AUTH ada x")
    replies = pages(ada, asked, first, further)
    assert b"secret" not in b"".join(replies)
    assert b"".join(replies).count(b"sequence\r\n") == 6  # five that wrote open keys, and the flush


def test_what_is_rare_ends_a_page_early_for_all(store: Stage, asked: list[Question]) -> None:
    replies = pages(store.client(), asked, "KS.LOG AUTHOR nobody", "KS.LOG AUTHOR nobody FROM")
    assert b"sequence" not in b"".join(replies)


def test_a_long_reply_is_encoded_bit_by_bit(tmp_path: Path) -> None:
    """And says what a short one says; others go on between two bits."""
    store = stage(tmp_path / "data")
    client, other = store.client(), store.client()
    names = [f"k{number:03}" for number in range(3 * past_replies.ENCODED_AT_ONCE + 1)]
    client("MSET " + " ".join(f"{name} v" for name in names))
    reply = client("KS.KEYS AT now COUNT 1000")
    bits = 1
    while isinstance(reply, Promise) and not reply.is_resolved:
        assert other("GET k000") == b"$1\r\nv\r\n"
        store.timers.due.pop(0)[1].callback()
        bits += 1
    assert bits >= 4  # there are other timers
    assert isinstance(reply, Promise)
    assert reply.reply is not None
    assert encode2([name.encode() for name in names]) in reply.reply
    assert next_place(reply.reply) is None
    short: bytes = client(f"KS.KEYS AT now COUNT {past_replies.ENCODED_AT_ONCE}")
    assert next_place(short) == names[past_replies.ENCODED_AT_ONCE - 1]
    store.executor.engine.close()
