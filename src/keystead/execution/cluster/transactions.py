"""Transactions in a cluster: MULTI … EXEC of one slot as one request, WATCH over a connection of the client's own.

What the nodes execute goes out in one piece. What runs here (PING, CLIENT …) runs when the nodes have executed theirs,
and its replies stand where its commands did: it has nothing to do with keys, so nobody can tell the order.

Owns: what may be in a transaction, and its replies. Must not know: nodes; that a redirected transaction is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from keystead import resp
from keystead.cluster.request import Request
from keystead.commands.declaration import Command, called_command, wrong_number
from keystead.commands.transactions import leave, refuse_exec
from keystead.errors import CommandError
from keystead.execution.cluster.promises import NodeReply
from keystead.execution.cluster.routes import (
    CROSSSLOT,
    goes_to_nodes,
    one_slot,
    packed,
    slots_in,
    writes,
)
from keystead.execution.cluster.ways import way
from keystead.execution.promise import Promise
from keystead.resp.reading import parts_of

if TYPE_CHECKING:
    from keystead.cluster.dedicated import Dedicated
    from keystead.commands.table import Run
    from keystead.execution.cluster.executor import ClusterExecutor
    from keystead.execution.session import Session

Outcome: TypeAlias = list[bytes] | CommandError
"""Encoded replies, one a command; or why nothing was done, or that nobody knows whether it was."""

MULTI: Final = packed([b"MULTI"])
EXEC: Final = packed([b"EXEC"])
_NULLS: Final = (b"*-1\r\n", b"_\r\n")
_NOT_EXECUTED: Final = b"-EXECABORT not executed\r\n"
_DISCARDED: Final = "EXECABORT Transaction discarded because of previous errors."


class Watch:
    """The connection over which one client's keys are watched."""

    def __init__(self, executor: ClusterExecutor, slot: int, protocol: int) -> None:
        self.slot = slot
        self.protocol = protocol
        self._dedicated: Dedicated = executor.client.dedicate(slot, protocol)

    def send(self, request: Request) -> None:
        """Send it over this connection, behind what was sent here before."""
        self._dedicated.send(request)

    def close(self) -> None:
        """Nothing is watched any more."""
        self._dedicated.close()


@way("WATCH", "the slot of its keys, over a connection of the client's own", waits=True)
def watch(executor: ClusterExecutor, command: Command) -> Run:
    def run(session: Session, args: list[bytes]) -> Promise:
        if not command.accepts(len(args)):
            raise CommandError(command.arity_error)
        if session.queued is not None:
            raise CommandError("ERR WATCH inside MULTI is not allowed")
        slot = one_slot(command, args)
        found = executor.watches.get(session.id)
        if found is not None and found.slot != slot:
            raise CommandError(CROSSSLOT)
        watch = executor.watches[session.id] = found or Watch(executor, slot, session.protocol)
        promise = Promise()

        def told(reply: bytes) -> None:
            if found is None and reply[:1] == b"-" and executor.watches.get(session.id) is watch:
                session.forget_watches()
            promise.resolve(reply)

        watch.send(Request(slot, packed(args), told))
        return promise

    return run


@way("EXEC", "the slot of the transaction's keys, in one piece", in_transaction=True)
def exec_(executor: ClusterExecutor, command: Command) -> Run:
    def run(session: Session, args: list[bytes]) -> bytes | Promise:
        if len(args) != 1:
            raise refuse_exec(session, wrong_number("exec"))
        if session.queued is None:
            raise CommandError("ERR EXEC without MULTI")
        is_broken = session.queue_is_broken
        watch = None if is_broken else executor.watches.pop(session.id, None)
        queued = leave(session)
        if is_broken:
            raise CommandError(_DISCARDED)
        return _execute(executor, session, queued, watch)

    return run


def _execute(
    executor: ClusterExecutor, session: Session, queued: list[list[bytes]], watch: Watch | None
) -> bytes | Promise:
    null = session.encode(resp.NULL_ARRAY)
    if watch is not None and watch.protocol != session.protocol:  # HELLO came in between: its replies would be others
        watch.close()
        return null
    promise = Promise() if watch else NodeReply(executor.statistics)

    def done(outcome: Outcome | None) -> None:
        if outcome is None:
            promise.resolve(null)
        elif isinstance(outcome, CommandError):
            promise.resolve(resp.error(outcome.text))
        else:
            promise.resolve(b"*%d\r\n%b" % (len(outcome), b"".join(outcome)))

    transaction = Transaction(executor, session, queued, watch, done)
    if watch is not None and executor.outgoing:  # other links than the watch's: they must have answered before
        executor.then = transaction.start
    else:
        transaction.start()
    return promise.reply if promise.reply is not None else promise


