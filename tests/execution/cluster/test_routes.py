"""Where commands go in front of a cluster, what is checked before, and what is made of the replies of several nodes."""

from __future__ import annotations

import pytest

from keystead.cluster.slots import slot_of
from keystead.commands.declaration import Command
from keystead.commands.documentation import every_command
from keystead.commands.placement import Nowhere
from keystead.execution.cluster.catalogue import WAYS
from scripted_cluster import IDS, A, B, C, FrontStage, front_stage

COMMANDS = list(every_command())


def called(command: Command, count: int | None = None) -> str:
    words = command.name.split("|")
    return " ".join(words + ["1"] * ((count or command.minimum) - len(words)))


def test_every_command_that_says_it_has_a_way_of_its_own_has_one() -> None:
    assert {command.name for command in COMMANDS if command.place == "own"} == WAYS.keys()


NOWHERE = [command for command in COMMANDS if isinstance(command.place, Nowhere)]


@pytest.mark.parametrize("command", NOWHERE, ids=lambda one: one.name)
def test_what_cannot_be_there_says_why_and_what_to_use(command: Command, front: FrontStage) -> None:
    assert isinstance(command.place, Nowhere)
    answered = front.client()(called(command))
    assert answered is not None
    assert answered.startswith(
        b"-ERR " + command.name.replace("|", " ").upper().encode() + b" is not available in front"
    )
    assert command.place.why.encode() in answered
    assert command.place.instead.encode() in answered
    assert front.client()(called(command, 40)) == b"-%b\r\n" % command.arity_error.encode() or command.arity < 0
    assert front.cluster.sends == []


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.key_specs], ids=lambda one: one.name)
def test_a_wrong_number_of_arguments_is_sent_to_nobody(command: Command, front: FrontStage) -> None:
    short = called(command).rsplit(" ", 1)[0]
    assert front.client()(short) in (
        b"-ERR wrong number of arguments for '%b' command\r\n" % name.encode()
        for name in (command.name, command.name.split("|")[0])
    )
    assert front.cluster.sends == []


def test_a_whole_batch_is_sent_at_once_and_answered_in_order(front: FrontStage) -> None:
    running = front.client().run(f"SET {A} 1", "PING", f"GET {B}", f"INCR {C}")
    (sends,) = front.cluster.sends
    assert [sent.line for sent in sends] == [f"SET {A} 1", f"GET {B}", f"INCR {C}"]
    assert [sent.request.target for sent in sends] == [slot_of(key.encode()) for key in (A, B, C)]
    assert [sent.request.writes for sent in sends] == [True, False, True]
    for sent, reply in zip(reversed(sends), (b":1\r\n", b"$1\r\nb\r\n", b"+OK\r\n"), strict=True):
        assert running.replies is None
        sent.answer(reply)
    assert running.replies == b"+OK\r\n+PONG\r\n$1\r\nb\r\n:1\r\n"


def test_an_error_between_others_keeps_its_place(front: FrontStage) -> None:
    running = front.client().run(f"GET {A}", "NOSUCH", "GET", f"GET {A}")
    front.cluster.answer(b"$1\r\n1\r\n", b"-WRONGTYPE Operation\r\n")
    replies = (running.replies or b"").split(b"\r\n")
    assert replies[0:2] == [b"$1", b"1"]
    assert [reply[:12] for reply in replies[2:]] == [b"-ERR unknown", b"-ERR wrong n", b"-WRONGTYPE O", b""]


def test_replies_are_wanted_in_the_protocol_of_the_client(front: FrontStage) -> None:
    client = front.client()
    client.run(f"GET {A}")
    client("HELLO 3")
    client.run(f"GET {A}")
    assert [sent.protocol for sent in front.cluster.sent] == [2, 3]


def test_what_came_before_hello_is_answered_in_the_protocol_of_then(front: FrontStage) -> None:
    running = front.client().run(f"GET {A}", "HELLO 3", f"GET {B}")
    assert [(sent.line, sent.protocol) for sent in front.cluster.sent] == [(f"GET {A}", 2)]
    front.cluster.answer(b"$-1\r\n")
    assert [(sent.line, sent.protocol) for sent in front.cluster.sent][1:] == [(f"GET {B}", 3)]
    front.cluster.answer(b"_\r\n")
    assert (running.replies or b"").startswith(b"$-1\r\n%7\r\n")
    assert (running.replies or b"").endswith(b"_\r\n")


