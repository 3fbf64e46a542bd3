"""KS.UNDO and KS.RESTORE of a running server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from servers import Server, running, start_keystead

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wire import SocketConnection

KEYS = [f"app:{number}" for number in range(3_000)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One with a directory of its own."""
    with running(start_keystead(tmp_path / "data")) as server:
        yield server


@pytest.fixture
def redis(server: Server) -> Iterator[SocketConnection]:
    """A client of it."""
    connection = server.connect()
    yield connection
    connection.close()


def told(reply: Any) -> dict[str, Any]:
    """The map that a reply of RESP2 is."""
    assert reply.kind == "*", reply
    parts = [part.value for part in reply.value]
    return {name.decode(): value for name, value in zip(parts[::2], parts[1::2], strict=True)}


def last_change(redis: SocketConnection, key: str) -> str:
    """The sequence number of a key's newest change."""
    (change,) = redis.call("KS.HISTORY", key, "COUNT", "1").value
    return str(told(change)["sequence"])


def deleted(redis: SocketConnection) -> str:
    """Thousands of keys put and deleted; the sequence number of their deletion."""
    redis.call("MSET", *(part for key in KEYS for part in (key, "v" + key)))
    redis.call("DEL", *KEYS)
    return last_change(redis, KEYS[0])


def test_a_delete_is_undone_and_the_undo_is_too(redis: SocketConnection) -> None:
    undone = told(redis.call("KS.UNDO", deleted(redis)))
    assert undone["restored"] == len(KEYS)
    assert redis.call("GET", KEYS[7]).value == b"v" + KEYS[7].encode()
    assert redis.call("DBSIZE").value == len(KEYS)
    redis.call("KS.UNDO", str(undone["sequence"]))
    assert redis.call("DBSIZE").value == 0


def test_what_was_undone_is_there_after_a_restart(tmp_path: Path) -> None:
    for is_first in True, False:
        with running(start_keystead(tmp_path / "data")) as server:
            redis = server.connect()
            if is_first:
                redis.call("KS.UNDO", deleted(redis))
            assert redis.call("DBSIZE").value == len(KEYS)
            redis.close()


def test_keys_that_were_changed_since_are_refused_skipped_or_forced(redis: SocketConnection) -> None:
    sequence = deleted(redis)
    redis.call("SET", KEYS[3], "newer")
    refusal = redis.call("KS.UNDO", sequence)
    assert refusal.kind == "-"
    assert refusal.value.startswith(b"CONFLICT")
    assert KEYS[3].encode() in refusal.value
    assert redis.call("DBSIZE").value == 1
    skipped = told(redis.call("KS.UNDO", sequence, "SKIP"))
    assert skipped["restored"] == len(KEYS) - 1
    assert redis.call("GET", KEYS[3]).value == b"newer"
    told(redis.call("KS.UNDO", sequence, "FORCE"))
    assert redis.call("GET", KEYS[3]).value == b"v" + KEYS[3].encode()


def test_a_removed_key_is_brought_back_by_itself(redis: SocketConnection) -> None:
    deleted(redis)
    redis.call("KS.RESTORE", KEYS[5], "LAST")
    assert redis.call("GET", KEYS[5]).value == b"v" + KEYS[5].encode()
    assert redis.call("KS.RESTORE", KEYS[5], "LAST").kind == "-"
    assert redis.call("DBSIZE").value == 1


def test_there_is_no_transaction_to_undo_before_the_first(redis: SocketConnection) -> None:
    assert redis.call("KS.UNDO", "0").value == b"ERR there is no transaction 0: the first one is 1"


def test_who_may_not_change_every_key_of_a_transaction_undoes_none_of_it(
    redis: SocketConnection, server: Server
) -> None:
    """Also when the one that he may not is the last of many."""
    redis.call("ACL", "SETUSER", "bob", "on", ">pw", "~app:*", "+@all")
    sequence = deleted(redis)
    redis.call("MSET", *(word for key in [*KEYS, "secret"] for word in (key, "v")))
    redis.call("DEL", *KEYS, "secret")
    both = last_change(redis, "secret")
    bob = server.connect()
    bob.call("AUTH", "bob", "pw")
    for how in ("REFUSE", "LIST", "SKIP", "FORCE"):
        assert bob.call("KS.UNDO", both, how).value.startswith(b"NOPERM"), how
    assert redis.call("EXISTS", "secret", *KEYS).value == 0
    assert told(bob.call("KS.UNDO", sequence, "FORCE"))["restored"] == len(KEYS)
    bob.close()
    assert told(redis.call("KS.UNDO", both, "FORCE"))["restored"] == len(KEYS) + 1


def test_a_swap_is_undone_by_those_alone_who_may_flush_both_databases(redis: SocketConnection, server: Server) -> None:
    redis.call("SET", "k", "here")
    redis.call("SWAPDB", "0", "5")
    redis.call("ACL", "SETUSER", "bob", "on", ">pw", "~*", "+@all", "-flushdb")
    sequence = last_change(redis, "k")
    bob = server.connect()
    bob.call("AUTH", "bob", "pw")
    assert bob.call("KS.UNDO", sequence).value.startswith(b"NOPERM")
    bob.close()
    assert redis.call("EXISTS", "k").value == 0
    redis.call("ACL", "SETUSER", "bob", "+flushdb")
    bob = server.connect()
    bob.call("AUTH", "bob", "pw")
    assert bob.call("KS.UNDO", sequence).kind == "*"
    bob.close()
    assert redis.call("GET", "k").value == b"here"
