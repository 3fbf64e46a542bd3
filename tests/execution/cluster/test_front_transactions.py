"""Transactions in front of a cluster: one slot, one piece; WATCH over a connection of the client's own."""

from __future__ import annotations

import pytest

from keystead.cluster.slots import slot_of
from keystead.errors import CommandError
from scripted_cluster import A, B, FrontClient, FrontStage, Sent

SLOT = slot_of(b"t")
NULL = b"*-1\r\n"


def watching(front: FrontStage, key: str = "{t}w") -> FrontClient:
    """A client that watches a key."""
    client = front.client()
    running = client.run(f"WATCH {key}")
    front.cluster.dedicated[-1].sent[-1].answer(b"+OK\r\n")
    assert running.replies == b"+OK\r\n"
    return client


def watched(front: FrontStage) -> list[Sent]:
    return front.cluster.dedicated[-1].sent


def test_a_transaction_is_one_request_with_a_reply_for_each_command(front: FrontStage) -> None:
    running = front.client().run("MULTI", "SET {t}a 1", "INCR {t}a", "GET {t}b", "EXEC", f"GET {A}")
    piece, behind = front.cluster.sends[0]
    assert piece.line == "MULTI; SET {t}a 1; INCR {t}a; GET {t}b; EXEC"
    assert (piece.request.target, piece.request.replies, piece.request.writes) == (SLOT, 5, True)
    behind.answer(b"$-1\r\n")
    piece.answer(b"*3\r\n+OK\r\n:2\r\n$-1\r\n", b"+OK\r\n", *[b"+QUEUED\r\n"] * 3)
    assert running.replies == b"+OK\r\n" + b"+QUEUED\r\n" * 3 + b"*3\r\n+OK\r\n:2\r\n$-1\r\n" + b"$-1\r\n"


def test_a_transaction_that_only_reads_may_be_asked_again(front: FrontStage) -> None:
    front.client().run("MULTI", "GET {t}a", "EXEC")
    assert not front.cluster.sent[0].request.writes


def test_what_runs_here_keeps_its_place_in_a_transaction(front: FrontStage) -> None:
    client = front.client()
    running = client.run("MULTI", "PING", "GET {t}a", "CLIENT SETNAME me", "EXEC")
    assert front.cluster.lines() == ["MULTI; GET {t}a; EXEC"]
    assert client.session.name == b""
    front.cluster.answer(b"*1\r\n$1\r\na\r\n")
    assert (running.replies or b"").endswith(b"*3\r\n+PONG\r\n$1\r\na\r\n+OK\r\n")
    assert client.session.name == b"me"


def test_a_transaction_of_which_all_runs_here_asks_nobody(front: FrontStage) -> None:
    replies = front.client()("MULTI", "PING", "SELECT 0", "EXEC", "MULTI", "EXEC")
    assert replies == b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+PONG\r\n+OK\r\n+OK\r\n*0\r\n"
    assert front.cluster.sends == []


def test_keys_of_several_slots_are_refused_before_anything_happens(front: FrontStage) -> None:
    client = front.client()
    replies = client("MULTI", f"SET {A} 1", f"SET {B} 1", "CLIENT SETNAME me", "EXEC") or b""
    assert replies.startswith(b"+OK\r\n" + b"+QUEUED\r\n" * 3 + b"-CROSSSLOT ")
    assert front.cluster.sends == []
    assert client.session.name == b""
    assert client("EXEC") == b"-ERR EXEC without MULTI\r\n"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (f"MSET {A} 1 {B} 2", b"-CROSSSLOT Keys in request"),
        ("DBSIZE", b"-CROSSSLOT 'DBSIZE' asks every node"),
        ("SCAN 0", b"-CROSSSLOT 'SCAN' asks every node"),
        ("WAIT 1 0", b"-CROSSSLOT 'WAIT' asks every node"),
        ("KS.HISTORY k", b"-ERR KS.HISTORY is not available"),
        ("SAVE", b"-ERR SAVE is not available"),
    ],
)
def test_what_cannot_be_in_a_transaction_breaks_it_at_once(line: str, error: bytes, front: FrontStage) -> None:
    replies = front.client()("MULTI", line, "EXEC") or b""
    assert replies.startswith(b"+OK\r\n" + error)
    assert replies.endswith(b"-EXECABORT Transaction discarded because of previous errors.\r\n")
    assert front.cluster.sends == []


