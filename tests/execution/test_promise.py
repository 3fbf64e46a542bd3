"""A promise gives its reply once, whoever asks first."""

from __future__ import annotations

from keystead.execution.promise import UNBLOCKED, Promise


def test_the_reply_reaches_who_asked_before_and_after() -> None:
    promise, seen = Promise(), []
    promise.add_done(lambda done: seen.append(("before", done.reply)))
    promise.resolve(b"+OK\r\n")
    promise.add_done(lambda done: seen.append(("after", done.reply)))
    assert seen == [("before", b"+OK\r\n"), ("after", b"+OK\r\n")]


def test_a_timeout_and_an_event_may_race() -> None:
    promise, seen = Promise(), []
    promise.add_done(lambda done: seen.append(done.reply))
    promise.resolve(b"first")
    promise.resolve(b"second")
    assert (promise.reply, seen) == (b"first", [b"first"])


def test_a_promise_is_longer_than_any_reply() -> None:
    assert len(Promise()) > 1 << 40
    assert Promise()


def test_cancelling_tells_once_and_silences() -> None:
    cancelled, seen = [], []
    promise = Promise(lambda: cancelled.append(True))
    promise.add_done(lambda done: seen.append(done.reply))
    promise.cancel()
    promise.cancel()
    promise.resolve(b"late")
    assert (cancelled, seen) == ([True], [])


def test_unblocking_gives_the_reply_of_a_timeout_or_an_error() -> None:
    cancelled: list[bool] = []
    promise = Promise(lambda: cancelled.append(True), lambda: b":0\r\n")
    assert promise.unblock(with_error=False)
    assert (promise.reply, cancelled) == (b":0\r\n", [True])
    assert not promise.unblock(with_error=True), "it has its reply"
    other = Promise(at_timeout=lambda: b":0\r\n")
    assert other.unblock(with_error=True)
    assert other.reply == UNBLOCKED


def test_what_has_no_timeout_cannot_be_unblocked() -> None:
    assert not Promise().unblock(with_error=True)
