"""WAIT and WAITAOF: how far the client's own writes have got."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystead import resp
from keystead.commands.clients import milliseconds
from keystead.commands.declaration import command
from keystead.commands.numbers import integer, integer_within, positive
from keystead.commands.placement import Nowhere

if TYPE_CHECKING:
    from keystead.execution.promise import Promise
    from keystead.execution.session import Session


@command(
    "WAIT numreplicas timeout",
    group="generic",
    since="3.0.0",
    flags="noscript",
    acl="connection",
    reads="nothing",
    encoded=True,
    types={"numreplicas": integer, "timeout": milliseconds},
    hints="request_policy:all_shards response_policy:agg_min",
    cluster="own",
    summary="Blocks until the replication of all preceding write commands sent by the connection is completed.",
)
def wait(session: Session, replicas: int, timeout_ms: int) -> bytes | Promise:
    """There are no replicas, so whoever waits for one waits until the timeout; for ever when that is 0."""
    if replicas <= 0 or session.runs_transaction:
        return resp.ZERO
    return session.executor.reply_after(timeout_ms, lambda: resp.ZERO)


@command(
    "WAITAOF numlocal numreplicas timeout",
    group="generic",
    since="7.2.0",
    flags="noscript",
    acl="connection",
    reads="nothing",
    encoded=True,
    types={"numlocal": lambda text: integer_within(text, 0, 1), "numreplicas": positive, "timeout": milliseconds},
    hints="request_policy:all_shards response_policy:agg_min",
    cluster=Nowhere(
        "what is on disk is the nodes' affair",
        "Set appendfsync on the nodes, and use WAIT to have writes on replicas.",
    ),
    summary="Blocks until all of the preceding write commands sent by the connection are written to the log of the "
    "server and of replicas.",
)
def waitaof(session: Session, local: int, replicas: int, timeout_ms: int) -> bytes | Promise:
    engine = session.engine
    if engine.options.fsync == "always" and not replicas:
        # The reply waits for the sync like that of any command that depends on current memory.
        session.must_wait = True
        return session.encode([1, 0])
    turn = engine.open_turn
    reached: list[int] = []

    def is_on_disk() -> bool:
        """The interval's sync, or a segment's, has covered the turn: its frame lies before what is durable."""
        if not reached and engine.appended_turn >= turn - (not engine.ops):
            reached.append(engine.log.position)
        return bool(reached) and engine.log.durable_position >= reached[0]

    def reply() -> bytes:
        return session.encode([int(is_on_disk()), 0])

    if session.runs_transaction or (not replicas and (not local or is_on_disk())):
        return reply()
    if replicas:
        return session.executor.reply_after(timeout_ms, reply)
    return session.executor.reply_when(lambda: reply() if is_on_disk() else None, timeout_ms, reply)