def test_a_command_that_a_node_refuses_is_named_as_the_reason(front: FrontStage) -> None:
    running = front.client().run("MULTI", "SET {t}a 1", "EXEC")
    front.cluster.sent[0].answer(
        b"-EXECABORT Transaction discarded because of previous errors.\r\n", b"+OK\r\n", b"-OOM command not allowed\r\n"
    )
    assert (running.replies or b"").endswith(
        b"-EXECABORT Transaction discarded because of: OOM command not allowed\r\n"
    )


def test_an_unknown_outcome_is_that_of_the_whole_transaction(front: FrontStage) -> None:
    running = front.client().run("MULTI", "SET {t}a 1", "EXEC")
    front.cluster.answer(b"-UNKNOWNOUTCOME perhaps\r\n")
    assert (running.replies or b"").endswith(b"-UNKNOWNOUTCOME perhaps\r\n")


def test_errors_within_a_transaction_are_among_its_replies(front: FrontStage) -> None:
    running = front.client().run("MULTI", "INCR {t}a", "GET {t}a", "EXEC")
    front.cluster.answer(b"*2\r\n-ERR value is not an integer\r\n$1\r\nx\r\n")
    assert (running.replies or b"").endswith(b"*2\r\n-ERR value is not an integer\r\n$1\r\nx\r\n")


def test_permissions_that_are_gone_at_exec_leave_the_command_out(front: FrontStage) -> None:
    client, admin = front.client(), front.client()
    client("ACL SETUSER u on nopass +@all ~*", "AUTH u x", "MULTI", "GET {t}a", "INCR {t}a")
    admin("ACL SETUSER u -incr")
    running = client.run("EXEC")
    assert front.cluster.lines() == ["MULTI; GET {t}a; EXEC"]
    front.cluster.answer(b"*1\r\n$-1\r\n")
    assert (running.replies or b"").startswith(b"*2\r\n$-1\r\n-NOPERM ACLs rules changed")


# --- WATCH ------------------------------------------------------------------------------------------------------------


def test_a_watch_and_its_transaction_go_over_one_connection(front: FrontStage) -> None:
    client = watching(front)
    running = client.run("MULTI", "SET {t}a 1", "EXEC", "GET {t}a")
    assert [sent.line for sent in watched(front)] == ["WATCH {t}w", "MULTI; SET {t}a 1; EXEC"]
    assert front.cluster.sends == []
    watched(front)[1].answer(b"*1\r\n+OK\r\n")
    assert front.cluster.dedicated[0].closed
    assert front.cluster.lines() == ["GET {t}a"]
    front.cluster.answer(b"$1\r\n1\r\n")
    assert (running.replies or b"").endswith(b"*1\r\n+OK\r\n$1\r\n1\r\n")


def test_a_watch_begins_when_what_was_sent_before_is_answered(front: FrontStage) -> None:
    running = front.client().run("SET {t}w 1", "WATCH {t}w", "GET {t}w")
    assert front.cluster.dedicated == []
    front.cluster.answer(b"+OK\r\n")
    assert [sent.line for sent in watched(front)] == ["WATCH {t}w"]
    assert front.cluster.lines() == ["SET {t}w 1"]
    watched(front)[0].answer(b"+OK\r\n")
    front.cluster.answer(b"$1\r\n1\r\n")
    assert running.replies == b"+OK\r\n+OK\r\n$1\r\n1\r\n"


def test_a_watched_transaction_begins_when_what_was_read_before_is_answered(front: FrontStage) -> None:
    client = watching(front)
    running = client.run("GET {t}w", "MULTI", "SET {t}w 2", "EXEC")
    assert len(watched(front)) == 1
    front.cluster.answer(b"$1\r\n1\r\n")
    watched(front)[1].answer(b"*1\r\n+OK\r\n")
    assert running.replies == b"$1\r\n1\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n"