def test_replies_of_commands_that_run_here_need_no_node(front: FrontStage) -> None:
    assert front.client()("PING", "ECHO a", "SELECT 0", "CLIENT GETNAME") == b"+PONG\r\n$1\r\na\r\n+OK\r\n$-1\r\n"
    assert front.cluster.sends == []


def test_another_database_than_0_is_refused(front: FrontStage) -> None:
    answered = front.client()("SELECT 1")
    assert answered is not None
    assert answered.startswith(b"-ERR SELECT 1 is not available in front of a cluster: it has one database.")


# --- several slots ----------------------------------------------------------------------------------------------------


def test_a_count_over_several_slots_is_the_sum_of_the_parts(front: FrontStage) -> None:
    running = front.client().run(f"DEL {A} {B} {A} {C}")
    assert front.cluster.lines() == [f"DEL {A} {A}", f"DEL {B}", f"DEL {C}"]
    assert all(sent.request.writes for sent in front.cluster.sent)
    front.cluster.answer(b":1\r\n", b":0\r\n", b":1\r\n")
    assert running.replies == b":2\r\n"


def test_values_of_several_slots_come_in_the_order_of_their_keys(front: FrontStage) -> None:
    running = front.client().run(f"MGET {A} {B} {A} nosuch")
    lines = front.cluster.lines()
    assert lines[:2] == [f"MGET {A} {A}", f"MGET {B}"]
    front.cluster.answer(b"*2\r\n$1\r\na\r\n$1\r\na\r\n", b"*1\r\n$4\r\n\r\nb\r\r\n", b"*1\r\n$-1\r\n")
    assert running.replies == b"*4\r\n$1\r\na\r\n$4\r\n\r\nb\r\r\n$1\r\na\r\n$-1\r\n"


def test_pairs_stay_together_when_they_are_split(front: FrontStage) -> None:
    running = front.client().run(f"MSET {A} 1 {B} 2 {A} 3")
    assert front.cluster.lines() == [f"MSET {A} 1 {A} 3", f"MSET {B} 2"]
    front.cluster.answer(b"+OK\r\n", b"+OK\r\n")
    assert running.replies == b"+OK\r\n"


def test_keys_of_one_slot_are_not_split(front: FrontStage) -> None:
    running = front.client().run("MGET {t}a {t}b", "DEL {t}a {t}b")
    assert front.cluster.lines() == ["MGET {t}a {t}b", "DEL {t}a {t}b"]
    front.cluster.answer(b"*2\r\n$-1\r\n$-1\r\n", b":0\r\n")
    assert running.replies == b"*2\r\n$-1\r\n$-1\r\n:0\r\n"


@pytest.mark.parametrize("line", [f"MSETNX {A} 1 {B} 2", f"RENAME {A} {B}", f"COPY {A} {B}", f"LCS {A} {B}"])
def test_what_must_be_one_step_is_refused_across_slots(line: str, front: FrontStage) -> None:
    answered = front.client()(line)
    assert answered is not None
    assert answered.startswith(b"-CROSSSLOT Keys in request don't hash to the same slot")
    assert front.cluster.sends == []


def test_bitop_is_of_one_slot_with_its_destination(front: FrontStage) -> None:
    client = front.client()
    assert (client(f"BITOP AND {A} {B}") or b"").startswith(b"-CROSSSLOT")
    client.run("BITOP AND {t}a {t}b {t}c")
    assert front.cluster.sent[0].request.target == slot_of(b"t")


def test_a_write_of_which_some_parts_failed_has_an_unknown_outcome(front: FrontStage) -> None:
    running = front.client().run(f"DEL {A} {B}")
    front.cluster.answer(b":1\r\n", b"-CLUSTERDOWN not executed: b is gone\r\n")
    assert running.replies == (
        b"-UNKNOWNOUTCOME some of the keys were changed, others not: CLUSTERDOWN not executed: b is gone\r\n"
    )


def test_an_unknown_outcome_of_a_part_is_that_of_the_whole(front: FrontStage) -> None:
    running = front.client().run(f"DEL {A} {B} {C}")
    front.cluster.answer(b"-CLUSTERDOWN no\r\n", b"-UNKNOWNOUTCOME perhaps\r\n", b":1\r\n")
    assert running.replies == b"-UNKNOWNOUTCOME perhaps\r\n"


def test_a_write_all_of_whose_parts_failed_has_failed(front: FrontStage) -> None:
    running = front.client().run(f"MSET {A} 1 {B} 2")
    front.cluster.answer(b"-OOM no\r\n", b"-OOM no\r\n")
    assert running.replies == b"-OOM no\r\n"


