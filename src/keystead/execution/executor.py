"""What is common to all clients, whoever runs their commands: the base of both executors.

Owns: who is connected, the tables, users, statistics, slow log, monitors, pauses, settings; replies that come
later or tell of failures. Must not know: where the data is (`local`: this machine's engine; `cluster`), sockets.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
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
from keystead.execution.latency_spikes import LatencySpikes
from keystead.execution.monitors import Monitors
from keystead.execution.operation_log import OperationLog
from keystead.execution.pauses import Pauses
from keystead.execution.promise import Promise
from keystead.execution.session import Peer, Session
from keystead.execution.slow_log import SlowLog
from keystead.execution.statistics import Statistics
from keystead.execution.tables import Runners, Tables

if TYPE_CHECKING:
    from keystead.config.settings import Settings
    from keystead.engine.bindings import Database
    from keystead.engine.clock import Clock
    from keystead.execution.permissions import Denial
    from keystead.execution.users import User

log = logging.getLogger("keystead.execution")

ASK_AGAIN_S = 0.005


class Timer(Protocol):
    """What `call_later` gives back."""

    def cancel(self) -> None:
        """Do not call after all."""


Start: TypeAlias = Callable[[Callable[[bytes | CommandError], None]], None]
"""Begins what ends with the call of its argument."""

CallLater: TypeAlias = Callable[[float, Callable[[], None]], Timer]
"""(seconds, callback): an event loop's `call_later`."""


class Executor(ABC):
    """Runs the commands of every client; where, its subclasses know."""

    def __init__(
        self,
        clock: Clock,
        settings: Settings,
        runners: Runners | None,
        *,
        call_later: CallLater,
        access: Access | None,
        stop: Callable[[], None],
        on_settings: Callable[[Settings], None],
    ) -> None:
        """*clock*: by which clients' ages are told. *runners*: how commands run; without it their handlers do. The
        rest as subclasses say."""
        self.clock = clock
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
        self.tables = Tables(REGISTRY, runners)
        self.slow_log = SlowLog(settings.slowlog_slower_than_us, settings.slowlog_max_entries)
        self.latency = LatencySpikes()
        self.call_times = AllCallTimes()
        self.operations = OperationLog()
        self.monitors = Monitors(self.tables)
        self.pauses = Pauses(self)
        self.sessions: dict[int, Session] = {}
        self._last_session_id = 0
        self._deleting: Session | None = None

    def _begin(self) -> None:
        """What holds from the start, once the subclass is made."""
        self._each_second()
        self._put_settings()

    @property
    @abstractmethod
    def first_database(self) -> Database:
        """What a new client's commands work on. In a cluster it has its number, 0, and nothing else."""

    # --- running -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def run(self, session: Session, commands: Iterator[list[bytes]], replies: list[bytes]) -> bytes | Promise | None:
        """Execute *commands* in order and append their encoded replies.

        Returns None when there are no more commands. Else it stopped early: on a Promise (which is not among
        *replies*; the rest may run when it is resolved) or after a large reply (returned, and the last among
        *replies*). The caller goes on by calling again with the same iterator, unless `session.closing` is set. After
        every call, and when a promise is resolved, it must look at `session.must_wait`: when set, the replies wait
        until the open turn is durable.

        Raises DiskFailure: nothing may be acknowledged any more.
        """

    @abstractmethod
    def execute(self, session: Session, args: list[bytes]) -> bytes | Promise:
        """Execute one command, as `run` does many: its reply, or the promise that the session now waits for.

        DiskFailure. `session.must_wait` is to be looked at when the reply is there.
        """

    @abstractmethod
    def run_later(self, session: Session, args: list[bytes], promise: Promise) -> None:
        """Execute a postponed command in the client's present state, and resolve its promise by the reply."""

    @abstractmethod
    def forget_watches(self, session: Session) -> None:
        """UNWATCH."""

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
            return self._refusal(failure)
        if isinstance(failure, KeysteadError):
            raise failure
        log.error("command %r failed", args[0][:64], exc_info=failure)
        return "ERR internal error"

    def _refusal(self, failure: WriteRefused) -> str:
        """The error for a write that is refused."""
        return f"MISCONF {failure}"

    def command_of(self, args: list[bytes]) -> Command | None:
        """The declaration that *args* call for; None when there is none."""
        return called_command(args)

    def flags_of(self, args: list[bytes]) -> frozenset[str]:
        """The flags of the command that *args* call for."""
        command = called_command(args)
        return command.flags if command else frozenset()

    # --- what holds for all -------------------------------------------------------------------------------------------

    def reset_statistics(self) -> None:
        """CONFIG RESETSTAT."""
        self.statistics.reset()
        self.call_times.reset()

    def _each_second(self) -> None:
        self.statistics.sample_second()
        self.call_later(1.0, self._each_second)

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