def test_a_conflict_answers_null(front: FrontStage) -> None:
    running = watching(front).run("MULTI", "PING", "SET {t}a 1", "EXEC")
    watched(front)[1].answer(NULL)
    assert (running.replies or b"").endswith(NULL)


def test_a_transaction_without_keys_still_asks_whether_the_watch_holds(front: FrontStage) -> None:
    running = watching(front).run("MULTI", "PING", "EXEC")
    assert watched(front)[1].line == "MULTI; EXEC"
    watched(front)[1].answer(b"*0\r\n")
    assert (running.replies or b"").endswith(b"*1\r\n+PONG\r\n")


def test_watched_keys_are_of_the_transactions_slot(front: FrontStage) -> None:
    client = watching(front)
    assert (client(f"WATCH {A}") or b"").startswith(b"-CROSSSLOT")
    assert (client("MULTI", f"SET {A} 1", "EXEC") or b"").split(b"\r\n")[2].startswith(b"-CROSSSLOT")
    assert front.cluster.dedicated[0].closed


@pytest.mark.parametrize("lines", [("UNWATCH",), ("MULTI", "DISCARD"), ("RESET",), ("MULTI", "NOSUCH", "EXEC")])
def test_a_watch_ends_with(lines: tuple[str, ...], front: FrontStage) -> None:
    client = watching(front)
    assert not front.cluster.dedicated[0].closed
    client(*lines)
    assert front.cluster.dedicated[0].closed
    assert front.executor.watches == {}


def test_a_watch_ends_with_its_client(front: FrontStage) -> None:
    front.executor.close_session(watching(front).session)
    assert front.cluster.dedicated[0].closed


def test_a_watch_that_was_refused_is_none(front: FrontStage) -> None:
    running = front.client().run("WATCH {t}w")
    watched(front)[0].answer(b"-CLUSTERDOWN no\r\n")
    assert running.replies == b"-CLUSTERDOWN no\r\n"
    assert front.cluster.dedicated[0].closed


def test_a_watch_of_another_protocol_does_not_hold(front: FrontStage) -> None:
    client = watching(front)
    client("HELLO 3")
    assert (client("MULTI", "SET {t}a 1", "EXEC") or b"").endswith(b"_\r\n")
    assert len(watched(front)) == 1


# --- for HTTP ---------------------------------------------------------------------------------------------------------


class Told:
    """What a transaction's sender was told."""

    def __init__(self) -> None:
        self.outcomes: list[list[bytes] | CommandError] = []

    def __call__(self, outcome: list[bytes] | CommandError) -> None:
        self.outcomes.append(outcome)

    @property
    def error(self) -> str:
        (outcome,) = self.outcomes
        assert isinstance(outcome, CommandError)
        return outcome.text


def test_commands_given_together_are_one_transaction(front: FrontStage) -> None:
    told = Told()
    front.executor.transact(front.client().session, [[b"SET", b"{t}a", b"1"], [b"PING"]], told)
    assert front.cluster.lines() == ["MULTI; SET {t}a 1; EXEC"]
    front.cluster.answer(b"*1\r\n+OK\r\n")
    assert told.outcomes == [[b"+OK\r\n", b"+PONG\r\n"]]


@pytest.mark.parametrize(
    ("commands", "error"),
    [
        ([[b"NOSUCH"]], "ERR unknown command 'NOSUCH'"),
        ([[b"GET"]], "ERR wrong number of arguments"),
        ([[b"AUTH", b"x"]], "ERR 'auth' cannot be part of a transaction"),
        ([[b"DBSIZE"]], "CROSSSLOT 'DBSIZE'"),
        ([[b"SWAPDB", b"0", b"1"]], "ERR SWAPDB is not available"),
        ([[b"GET", A.encode()], [b"GET", B.encode()]], "CROSSSLOT Keys"),
    ],
)
def test_commands_that_cannot_be_a_transaction_are_refused_before_anything(
    commands: list[list[bytes]], error: str, front: FrontStage
) -> None:
    told = Told()
    front.executor.transact(front.client().session, commands, told)
    assert told.error.startswith(error)
    assert front.cluster.sends == []


