"""One connection: the order of replies, turns, back-pressure, limits, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from stage import Client, Stage

from keystead.config.settings import Settings
from keystead.errors import DiskFailure
from keystead.server import clients, resp_server

SETTINGS = Settings()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path / "data", helper=True)
    yield stage
    stage.engine.close()


def array(*arguments: bytes) -> bytes:
    return b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%b\r\n" % (len(a), a) for a in arguments)


# --- order


def test_replies_come_in_the_order_of_the_commands_in_one_write(stage: Stage) -> None:
    client = Client(stage)
    assert client.asks("ECHO 1", "nonsense", "ECHO 2", "ECHO", "ECHO 3") == (
        b"$1\r\n1\r\n-ERR unknown command 'nonsense', with args beginning with: \r\n"
        b"$1\r\n2\r\n-ERR wrong number of arguments for 'echo' command\r\n$1\r\n3\r\n"
    )
    assert client.pipe.writes == 1


def test_nothing_is_executed_behind_a_promise_until_it_is_kept(stage: Stage) -> None:
    client = Client(stage)
    assert client.asks("ECHO 1", "LATER", "PUT k v", "ECHO 2") == b"$1\r\n1\r\n"
    assert stage.engine.open_turn == 1
    stage.promises[0].resolve(b"+LATE\r\n")
    stage.loop.run()
    stage.sync()
    assert client.pipe.replies() == b"+LATE\r\n+OK\r\n$1\r\n2\r\n"
    assert client.pipe.reading
    assert client.asks("ECHO 3") == b"$1\r\n3\r\n"


def test_what_comes_while_a_promise_is_waited_for_is_read_once_and_kept_behind(stage: Stage) -> None:
    client = Client(stage)
    assert client.asks("LATER", "ECHO 1") == b""
    assert client.pipe.reading
    assert client.asks("ECHO 2", "LATER", "ECHO 3") == b""
    assert not client.pipe.reading
    stage.promises[0].resolve(b"+LATE\r\n")
    stage.loop.run()
    assert client.pipe.replies() == b"+LATE\r\n$1\r\n1\r\n$1\r\n2\r\n"
    stage.promises[1].resolve(b"+LATER\r\n")
    stage.loop.run()
    assert client.pipe.replies() == b"+LATER\r\n$1\r\n3\r\n"
    assert client.pipe.reading


def test_what_is_no_request_while_a_promise_is_waited_for_is_refused_behind_the_rest(stage: Stage) -> None:
    client = Client(stage)
    assert client.asks("LATER", "ECHO 1") == b""
    client.sends(b"*1\r\n:5\r\n")
    stage.promises[0].resolve(b"+LATE\r\n")
    stage.loop.run()
    assert client.pipe.replies().startswith(b"+LATE\r\n$1\r\n1\r\n-ERR Protocol error")
    assert client.pipe.closed


def test_a_promise_that_is_kept_already_does_not_change_the_order(stage: Stage) -> None:
    client = Client(stage)
    stage.executor.tables.normal[b"KEPT"] = lambda session, _args: session.say_goodbye(b"+KEPT\r\n")
    assert client.asks("ECHO 1", "KEPT", "ECHO 2") == b"$1\r\n1\r\n+KEPT\r\n"
    assert client.pipe.closed


def test_several_promises_in_a_chunk_are_waited_for_one_after_the_other(stage: Stage) -> None:
    client = Client(stage)
    client.asks("LATER", "ECHO 1", "LATER", "ECHO 2")
    stage.promises[0].resolve(b"+A\r\n")
    stage.loop.run()
    assert client.pipe.replies() == b"+A\r\n$1\r\n1\r\n"
    stage.promises[1].resolve(b"+B\r\n")
    stage.loop.run()
    assert client.pipe.replies() == b"+B\r\n$1\r\n2\r\n"


def test_a_push_stays_behind_the_replies_to_what_was_executed_before_it(stage: Stage) -> None:
    client = Client(stage)
    client.connection.write_push(b"+push 0\r\n")
    stage.executor.tables.normal[b"TELL"] = lambda session, _args: session.peer.write_push(b"+push 2\r\n") or b"+2\r\n"
    stage.turns.plain_reads = True
    client.sends("ECHO 1", "TELL", "PUT k v")
    client.connection.write_push(b"+push 3\r\n")
    stage.loop.run()
    assert client.pipe.replies() == b"+push 0\r\n"
    stage.sync()
    assert client.pipe.replies() == b"$1\r\n1\r\n+push 2\r\n+2\r\n+OK\r\n+push 3\r\n"


@pytest.mark.parametrize("in_place", [True, False])
def test_what_is_left_of_a_chunk_when_its_write_becomes_durable_is_answered_too(stage: Stage, in_place: bool) -> None:
    """It was once executed between the release of two replies, and then waited for a sync that nobody needed."""
    client = Client(stage)
    stage.turns.plain_reads = not in_place
    client.sends("PUT k v", *["ECHO a"] * 600)
    stage.loop.run()
    if not in_place:
        stage.sync()
    assert client.pipe.replies() == b"+OK\r\n" + b"$1\r\na\r\n" * 600
    assert client.connection.unread_bytes() == 0


# --- turns


def test_no_client_has_more_than_its_share_of_a_turn() -> None:
    """Rule 11: 16 KB of its input, and of short commands about as many as Redis executes in the time."""
    assert resp_server.READ_BYTES == 16 << 10
    assert resp_server.TURN_BATCHES * resp_server.BATCH_COMMANDS == 192


def test_a_read_that_fills_the_buffer_gives_the_turn_to_others(stage: Stage) -> None:
    client = Client(stage)
    data = array(b"ECHO", b"x" * 100) * 200
    first = data[: resp_server.READ_BYTES]
    client.connection.get_buffer(-1)[:] = first
    client.connection.buffer_updated(len(first))
    assert not client.pipe.reading
    stage.loop.run()
    assert client.pipe.reading
    client.sends(data[len(first) :])
    stage.loop.run()
    assert client.pipe.replies() == b"$100\r\n%b\r\n" % (b"x" * 100) * 200


def test_many_short_commands_are_executed_in_several_turns(stage: Stage) -> None:
    busy, other = Client(stage), Client(stage)
    stage.executor.tables.normal[b"NOTE"] = lambda _session, args: stage.executed.append(args[1]) or b"+OK\r\n"
    busy.sends(*[f"NOTE {number}" for number in range(1000)])
    assert len(stage.executed) == resp_server.TURN_BATCHES * resp_server.BATCH_COMMANDS
    other.sends("NOTE other")
    assert stage.executed[-1] == b"other"
    stage.loop.run()
    assert stage.executed.count(b"other") == 1
    assert [int(number) for number in stage.executed if number != b"other"] == list(range(1000))
    assert busy.pipe.replies() == b"+OK\r\n" * 1000
    assert busy.pipe.reading


def test_a_client_that_had_its_turn_is_read_again_in_the_next_one(stage: Stage) -> None:
    client = Client(stage)
    turn = resp_server.TURN_BATCHES * resp_server.BATCH_COMMANDS
    client.sends(*["ECHO x"] * (turn + 1))
    stage.loop.run_once()
    assert not client.pipe.reading, "it executed the rest in this turn: what is read now would be executed in it, too"
    stage.loop.run_once()
    assert client.pipe.reading
    assert client.pipe.replies() == b"$1\r\nx\r\n" * (turn + 1)


@pytest.mark.parametrize("command", [array(b"GET", b"k"), array(b"SET", b"k", b"v")])
def test_a_run_of_one_command_is_executed_in_several_turns_too(stage: Stage, command: bytes) -> None:
    busy, other, counted = Client(stage), Client(stage), stage.executor.statistics
    turn = resp_server.TURN_BATCHES * resp_server.BATCH_COMMANDS
    busy.sends(command * 200)
    assert counted.commands_processed == turn
    other.sends("ECHO other")
    assert counted.commands_processed == turn + 1
    stage.loop.run()
    assert counted.commands_processed == 201
    while stage.turns.syncing:
        stage.sync()
    reply = b"$-1\r\n" if b"GET" in command else b"+OK\r\n"
    assert busy.pipe.replies() == reply * 200
    assert busy.pipe.reading


def test_a_run_stops_while_the_client_does_not_read(stage: Stage) -> None:
    client = Client(stage)
    client.asks(array(b"SET", b"k", b"x" * 60000))
    stage.sync()
    client.pipe.replies()
    client.pipe.room = 0
    client.sends(array(b"GET", b"k") * 200)
    stage.loop.run()
    assert client.connection.unread_bytes() < resp_server.OUTPUT_PAUSE_BYTES + resp_server.BATCH_COMMANDS * 61000
    client.pipe.take()
    stage.loop.run()
    assert client.pipe.replies() == b"$60000\r\n%b\r\n" % (b"x" * 60000) * 200


def test_a_command_cut_anywhere_is_answered_once(stage: Stage) -> None:
    client = Client(stage)
    data = array(b"ECHO", b"a") + array(b"ECHO", b"b")
    for at in range(len(data)):
        client.sends(data[at : at + 1])
    stage.loop.run()
    assert client.pipe.replies() == b"$1\r\na\r\n$1\r\nb\r\n"


# --- output


def test_execution_stops_in_the_middle_of_a_chunk_while_the_client_does_not_read(stage: Stage) -> None:
    client = Client(stage)
    client.pipe.room = 0
    client.sends("LARGE 600000", "LARGE 600000", "LARGE 600000", "LARGE 600000")
    stage.loop.run()
    assert len(stage.executed) == 2
    assert not client.pipe.reading
    client.pipe.take()
    stage.loop.run()
    assert len(stage.executed) == 4
    assert client.pipe.reading
    assert client.pipe.replies() == b"$600000\r\n%b\r\n" % (b"x" * 600000) * 4


def test_many_smaller_replies_of_one_chunk_stop_it_too(stage: Stage) -> None:
    client = Client(stage)
    client.pipe.room = 0
    client.sends(*["LARGE 60000"] * 1000)
    stage.loop.run()
    unread = client.connection.unread_bytes()
    assert unread < resp_server.OUTPUT_PAUSE_BYTES + resp_server.BATCH_COMMANDS * 61000
    client.pipe.take()
    stage.loop.run()
    assert len(stage.executed) == 1000
    assert client.pipe.replies() == b"$60000\r\n%b\r\n" % (b"x" * 60000) * 1000


def test_replies_that_wait_for_the_disk_count_as_output(stage: Stage) -> None:
    client = Client(stage)
    stage.turns.plain_reads = True
    client.asks("PUT k v", *["LARGE 60000"] * 600)
    assert client.pipe.replies() == b""
    assert len(stage.executed) < 100
    assert not client.pipe.reading
    stage.sync()
    assert len(stage.executed) == 600
    assert client.pipe.reading
    assert client.connection.unread_bytes() == 0


def test_a_client_over_the_hard_limit_is_closed(stage: Stage) -> None:
    client, other = Client(stage), Client(stage)
    client.pipe.room = 0
    client.sends("LARGE 70000000")
    stage.server.enforce_limits()
    assert client.pipe.aborted
    assert stage.executor.statistics.output_buffer_disconnections == 1
    assert client.connection not in stage.server.connections
    assert other.asks("PING") == b"+PONG\r\n"


def test_a_client_over_the_soft_limit_is_closed_when_it_stays_there(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1000.0
    monkeypatch.setattr(clients.time, "monotonic", lambda: now_s)
    client = Client(stage)
    client.pipe.room = 0
    client.sends("LARGE 20000000")
    stage.server.enforce_limits()
    now_s += SETTINGS.output_buffer_soft_s - 1
    stage.server.enforce_limits()
    assert not client.pipe.closed
    client.pipe.unread = 1000  # it reads: the time begins anew
    stage.server.enforce_limits()
    client.pipe.unread = 20000000
    now_s += SETTINGS.output_buffer_soft_s - 1
    stage.server.enforce_limits()
    assert not client.pipe.closed
    now_s += SETTINGS.output_buffer_soft_s
    stage.server.enforce_limits()
    assert client.pipe.aborted


def test_a_client_that_is_pushed_more_than_it_reads_is_closed(stage: Stage) -> None:
    client = Client(stage)
    client.pipe.room = 0
    for _ in range(7):
        client.connection.write_push(b"x" * 10_000_000)
    assert client.pipe.aborted
    client.connection.write_push(b"x")


# --- limits


def test_too_many_clients_are_told_so(stage: Stage) -> None:
    stage.executor.settings = replace(SETTINGS, max_clients=2)
    first, _, third = Client(stage), Client(stage), Client(stage)
    assert third.pipe.replies() == b"-ERR max number of clients reached\r\n"
    assert third.pipe.closed
    assert stage.executor.statistics.connections_rejected == 1
    third.connection.connection_lost(None)
    first.connection.connection_lost(None)
    assert Client(stage).asks("PING") == b"+PONG\r\n"


@pytest.mark.parametrize(
    ("peer", "served"),
    [
        (("127.0.0.1", 1), True),
        (("127.8.9.10", 1), True),
        (("::1", 1, 0, 0), True),
        ("", True),
        (("192.0.2.7", 1), False),
        (("2001:db8::1", 1, 0, 0), False),
        (("::ffff:192.0.2.7", 1, 0, 0), False),
    ],
)
def test_without_a_password_only_this_machine_is_served(stage: Stage, peer: object, served: bool) -> None:
    client = Client(stage, peer)
    assert client.pipe.closed is not served
    assert client.pipe.replies().startswith(b"" if served else b"-DENIED Keystead is running in protected mode")


def test_with_a_password_or_without_protection_all_are_served(stage: Stage) -> None:
    stage.executor.settings = replace(SETTINGS, protected_mode=False)
    assert not Client(stage, ("192.0.2.7", 1)).pipe.closed
    stage.executor.settings = SETTINGS
    stage.executor.access.set_password("secret")
    assert not Client(stage, ("192.0.2.7", 1)).pipe.closed


def test_before_login_little_is_listened_to_and_after_it_the_rest_of_the_same_chunk(stage: Stage) -> None:
    stage.executor.access.set_password("secret")
    many = array(b"ECHO", *[b"x"] * 10)
    client = Client(stage)
    assert client.asks("AUTH secret", many, "ECHO 1") == (
        b"+OK\r\n-ERR wrong number of arguments for 'echo' command\r\n$1\r\n1\r\n"
    )
    assert client.asks(many) == b"-ERR wrong number of arguments for 'echo' command\r\n"
    stranger = Client(stage)
    assert stranger.asks("PING", many, "PING") == (
        b"-NOAUTH Authentication required.\r\n-ERR Protocol error: unauthenticated multibulk length\r\n"
    )
    assert stranger.pipe.closed


def test_a_command_larger_than_the_query_buffer_closes_without_an_answer(stage: Stage) -> None:
    stage.executor.settings = replace(SETTINGS, max_query_buffer_bytes=100_000)
    client = Client(stage)
    client.sends("PING", b"*1\r\n$1000000\r\n" + b"x" * 120_000)
    stage.loop.run()
    assert client.pipe.replies() == b"+PONG\r\n"
    assert client.pipe.closed
    assert stage.executor.statistics.query_buffer_disconnections == 1


def test_new_limits_hold_for_clients_that_are_connected(stage: Stage) -> None:
    client = Client(stage)
    stage.executor.settings = replace(SETTINGS, max_value_bytes=1 << 20)
    stage.server.apply_limits()
    assert client.asks(b"*1\r\n$1048577\r\n") == b"-ERR Protocol error: invalid bulk length\r\n"


def test_a_silent_client_is_closed_when_a_timeout_is_set(stage: Stage) -> None:
    silent, waiting, busy = Client(stage), Client(stage), Client(stage)
    waiting.asks("LATER")
    stage.server.enforce_limits()
    assert not silent.pipe.closed
    stage.executor.settings = replace(SETTINGS, idle_timeout_s=10)
    stage.engine.clock.advance_to(stage.engine.clock.now_ms + 11_000)
    busy.asks("PING")
    stage.server.enforce_limits()
    assert silent.pipe.aborted
    assert not waiting.pipe.closed, "it is we who are silent"
    assert not busy.pipe.closed


def test_who_has_to_log_in_and_does_not_is_closed(stage: Stage) -> None:
    open_since_before = Client(stage)
    stage.executor.access.set_password("secret")
    stranger, slow, gone, user = Client(stage), Client(stage), Client(stage), Client(stage)
    gone.connection.connection_lost(None)
    user.asks("AUTH secret")
    stage.engine.clock.advance_to(stage.engine.clock.now_ms + 29_000)
    late = Client(stage)
    stage.server.enforce_limits()
    assert not stranger.pipe.closed
    slow.asks(b"*2\r\n$4\r\nAUTH\r\n$6\r\nsec")
    stage.engine.clock.advance_to(stage.engine.clock.now_ms + 2_000)
    stage.server.enforce_limits()
    assert stranger.pipe.aborted
    assert slow.pipe.aborted, "half a login is none"
    assert not any(client.pipe.closed for client in (open_since_before, user, late))
    assert list(stage.server.strangers) == [late.connection]


# --- endings


def test_a_protocol_error_is_said_behind_the_replies_that_wait(stage: Stage) -> None:
    client = Client(stage)
    stage.turns.plain_reads = True
    assert client.asks("PUT k v", b"*x\r\n", "PUT k w") == b""
    assert not client.pipe.closed
    stage.sync()
    assert client.pipe.replies() == b"+OK\r\n-ERR Protocol error: invalid multibulk length\r\n"
    assert client.pipe.closed
    assert stage.engine.databases[0].keyspace.get(b"k") == b"v"


def test_a_promise_before_a_protocol_error_is_kept_first(stage: Stage) -> None:
    client = Client(stage)
    assert client.asks("LATER", "ECHO 1", b"*x\r\n") == b""
    stage.promises[0].resolve(b"+LATE\r\n")
    stage.loop.run()
    assert client.pipe.replies() == b"+LATE\r\n$1\r\n1\r\n-ERR Protocol error: invalid multibulk length\r\n"
    assert client.pipe.closed


@pytest.mark.parametrize("request_line", ["POST / HTTP/1.1", "Host: localhost", "post x"])
def test_a_web_browser_is_shown_the_door_and_nothing_it_says_is_executed(stage: Stage, request_line: str) -> None:
    client = Client(stage)
    assert client.asks(request_line, "PUT k v") == b""
    assert client.pipe.closed
    assert stage.engine.databases[0].keyspace.get(b"k") is None


def test_a_client_that_closed_its_side_still_gets_its_replies(stage: Stage) -> None:
    client = Client(stage)
    stage.turns.plain_reads = True
    client.asks("ECHO 1", "PUT k v")
    assert client.connection.eof_received(), "the transport must not close by itself"
    assert not client.pipe.closed
    stage.sync()
    assert client.pipe.replies() == b"$1\r\n1\r\n+OK\r\n"
    assert client.pipe.closed


def test_a_client_that_closed_its_side_behind_a_promise_gets_everything(stage: Stage) -> None:
    client = Client(stage)
    client.asks("LATER", "PUT k v")
    client.connection.eof_received()
    stage.promises[0].resolve(b"+LATE\r\n")
    stage.loop.run()
    assert client.pipe.replies() == b"+LATE\r\n+OK\r\n"
    assert client.pipe.closed


def test_a_client_that_closed_its_side_with_nothing_to_come_is_closed(stage: Stage) -> None:
    client = Client(stage)
    client.asks("PING")
    client.connection.eof_received()
    assert client.pipe.closed


def test_a_client_that_vanishes_while_it_waits_harms_nobody(stage: Stage) -> None:
    gone, stays = Client(stage), Client(stage)
    stage.turns.plain_reads = True
    gone.sends("PUT a 1")
    stays.sends("PUT b 2")
    stage.loop.run()
    gone.pipe.abort()
    stage.sync()
    assert gone.pipe.written == b""
    assert stays.pipe.replies() == b"+OK\r\n"
    assert stage.server.connections == {stays.connection}
    assert list(stage.executor.sessions.values()) == [stays.connection.session]


def test_a_promise_to_a_client_that_vanished_goes_nowhere(stage: Stage) -> None:
    client = Client(stage)
    client.asks("LATER", "PUT k v")
    client.pipe.abort()
    stage.promises[0].resolve(b"+LATE\r\n")
    stage.loop.run()
    assert client.pipe.written == b""
    assert stage.engine.databases[0].keyspace.get(b"k") is None


def test_quit_is_answered_and_what_follows_it_is_not_executed(stage: Stage) -> None:
    client = Client(stage)
    assert client.asks("PING", "QUIT", "PUT k v") == b"+PONG\r\n+OK\r\n"
    assert client.pipe.closed
    assert stage.engine.databases[0].keyspace.get(b"k") is None


def test_a_stop_answers_what_was_executed_and_closes(stage: Stage) -> None:
    writer, idle = Client(stage), Client(stage)
    stage.turns.plain_reads = True
    writer.asks("PUT k v")
    for client in (writer, idle):
        client.connection.stop_input()
    stage.loop.run()
    assert idle.pipe.closed
    assert not writer.pipe.closed
    stage.sync()
    assert writer.pipe.replies() == b"+OK\r\n"
    assert writer.pipe.closed


def test_a_client_is_shown_where_it_comes_from(stage: Stage) -> None:
    assert Client(stage, ("192.168.0.1", 5)).connection.addr == "192.168.0.1:5"
    six = Client(stage, ("::1", 6, 0, 0)).connection
    assert (six.addr, six.laddr, six.fd) == ("[::1]:6", "127.0.0.1:7379", 99)


def test_a_command_that_meets_a_failed_disk_is_not_answered_nor_is_what_follows(stage: Stage) -> None:
    def fail(_session: object, _args: object) -> bytes:
        raise DiskFailure("writing the log: Input/output error")

    stage.executor.tables.normal[b"FAIL"] = fail
    client = Client(stage)
    assert client.asks("PING", "FAIL", "PING") == b""
    assert [str(failure) for failure in stage.failures] == ["writing the log: Input/output error"]


def test_the_replies_of_a_turn_are_written_when_all_its_input_has_been_executed(stage: Stage) -> None:
    clients = [Client(stage), Client(stage)]
    for client in clients:
        client.sends("ECHO 1")
        assert client.pipe.replies() == b""
    stage.loop.run()
    assert [client.pipe.replies() for client in clients] == [b"$1\r\n1\r\n"] * 2
