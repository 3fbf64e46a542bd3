"""Sequences of random commands, well formed and not quite, on an executor in process and on a real redis-server.

Between commands turns end and are synced, or not: a client must not notice. At the end the log must replay to memory.
In front of a cluster they go in pipelines and transactions.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executors import Client, Stage, stage
from keystead.cluster.slots import slot_of
from keystead.commands.debug import replays_to_memory
from keystead.commands.declaration import called_command
from keystead.commands.key_positions import positions
from keystead.commands.placement import Nowhere
from keystead.execution.cluster.routes import may_be_in_transaction
from random_commands import TIMES, commands, comparable
from wire import Reply, encode, read_reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers import HttpServer, Server
    from wire import SocketConnection

STEPS = st.sampled_from(["go on", "go on", "end the turn", "sync"])


@pytest.fixture(scope="module")
def oracle(redis: Server) -> Iterator[SocketConnection]:
    connection = redis.connect()
    yield connection
    connection.call("FLUSHALL")
    connection.close()


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    directory: Path = tmp_path_factory.mktemp("against") / "data"
    built = stage(directory, max_value_bytes=512 << 20)
    yield built
    built.executor.engine.close()


def run(client: Client, args: list[bytes], step: str) -> Reply:
    """Execute one command as a connection would, then end the turn or not."""
    replies: list[bytes] = []
    client.executor.run(client.session, iter([args]), replies)
    engine = client.executor.engine
    if client.session.must_wait:
        client.session.must_wait = False
        client.session.pending_turn = engine.open_turn
    if step != "go on":
        engine.end_turn()
    if step == "sync":
        engine.sync()
    return read_reply(io.BytesIO(replies[0]))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(commands(), STEPS), min_size=1, max_size=40))
def test_random_commands_are_answered_as_redis_does(
    oracle: SocketConnection, executor: Stage, script: list[tuple[list[bytes], str]]
) -> None:
    client = executor.client()
    oracle.send(encode([b"FLUSHALL"]) + b"".join(encode(args) for args, _ in script))
    run(client, [b"FLUSHALL"], "sync")
    oracle.receive()
    replies = [oracle.receive() for _ in script]  # all of them first, so that a difference does not leave some unread
    for (args, step), theirs in zip(script, replies, strict=True):
        assert comparable(args, run(client, args, step)) == comparable(args, theirs), args
    executor.executor.close_session(client.session)
    executor.executor.engine.end_turn()
    executor.executor.engine.sync()


def test_the_log_of_random_commands_replays_to_memory(executor: Stage) -> None:
    """After everything above, and more: whatever a command did is in the log, and nothing else."""
    assert replays_to_memory(executor.executor.engine)


# --- in front of a cluster


def placed(args: list[bytes], *, together: bool) -> list[bytes]:
    """The command with its keys in one slot, if it needs that or it is asked for."""
    command = called_command(args)
    if command is None or isinstance(command.place, Nowhere):
        return [b"ECHO", b"this is nowhere in a cluster"]
    places = positions(command.key_specs, args)
    across = command.place == "slot" and len({slot_of(args[at]) for at in places}) > 1
    return [b"{t}" + arg if at in places and (together or across) else arg for at, arg in enumerate(args)]


@st.composite
def pipelines(draw: st.DrawFn) -> list[list[bytes]]:
    """What a client sends at once: commands, and transactions."""
    sent: list[list[bytes]] = []
    for _ in range(draw(st.integers(1, 6))):
        part = [args for args in draw(st.lists(commands(), min_size=1, max_size=6)) if _is_of_one_database(args)]
        if draw(st.booleans()):
            sent += [placed(args, together=False) for args in part]
        else:
            queued = [placed(args, together=True) for args in part if _may_be_queued(args)]
            sent += [[b"MULTI"], *queued, [b"EXEC"]]
    return sent


def _is_of_one_database(args: list[bytes]) -> bool:
    return b"DB" not in [arg.upper() for arg in args]


def _may_be_queued(args: list[bytes]) -> bool:
    if args[0].lower() in TIMES:  # among the replies of EXEC nobody would know it for a time
        return False
    command = called_command(args)
    return command is None or isinstance(command.place, Nowhere) or may_be_in_transaction(command)


@settings(max_examples=100, deadline=None)
@given(st.lists(pipelines(), min_size=1, max_size=5))
def test_random_pipelines_in_front_of_a_cluster_are_answered_as_redis_does(
    oracle: SocketConnection, front_door: HttpServer, scripts: list[list[list[bytes]]]
) -> None:
    """Over all slots, so parts of a pipeline are answered by several nodes, some of it by none."""
    client = front_door.connect()
    for connection in (oracle, client):
        connection.call("FLUSHALL")
    for script in scripts:
        replies = []
        for connection in (oracle, client):
            connection.send(b"".join(map(encode, script)))
            replies.append([connection.receive() for _ in script])
        for args, theirs, ours in zip(script, *replies, strict=True):
            assert comparable(args, ours) == comparable(args, theirs), args
    client.close()
