"""Executor one: commands run here, on this machine's engine.

`LocalExecutor.run` is the loop over one chunk of a connection's input. Beside it stands what is common to all clients:
who is connected, the tables, statistics, slow log, monitors, pauses. Synchronous; must not know sockets.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

from keystead import resp
from keystead.commands.catalogue import REGISTRY
from keystead.commands.clients import describe
from keystead.commands.declaration import Command, called_command
from keystead.errors import CommandError, KeysteadError, WriteRefused
from keystead.execution.access import Access
from keystead.execution.acl_log import AclLog, Context, Reason
from keystead.execution.call_times import AllCallTimes
from keystead.execution.first_answers import FirstAnswers
from keystead.execution.forgetting import Forgotten, forget_for
from keystead.execution.historian import Historian, InPlace
from keystead.execution.latency_spikes import LatencySpikes
from keystead.execution.memory import MemoryFacts, memory_facts
from keystead.execution.monitors import Monitors
from keystead.execution.operation_log import OperationLog
from keystead.execution.pauses import Pauses
from keystead.execution.promise import Promise
from keystead.execution.refusals import refusing, refusing_all
from keystead.execution.session import Peer, Session
from keystead.execution.slow_log import SlowLog
from keystead.execution.statistics import Statistics
from keystead.execution.tables import Tables
from keystead.execution.undoing import restore_for, undo_for
from keystead.resp import Run

if TYPE_CHECKING:
    from keystead.config.settings import Settings
    from keystead.engine.engine import Engine
    from keystead.engine.history.questions import At
    from keystead.engine.undone import Conflicts
    from keystead.execution.permissions import Denial
    from keystead.execution.undoing import Done, Explain
    from keystead.execution.users import User

log = logging.getLogger("keystead.execution")

ASK_AGAIN_S = 0.005

LARGE_REPLY_BYTES = 65536
"""After a reply longer than this the loop returns, so that the connection can apply its limits between two commands."""


class Timer(Protocol):
    """What `call_later` gives back."""

    def cancel(self) -> None:
        """Do not call after all."""


Start: TypeAlias = Callable[[Callable[[bytes | CommandError], None]], None]
"""Begins what ends with the call of its argument."""

CallLater: TypeAlias = Callable[[float, Callable[[], None]], Timer]
"""(seconds, callback): an event loop's `call_later`."""