class Transaction:
    """One transaction on its way. *done* gets the replies, None when a watched key was changed, or the error."""

    def __init__(
        self,
        executor: ClusterExecutor,
        session: Session,
        commands: Sequence[list[bytes]],
        watch: Watch | None,
        done: Callable[[list[bytes] | CommandError | None], None],
    ) -> None:
        self._executor = executor
        self._session = session
        self._commands = commands
        self._watch = watch
        self._done = done
        self._replies: list[bytes | NodeReply | None] = []
        """None for what runs here, later."""

    def start(self) -> None:
        """Make the request and see that it is sent, with the batch or over the watch."""
        declared = [called_command(args) for args in self._commands]
        slots = {
            slot
            for command, args in zip(declared, self._commands, strict=True)
            if command is not None
            for slot in slots_in(command, args)
        }
        if self._watch is not None:
            slots.add(self._watch.slot)
        if len(slots) > 1:
            self._end(CommandError(CROSSSLOT))
            return
        piece = self._put_together(declared)
        if self._watch is None and not piece:
            self._end([reply if isinstance(reply, bytes) else self._run_here(args) for reply, args in self._pairs()])
            return
        data = b"".join((MULTI, *piece, EXEC))
        changes = any(command is not None and writes(command) for command in declared)
        self._send(slots.pop() if slots else 0, data, len(piece) + 2, changes)

    def _send(self, slot: int, data: bytes, replies: int, changes: bool) -> None:
        request = Request(slot, data, lambda reply: self._told(reply, request.earlier), replies=replies, writes=changes)
        if self._watch is not None:
            self._watch.send(request)
        else:
            self._executor.outgoing.append(request)

    def _put_together(self, declared: Sequence[Command | None]) -> list[bytes]:
        """The encoded commands for the nodes; what each is answered is in its place in `_replies` later."""
        executor, session = self._executor, self._session
        run = executor.tables.of_user(session.user).in_transaction
        executor.piece.clear()
        session.runs_transaction = True
        try:
            for command, args in zip(declared, self._commands, strict=True):
                if command is not None and not goes_to_nodes(command):
                    self._replies.append(None)
                    continue
                try:
                    reply = run[args[0]](session, args)
                    assert isinstance(reply, NodeReply)
                    self._replies.append(reply)
                except Exception as failure:
                    self._replies.append(executor.failure_reply(args, failure))
        finally:
            session.runs_transaction = False
        return executor.piece.copy()

    def _run_here(self, args: list[bytes]) -> bytes:
        executor, session = self._executor, self._session
        session.runs_transaction = True
        try:
            reply = executor.tables.of_user(session.user).in_transaction[args[0]](session, args)
        except Exception as failure:
            return executor.failure_reply(args, failure)
        finally:
            session.runs_transaction = False
        if isinstance(reply, Promise):
            if reply.reply is None:
                raise AssertionError(f"{args[0]!r} waits inside a transaction")
            return reply.reply
        return reply

    def _told(self, reply: bytes, earlier: Sequence[bytes]) -> None:
        waiting = [promise for promise in self._replies if isinstance(promise, NodeReply)]
        if reply in _NULLS or reply[:1] == b"-":
            for promise in waiting:
                Promise.resolve(promise, reply if reply[:1] == b"-" else _NOT_EXECUTED)
            self._end(None if reply in _NULLS else _why(reply, earlier))
            return
        for promise, part in zip(waiting, parts_of(reply), strict=True):
            promise.resolve(part)
        self._end([self._final(found, args) for found, args in self._pairs()])

    def _pairs(self) -> list[tuple[bytes | NodeReply | None, list[bytes]]]:
        return list(zip(self._replies, self._commands, strict=True))

    def _final(self, found: bytes | NodeReply | None, args: list[bytes]) -> bytes:
        if found is None:
            return self._run_here(args)
        return found if isinstance(found, bytes) else found.reply or b""

    def _end(self, outcome: list[bytes] | CommandError | None) -> None:
        if self._watch is not None:
            self._watch.close()
        self._done(outcome)


def _why(reply: bytes, earlier: Sequence[bytes]) -> CommandError:
    """The error of an EXEC; of one that was refused, the node's reason for refusing a command of it."""
    if reply.startswith(b"-EXECABORT"):
        for queued in earlier:
            if queued[:1] == b"-":
                return CommandError(
                    f"EXECABORT Transaction discarded because of: {text_of(queued).removeprefix('ERR ')}"
                )
    return CommandError(text_of(reply))


def text_of(error: bytes) -> str:
    """What an encoded error says."""
    return error[1:-2].decode("utf-8", "surrogateescape")