def test_a_transaction_that_the_user_may_not_do_is_refused_as_a_whole(front: FrontStage) -> None:
    client, told = front.client(), Told()
    client("ACL SETUSER u on nopass +@all ~{t}a", "AUTH u x")
    front.executor.transact(client.session, [[b"GET", b"{t}a"], [b"GET", b"{t}b"]], told)
    assert told.error.startswith("NOPERM")
    assert front.executor.statistics.denials == {"key": 1}


def test_a_transaction_waits_for_the_end_of_a_pause(front: FrontStage) -> None:
    front.client()("CLIENT PAUSE 1000 WRITE")
    told = Told()
    front.executor.transact(front.client().session, [[b"SET", b"{t}a", b"1"]], told)
    assert front.cluster.sends == []
    front.timers.pass_time(2)
    front.cluster.answer(b"*1\r\n+OK\r\n")
    assert told.outcomes == [[b"+OK\r\n"]]


def test_a_change_is_made_in_one_step_with_what_it_was_decided_by(front: FrontStage) -> None:
    told, seen = Told(), []

    def decide(values: list[bytes | None]) -> list[list[bytes]]:
        seen.append(values)
        return [[b"SET", b"{t}a", b"new"]]

    front.executor.change_if(front.client().session, [b"{t}a", b"{t}b"], decide, told)
    watch, first, second = watched(front)
    assert [watch.line, first.line, second.line] == ["WATCH {t}a {t}b", "GET {t}a", "GET {t}b"]
    watch.answer(b"+OK\r\n")
    first.answer(b"$3\r\nold\r\n")
    assert seen == []
    second.answer(b"$-1\r\n")
    assert seen == [[b"old", None]]
    assert watched(front)[3].line == "MULTI; SET {t}a new; EXEC"
    watched(front)[3].answer(b"*1\r\n+OK\r\n")
    assert told.outcomes == [[b"+OK\r\n"]]
    assert front.cluster.dedicated[0].closed


def test_a_change_that_others_came_in_between_is_decided_again(front: FrontStage) -> None:
    told, values_seen = Told(), []

    def decide(values: list[bytes | None]) -> list[list[bytes]] | CommandError:
        values_seen.extend(values)
        return [[b"SET", b"{t}a", b"new"]] if values == [b"1"] else CommandError("ERR changed meanwhile")

    front.executor.change_if(front.client().session, [b"{t}a"], decide, told)
    for sent, reply in zip(list(watched(front)), (b"+OK\r\n", b"$1\r\n1\r\n"), strict=True):
        sent.answer(reply)
    watched(front)[2].answer(NULL)
    assert len(front.cluster.dedicated) == 2
    for sent, reply in zip(list(watched(front)), (b"+OK\r\n", b"$1\r\n2\r\n"), strict=True):
        sent.answer(reply)
    assert values_seen == [b"1", b"2"]
    assert told.error == "ERR changed meanwhile"
    assert all(dedicated.closed for dedicated in front.cluster.dedicated)


def test_a_change_that_cannot_look_is_refused_as_the_node_does(front: FrontStage) -> None:
    told = Told()
    front.executor.change_if(front.client().session, [b"{t}a"], lambda _: [], told)
    for sent, reply in zip(list(watched(front)), (b"+OK\r\n", b"-WRONGTYPE Operation\r\n"), strict=True):
        sent.answer(reply)
    assert told.error == "WRONGTYPE Operation"


def test_a_change_by_what_the_user_may_not_read_is_refused(front: FrontStage) -> None:
    client, told = front.client(), Told()
    client("ACL SETUSER u on nopass +@all %W~*", "AUTH u x")
    front.executor.change_if(client.session, [b"{t}a"], lambda _: [], told)
    assert told.error.startswith("NOPERM")
    assert front.cluster.dedicated == []


def test_a_change_that_others_never_let_through_is_given_up(front: FrontStage) -> None:
    told = Told()
    front.executor.change_if(front.client().session, [b"{t}a"], lambda _: [[b"SET", b"{t}a", b"1"]], told)
    while not told.outcomes:
        for sent, reply in zip(list(watched(front)), (b"+OK\r\n", b"$-1\r\n"), strict=True):
            sent.answer(reply)
        watched(front)[2].answer(NULL)
    assert told.error.startswith("TRYAGAIN not executed")