class LocalExecutor:
    """Runs the commands of every client of one engine."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        call_later: CallLater,
        access: Access | None = None,
        historian: Historian | None = None,
        stop: Callable[[], None] = lambda: None,
        on_settings: Callable[[Settings], None] = lambda _: None,
    ) -> None:
        """*access*: the users; without it only the default one, as the settings have it. *historian*: who answers
        questions about the past; without it they are answered in place. *stop* begins the end of the process
        (SHUTDOWN). *on_settings* is told after CONFIG SET what holds now; it brings it to whatever lies outside
        execution. Both return at once."""
        self.engine = engine
        self.settings = settings
        self.started_with = settings
        self.started_at_s = time.time()
        self.call_later = call_later
        self.stop = stop
        self._on_settings = on_settings
        self.statistics = Statistics()
        self.access = access or Access(settings.requirepass)
        self.access.on_change = self._follow_user
        self.access.on_delete = self._disconnect_user
        self.acl_log = AclLog(settings.acl_log_max_entries)
        self.tables = Tables(REGISTRY)
        self.slow_log = SlowLog(settings.slowlog_slower_than_us, settings.slowlog_max_entries)
        self.latency = LatencySpikes()
        self.call_times = AllCallTimes()
        self.operations = OperationLog()
        self.monitors = Monitors(self.tables)
        self.pauses = Pauses(self)
        self.first_answers = FirstAnswers(engine)
        self.historian = historian or InPlace(engine)
        self.sessions: dict[int, Session] = {}
        self._turn = engine.turn
        self._last_session_id = 0
        self._deleting: Session | None = None
        self._counts_ops()
        self._put_settings()
        self.refuse_what_grows()
        engine.on_refusal_change = self.refuse_what_grows

    # --- clients -----------------------------------------------------------------------------------------------------

    def open_session(self, peer: Peer) -> Session:
        """A client has connected."""
        self._last_session_id += 1
        session = Session(self._last_session_id, self, peer)
        self.sessions[session.id] = session
        self.statistics.connections_received += 1
        self.statistics.peak_clients = max(self.statistics.peak_clients, len(self.sessions))
        return session

    def close_session(self, session: Session) -> None:
        """The client is gone; what it waited for is cancelled."""
        self.sessions.pop(session.id, None)
        self.monitors.remove(session)
        session.forget_watches()
        if session.waiting_for is not None:
            session.waiting_for.cancel()
            session.waiting_for = None

    # --- running -----------------------------------------------------------------------------------------------------

    def run(self, session: Session, commands: Iterator[list[bytes]], replies: list[bytes]) -> bytes | Promise | None:
        """Execute *commands* in order and append their encoded replies.

        Returns None when there are no more commands. Else it stopped early: on a Promise (which is not among
        *replies*; the rest may run when it is resolved) or after a large reply (returned, and the last among
        *replies*). The caller goes on by calling again with the same iterator, unless `session.closing` is set. After
        every call, and when a promise is resolved, it must look at `session.must_wait`: when set, the replies wait
        until the open turn is durable.

        Raises DiskFailure: nothing may be acknowledged any more.
        """
        done = len(replies)
        engine = self.engine
        now_ms = engine.clock.refresh()
        if session.author is not self._turn.author:
            self._turn.sign(session.author)
        if type(commands) is Run and self._run_at_once(session, commands, replies):
            session.last_active_ms = now_ms
            return None
        append = replies.append
        args: list[bytes] | None = None
        reply: bytes | Promise | None = None
        while True:
            # The try costs nothing until something is raised; the loop then begins again with the next command.
            try:
                for args in commands:
                    reply = session.table[args[0]](session, args)
                    append(reply)  # type: ignore[arg-type]  # a Promise is taken out again below
                    if len(reply) > LARGE_REPLY_BYTES:
                        break
                else:
                    reply = None
                break
            except Exception as failure:
                append(self.failure_reply(args or [b""], failure))
        self.statistics.commands_processed += len(replies) - done
        if args is not None:
            session.last_command = args
            session.last_active_ms = now_ms
        if isinstance(reply, Promise):
            replies.pop()
            session.wait_for(reply)
        return reply

    def execute(self, session: Session, args: list[bytes]) -> bytes | Promise:
        """Execute one command, as `run` does many: its reply, or the promise that the session now waits for.

        DiskFailure. `session.must_wait` is to be looked at when the reply is there.
        """
        now_ms = self.engine.clock.refresh()
        if session.author is not self._turn.author:
            self._turn.sign(session.author)
        try:
            reply = session.table[args[0]](session, args)
        except Exception as failure:
            reply = self.failure_reply(args, failure)
        self.statistics.commands_processed += 1
        session.last_command = args
        session.last_active_ms = now_ms
        if isinstance(reply, Promise):
            session.wait_for(reply)
        return reply

    def _run_at_once(self, session: Session, commands: Run, replies: list[bytes]) -> bool:
        """Execute a run by the batch runner of the client's table; False, and nothing has happened, without one."""
        batch = session.table.batches.get(commands.name)
        if batch is None or commands.begun:
            return False
        reply = batch(session, *commands.columns)
        if reply is None:
            return False
        replies.append(reply)
        self.statistics.commands_processed += len(commands)
        session.last_command = commands.last
        commands.take_all()
        return True

    def execute_in_transaction(self, session: Session, args: list[bytes]) -> bytes:
        """Execute one queued command for EXEC."""
        try:
            reply = self.tables.of_user(session.user).in_transaction[args[0]](session, args)
        except Exception as failure:
            return self.failure_reply(args, failure)
        if isinstance(reply, Promise):
            if reply.reply is None:
                raise AssertionError(f"{args[0]!r} waits inside a transaction")
            return reply.reply
        return reply

    def run_later(self, session: Session, args: list[bytes], promise: Promise) -> None:
        """Execute a postponed command in the client's present state, and resolve its promise by the reply."""
        self.engine.clock.refresh()
        self._turn.sign(session.author)
        try:
            reply = session.table[args[0]](session, args)
        except Exception as failure:
            reply = self.failure_reply(args, failure)
        if isinstance(reply, Promise):
            reply.add_done(lambda done: promise.resolve(done.reply or b""))
        else:
            promise.resolve(reply)

    # --- users -------------------------------------------------------------------------------------------------------

    def may(self, user: User, args: list[bytes]) -> str | None:
        """The error that the user gets for the call; None when it is allowed, or is none."""
        command = called_command(args)
        denial = user.permissions.denial(command, args) if command is not None else None
        return denial.error if denial is not None else None

    def note_denial(self, session: Session, args: list[bytes], denial: Denial) -> None:
        """For ACL LOG, INFO and the operation log."""
        self.statistics.denials[denial.reason] += 1
        command = called_command(args)
        if command is not None:
            self.operations.note_denial(session, command, args)
        self._log_denial(session, args, denial.reason, denial.object, session.user.key)

    def note_failed_login(self, session: Session, args: list[bytes], username: bytes) -> None:
        """For ACL LOG and INFO. *args*: by which the login was tried, the command first."""
        self.statistics.denials["auth"] += 1
        self._log_denial(session, args, "auth", args[0], username)

    def _log_denial(self, session: Session, args: list[bytes], reason: Reason, object_: bytes, username: bytes) -> None:
        session.last_command = args
        in_transaction = session.queued is not None or session.runs_transaction
        context: Context = "multi" if in_transaction else "toplevel"
        self.acl_log.add(reason, context, object_, username, describe(session))

    def reload_users(self) -> None:
        """Read the ACL file anew, if there is one; when it makes no sense say so, and keep the users there are."""
        file = self.access.file
        if file is None or not file.path.exists():
            return
        try:
            self.access.load()
        except CommandError as failure:
            log.error("the users stay as they were: %s", failure.text.removeprefix("ERR "))
        else:
            log.info("read the users anew from %s", file.path)

    def _follow_user(self, user: User) -> None:
        """The user was changed: what its clients may do changes under them."""
        opened = user is self.access.default_user and not self.access.requires_password
        for session in self.sessions.values():
            if session.user is user:
                session.authenticated |= opened
                self.tables.follow(session)

    def delete_users(self, session: Session, names: list[bytes], done: Callable[[bytes | CommandError], None]) -> None:
        """ACL DELUSER, by *session*: its clients are disconnected; who deletes himself still gets the reply."""
        self._deleting = session
        try:
            found = self.access.delete_users(names)
        finally:
            self._deleting = None
        self.access.keep(lambda failure: done(failure or resp.integer(found)), in_place=session.runs_transaction)

    def _disconnect_user(self, user: User) -> None:
        for session in list(self.sessions.values()):
            if session.user is user:
                session.log_out()
                if session is self._deleting:
                    session.closing = True
                else:
                    session.peer.kill()

    # --- replies that come later -------------------------------------------------------------------------------------

    def eventually(self, args: list[bytes], start: Start, cancel: Callable[[], None] | None = None) -> bytes | Promise:
        """The reply that *start*'s argument is called with: itself if that happens before *start* returns, else the
        promise of it. A CommandError in its place is raised, or becomes the error reply. *cancel* is called when the
        client is gone before."""
        promise = Promise(cancel)
        early: list[bytes | CommandError] = []
        is_early = True

        def done(outcome: bytes | CommandError) -> None:
            if is_early:
                early.append(outcome)
            elif not promise.is_resolved:
                promise.resolve(self.failure_reply(args, outcome) if isinstance(outcome, CommandError) else outcome)

        start(done)
        is_early = False
        if not early:
            return promise
        outcome = early[0]
        if isinstance(outcome, CommandError):
            raise outcome
        return outcome

    def reply_after(self, timeout_ms: int, reply: Callable[[], bytes]) -> Promise:
        """Resolved with `reply()` after *timeout_ms*; never when that is 0."""
        return self.reply_when(None, timeout_ms, reply)

    def reply_when(
        self,
        reply: Callable[[], bytes | None] | None,
        timeout_ms: int = 0,
        at_timeout: Callable[[], bytes] | None = None,
    ) -> Promise:
        """Resolved with the first `reply()` that is not None, asked for every few milliseconds; after *timeout_ms*, if
        that is not 0, with `at_timeout()`."""
        timers: dict[str, Timer] = {}

        def cancel() -> None:
            for timer in timers.values():
                timer.cancel()

        promise = Promise(cancel, at_timeout)

        def ask() -> None:
            found = reply() if reply else None
            if found is not None:
                cancel()
                promise.resolve(found)
            elif reply:
                timers["ask"] = self.call_later(ASK_AGAIN_S, ask)

        def give_up(make: Callable[[], bytes]) -> None:
            cancel()
            promise.resolve(make())

        if timeout_ms and at_timeout:
            timers["timeout"] = self.call_later(timeout_ms / 1000, partial(give_up, at_timeout))
        ask()
        return promise

    def failure_reply(self, args: list[bytes], failure: Exception) -> bytes:
        """The error reply for what a runner raised; counted. Failures that end the process are raised again."""
        text = self._failure_text(args, failure)
        self.statistics.errors[text.partition(" ")[0]] += 1
        return resp.error(text)

    def _failure_text(self, args: list[bytes], failure: Exception) -> str:
        if isinstance(failure, CommandError):
            return failure.text
        command = called_command(args)
        if isinstance(failure, ValueError) and command and command.raw and not command.accepts(len(args)):
            return command.arity_error
        if isinstance(failure, WriteRefused):
            return self.engine.refusal or f"MISCONF {failure}"
        if isinstance(failure, KeysteadError):
            raise failure
        log.error("command %r failed", args[0][:64], exc_info=failure)
        return "ERR internal error"

    def command_of(self, args: list[bytes]) -> Command | None:
        """The declaration that *args* call for; None when there is none."""
        return called_command(args)

    def flags_of(self, args: list[bytes]) -> frozenset[str]:
        """The flags of the command that *args* call for."""
        command = called_command(args)
        return command.flags if command else frozenset()

    def undo(
        self,
        session: Session,
        sequence: int,
        conflicts: Conflicts,
        explain: Explain,
        done: Done,
    ) -> None:
        """See `execution.undoing`."""
        undo_for(session, sequence, conflicts, explain, done)

    def restore(self, session: Session, key: bytes, at: At | None, explain: Explain, done: Done) -> None:
        """See `execution.undoing`."""
        restore_for(session, key, at, explain, done)

    def forget(self, session: Session, keys: list[bytes], done: Callable[[Forgotten | CommandError], None]) -> None:
        """KS.FORGET, by *session*, of keys of its database; *done* is called once they are in no file, or with why."""
        forget_for(self, session, keys, done)

    # --- what holds for all -------------------------------------------------------------------------------------------

    def refuse_what_grows(self) -> None:
        """Follow `engine.refusal`."""
        reason = self.engine.refusal
        self.tables.put_layers(
            refusal=refusing(reason, self.flags_of) if reason else None,
            queueing=refusing_all(reason) if reason and reason.startswith("OOM") else None,
        )

    def reset_statistics(self) -> None:
        """CONFIG RESETSTAT."""
        self.statistics.reset()
        self.statistics.expired_before = self.engine.expired_keys
        self.call_times.reset()

    def memory(self) -> MemoryFacts:
        """What the data and the clients take now."""
        return memory_facts(self.engine, self.sessions.values(), self.statistics)

    def _counts_ops(self) -> None:
        self.statistics.sample_second()
        self.statistics.peak_used_bytes = max(self.statistics.peak_used_bytes, self.engine.used_bytes())
        self.call_later(1.0, self._counts_ops)

    def apply(self, settings: Settings) -> None:
        """Settings changed by CONFIG SET hold from now on."""
        if settings.requirepass != self.settings.requirepass:
            self.access.set_password(settings.requirepass)
        self.settings = settings
        self._put_settings()
        self._on_settings(settings)

    def _put_settings(self) -> None:
        settings = self.settings
        self.acl_log.configure(settings.acl_log_max_entries)
        self.slow_log.configure(settings.slowlog_slower_than_us, settings.slowlog_max_entries)
        self.operations.is_on = settings.log_operations
        self.latency.threshold_ms = settings.latency_threshold_ms
        self.tables.put_layers(
            slow_log=self.slow_log.layer(),
            latency=self.latency.layer(),
            times=self.call_times.layer if settings.latency_tracking else None,
            operations=self.operations.layer if settings.log_operations else None,
        )
