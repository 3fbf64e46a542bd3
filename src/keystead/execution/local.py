"""Executor one: commands run here, on this machine's engine.

`LocalExecutor.run` is the loop over one chunk of a connection's input. Synchronous; must not know sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from keystead.errors import CommandError, WriteRefused
from keystead.execution.access import Access
from keystead.execution.executor import CallLater, Executor
from keystead.execution.first_answers import FirstAnswers
from keystead.execution.forgetting import Forgotten, forget_for
from keystead.execution.historian import Historian, InPlace
from keystead.execution.memory import MemoryFacts, memory_facts
from keystead.execution.promise import Promise
from keystead.execution.refusals import refusing, refusing_all
from keystead.execution.session import Peer, Session
from keystead.execution.undoing import restore_for, undo_for
from keystead.resp import Run

if TYPE_CHECKING:
    from keystead.config.settings import Settings
    from keystead.engine.bindings import Database
    from keystead.engine.engine import Engine
    from keystead.engine.history.questions import At
    from keystead.engine.undone import Conflicts
    from keystead.execution.undoing import Done, Explain

LARGE_REPLY_BYTES = 65536
"""After a reply longer than this the loop returns, so that the connection can apply its limits between two commands."""


class LocalExecutor(Executor):
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
        super().__init__(
            engine.clock,
            settings,
            None,
            call_later=call_later,
            access=access,
            stop=stop,
            on_settings=on_settings,
        )
        self.engine = engine
        self.first_answers = FirstAnswers(engine)
        self.historian = historian or InPlace(engine)
        self._turn = engine.turn
        self._begin()
        self.refuse_what_grows()
        engine.on_refusal_change = self.refuse_what_grows

    @property
    def first_database(self) -> Database:
        return self.engine.databases[0]

    def open_session(self, peer: Peer) -> Session:
        """A client has connected."""
        session = super().open_session(peer)
        session.engine, session.local = self.engine, self
        return session

    # --- running -----------------------------------------------------------------------------------------------------

    def run(self, session: Session, commands: Iterator[list[bytes]], replies: list[bytes]) -> bytes | Promise | None:
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
        """Execute a run by the column runner of the client's table; False, and nothing has happened, without one."""
        by_columns = session.table.by_columns.get(commands.name)
        if by_columns is None or commands.begun:
            return False
        reply = by_columns(session, *commands.columns)
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

    def forget_watches(self, session: Session) -> None:
        for database, key in session.watched:
            database.keyspace.unwatch(key, session)
        session.watched.clear()
        session.dirty = False

    def reset_statistics(self) -> None:
        super().reset_statistics()
        self.statistics.expired_before = self.engine.expired_keys

    def memory(self) -> MemoryFacts:
        """What the data and the clients take now."""
        return memory_facts(self.engine, self.sessions.values(), self.statistics)

    def _refusal(self, failure: WriteRefused) -> str:
        return self.engine.refusal or super()._refusal(failure)

    def _each_second(self) -> None:
        super()._each_second()
        self.statistics.peak_used_bytes = max(self.statistics.peak_used_bytes, self.engine.used_bytes())