def test_a_read_of_which_a_part_failed_has_failed(front: FrontStage) -> None:
    running = front.client().run(f"MGET {A} {B}")
    front.cluster.answer(b"*1\r\n$-1\r\n", b"-CLUSTERDOWN no\r\n")
    assert running.replies == b"-CLUSTERDOWN no\r\n"


# --- every primary ----------------------------------------------------------------------------------------------------


def test_every_primary_is_asked_by_a_slot_of_its_own(front: FrontStage) -> None:
    running = front.client().run("DBSIZE")
    assert [sent.request.target for sent in front.cluster.sent] == [
        node.slots[0][0] for node in front.cluster.topology.primaries
    ]
    front.cluster.answer(b":1\r\n", b":2\r\n", b":30\r\n")
    assert running.replies == b":33\r\n"


def test_keys_of_every_primary_are_one_array(front: FrontStage) -> None:
    running = front.client().run("KEYS *")
    front.cluster.answer(b"*1\r\n$1\r\na\r\n", b"*0\r\n", b"*2\r\n$1\r\nb\r\n$1\r\nc\r\n")
    assert running.replies == b"*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"


def test_a_flush_is_a_write_that_may_have_happened_in_part(front: FrontStage) -> None:
    running = front.client().run("FLUSHALL")
    assert all(sent.request.writes for sent in front.cluster.sent)
    front.cluster.answer(b"+OK\r\n", b"+OK\r\n", b"-CLUSTERDOWN no\r\n")
    assert (running.replies or b"").startswith(b"-UNKNOWNOUTCOME some of the keys were changed, others not")


def test_a_random_key_is_of_a_primary_that_has_keys(front: FrontStage) -> None:
    running = front.client().run("RANDOMKEY")
    assert front.cluster.lines() == ["RANDOMKEY"] * 3 + ["DBSIZE"] * 3
    front.cluster.answer(b"$-1\r\n", b"$1\r\nb\r\n", b"$-1\r\n", b":0\r\n", b":9\r\n", b":0\r\n")
    assert running.replies == b"$1\r\nb\r\n"


def test_without_any_primary_nothing_is_executed(front: FrontStage) -> None:
    front.cluster.topology = type(front.cluster.topology)()
    for line in ("DBSIZE", "SCAN 0", "RANDOMKEY", "WAIT 2 0"):
        assert (front.client()(line) or b"").startswith(b"-CLUSTERDOWN not executed")


# --- what is around every command -------------------------------------------------------------------------------------


def test_what_follows_a_paused_command_waits_for_it(front: FrontStage) -> None:
    front.client()("CLIENT PAUSE 1000 WRITE")
    running = front.client().run(f"GET {A}", f"SET {A} 1", f"GET {A}")
    assert front.cluster.lines() == [f"GET {A}"]
    front.cluster.answer(b"$-1\r\n")
    assert running.replies is None
    front.timers.pass_time(2)
    assert front.cluster.lines()[1:] == [f"SET {A} 1"]
    front.cluster.answer(b"+OK\r\n")
    front.cluster.answer(b"$1\r\n1\r\n")
    assert running.replies == b"$-1\r\n+OK\r\n$1\r\n1\r\n"


def test_a_user_who_may_not_touch_a_key_reaches_no_node(front: FrontStage) -> None:
    client = front.client()
    client(f"ACL SETUSER u on nopass +@all ~{A}", "AUTH u x")
    running = client.run(f"GET {A}", f"GET {B}", f"DEL {A} {B}")
    assert front.cluster.lines() == [f"GET {A}"]
    front.cluster.answer(b"$-1\r\n")
    assert [line[:7] for line in (running.replies or b"").split(b"\r\n")[1:3]] == [b"-NOPERM", b"-NOPERM"]


def test_a_silent_client_is_sent_nothing_and_executed_all_the_same(front: FrontStage) -> None:
    client = front.client()
    running = client.run("CLIENT REPLY OFF", f"SET {A} 1", f"GET {A}", "CLIENT REPLY ON")
    assert front.cluster.lines() == [f"SET {A} 1", f"GET {A}"]
    front.cluster.answer(b"+OK\r\n", b"$1\r\n1\r\n")
    assert running.replies == b"+OK\r\n"


def test_a_client_whose_replies_are_long_has_fewer_under_way(front: FrontStage) -> None:
    """They are all in memory at once: a pipeline of reads of large values must not fill it."""
    long, short = b"$1000000\r\n%b\r\n" % bytes(1_000_000), b"$1\r\nx\r\n"
    client = front.client()
    running = client.run(*[f"GET {A}"] * 4)
    front.cluster.answer(*[long] * 4)
    assert running.replies == long * 4
    running = client.run("PING", *[f"GET {A}"] * 3, "PING", f"GET {A}")
    front.client().run(*[f"GET {B}"] * 3)
    assert [len(sends) for sends in front.cluster.sends] == [4, 1, 3]
    front.cluster.sends[1][0].answer(short)
    assert [len(sends) for sends in front.cluster.sends] == [4, 1, 3, 3]
    front.cluster.answer(*[short] * 3)
    assert running.replies == b"+PONG\r\n" + short * 3 + b"+PONG\r\n" + short


def test_errors_of_nodes_are_counted(front: FrontStage) -> None:
    front.client().run(f"GET {A}", f"GET {B}")
    front.cluster.answer(b"-WRONGTYPE no\r\n", b"$-1\r\n")
    assert front.executor.statistics.errors == {"WRONGTYPE": 1}
    assert front.executor.statistics.commands_processed == 2


def test_the_operation_log_has_what_the_node_answered() -> None:
    front = front_stage(log_operations=True)
    operations = []
    front.executor.operations.sink = operations.append
    front.client().run(f"SET {A} 1", f"INCR {B}")
    assert operations == []
    front.cluster.answer(b"+OK\r\n", b"-UNKNOWNOUTCOME perhaps\r\n")
    assert [(one.command, one.keys, one.result) for one in operations] == [
        ("SET", (A.encode(),), "ok"),
        ("INCR", (B.encode(),), "UNKNOWNOUTCOME"),
    ]


def test_times_of_commands_are_those_of_the_nodes() -> None:
    front = front_stage(slowlog_slower_than_us=0, latency_tracking=True)
    front.client().run(f"GET {A}")
    assert not front.executor.slow_log.entries
    assert not front.executor.call_times.by_name["get"].calls
    front.cluster.answer(b"-ERR no\r\n")
    assert front.executor.slow_log.entries[0].args == [b"GET", A.encode()]
    times = front.executor.call_times.by_name["get"]
    assert (times.calls, times.failed) == (1, 1)


def test_a_monitor_sees_what_goes_to_nodes(front: FrontStage) -> None:
    listener = front.client()
    listener("MONITOR")
    front.client().run(f"SET {A} 1")
    assert f'"SET" "{A}" "1"'.encode() in listener.peer.pushed


def test_a_client_that_leaves_is_forgotten_while_the_nodes_go_on(front: FrontStage) -> None:
    client = front.client()
    running = client.run(f"SET {A} 1", f"SET {B} 1")
    front.executor.close_session(client.session)
    front.cluster.answer(b"+OK\r\n", b"+OK\r\n")
    assert running.replies is None


# --- INFO -------------------------------------------------------------------------------------------------------------

INFO = b"used_memory:100\r\nmaxmemory_policy:noeviction\r\ndb0:keys=3,expires=1,avg_ttl=50\r\nkeyspace_hits:7\r\n"


def bulk(text: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text)


def test_info_sums_what_the_primaries_say(front: FrontStage) -> None:
    running = front.client().run("INFO keyspace memory stats cluster")
    assert [sent.request.target for sent in front.cluster.sent] == list(front.cluster.topology.nodes)
    front.cluster.answer(*[bulk(INFO)] * 3)
    text = (running.replies or b"").decode()
    assert "db0:keys=9,expires=3,avg_ttl=50\r\n" in text
    assert "used_memory:300\r\n" in text
    assert "keyspace_hits:21\r\n" in text
    assert "maxmemory_policy:noeviction\r\n" in text
    assert "cluster_enabled:0\r\ncluster_state:ok\r\n" in text


def test_info_leaves_out_a_primary_that_is_silent_for_a_second(front: FrontStage) -> None:
    running = front.client().run("INFO keyspace cluster")
    front.cluster.sent[0].answer(bulk(INFO))
    front.cluster.sent[2].answer(b"-CLUSTERDOWN no\r\n")
    assert running.replies is None
    front.timers.pass_time(1.5)
    text = (running.replies or b"").decode()
    assert "db0:keys=3,expires=1,avg_ttl=50\r\n" in text
    assert f"id={IDS[1]},address=127.0.0.1:7001,role=primary,health=online,slots=" in text
    front.cluster.sent[1].answer(bulk(INFO))


def test_sections_of_the_front_door_alone_ask_nobody(front: FrontStage) -> None:
    assert b"redis_version" in (front.client()("INFO server clients cpu") or b"")
    assert front.cluster.sends == []
