"""Executor two: the loop over one chunk of a client's input, all of whose requests go to the cluster at once.

Owns: a batch, from commands to the promise of all replies in order. Must not know: nodes, links, redirections (the
client does), where a command goes (`routes`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, cast

from keystead.cluster.request import Request
from keystead.engine.clock import Clock
from keystead.errors import CommandError
from keystead.execution.cluster.catalogue import WAYS
from keystead.execution.cluster.in_one_request import change_if, transact
from keystead.execution.cluster.merging import Merge, failure_of
from keystead.execution.cluster.promises import Joined, NodeReply
from keystead.execution.cluster.routes import NO_PRIMARY, Routes
from keystead.execution.cluster.transactions import Outcome, Watch
from keystead.execution.executor import CallLater, Executor
from keystead.execution.promise import Promise
from keystead.execution.tables import Runners

if TYPE_CHECKING:
    from keystead.cluster.client import ClusterClient
    from keystead.commands.table import Run
    from keystead.config.settings import Settings
    from keystead.engine.bindings import Database
    from keystead.execution.access import Access
    from keystead.execution.cluster.in_one_request import Decide
    from keystead.execution.session import Session


MOST_REPLY_BYTES: Final = 1 << 20
"""What the replies of a batch may amount to before the next batch of that client is made smaller."""


class OnlyDatabase:
    """The database of a cluster, which has no others: all that is asked of it here is its number."""

    number = 0


def _first_promise(batch: Sequence[bytes | Promise]) -> int:
    """Its place; behind all when there is none."""
    for place, reply in enumerate(batch):
        if isinstance(reply, Promise):
            return place
    return len(batch)


class ClusterExecutor(Executor):
    """Runs the commands of every client on one cluster."""

    def __init__(
        self,
        client: ClusterClient,
        settings: Settings,
        *,
        call_later: CallLater,
        access: Access | None = None,
        stop: Callable[[], None] = lambda: None,
        on_settings: Callable[[Settings], None] = lambda _: None,
    ) -> None:
        """*access*: the users, who are the front door's own; the nodes know only the client. *stop*, *on_settings*:
        as for the local one."""
        self.client = client
        self.outgoing: list[Request] = []
        """What runners have made since the last time all was sent."""
        self.piece: list[bytes] = []
        """What runners have made for the transaction that is being put together."""
        self.then: Callable[[], None] | None = None
        """What is to begin when all that is going out now is answered. Whoever sets it has returned a promise that is
        no NodeReply, which ends the batch."""
        self.watches: dict[int, Watch] = {}
        """By the id of the session."""
        self._most_at_once: dict[int, int] = {}
        """How many commands of a client whose replies are long go out at once; by the id of the session."""
        self._send = client.send
        self._only_database = cast("Database", OnlyDatabase())
        routes = Routes(self, WAYS)
        super().__init__(
            Clock(),
            settings,
            Runners(routes.normal, routes.in_transaction, routes.queueing),
            call_later=call_later,
            access=access,
            stop=stop,
            on_settings=on_settings,
        )
        self._begin()

    @property
    def first_database(self) -> Database:
        return self._only_database

    # --- running -----------------------------------------------------------------------------------------------------

    def run(self, session: Session, commands: Iterator[list[bytes]], replies: list[bytes]) -> bytes | Promise | None:
        session.last_active_ms = self.clock.refresh()
        most = self._most_at_once.get(session.id) if self._most_at_once else None
        batch = self._take(session, commands if most is None else islice(commands, most))
        self.post(session, batch[:-1])
        waiting = _first_promise(batch)
        replies += cast("list[bytes]", batch[:waiting])
        if waiting == len(batch):
            return replies[-1] if most is not None and batch else None
        is_single = waiting == len(batch) - 1 and most is None
        promise = cast("Promise", batch[-1]) if is_single else self._joined(session, batch[waiting:])
        session.wait_for(promise)
        return promise

    def _take(self, session: Session, commands: Iterator[list[bytes]]) -> list[bytes | Promise]:
        """Run commands up to one that the rest has to wait for: their replies, or promises of them. What goes to nodes
        is not sent yet."""
        batch: list[bytes | Promise] = []
        append = batch.append
        args: list[bytes] | None = None
        while True:
            try:
                for args in commands:
                    reply = session.table[args[0]](session, args)
                    append(reply)
                    if reply.__class__ is not NodeReply and reply.__class__ is not bytes:
                        break  # a pause, a login, a WATCH
                break
            except Exception as failure:
                append(self.failure_reply(args or [b""], failure))
        self.statistics.commands_processed += len(batch)
        if args is not None:
            session.last_command = args
        return batch

    def _joined(self, session: Session, batch: Sequence[bytes | Promise]) -> Joined:
        joined = Joined(batch)
        joined.add_done(lambda _: self._follow_length(session, len(batch), len(joined.reply or b"")))
        return joined

    def _follow_length(self, session: Session, commands: int, reply_bytes: int) -> None:
        """Replies to a batch are all in memory at once, so a batch of long ones is the last of that size."""
        if reply_bytes > MOST_REPLY_BYTES:
            if session.id in self.sessions:
                self._most_at_once[session.id] = max(commands * MOST_REPLY_BYTES // reply_bytes, 1)
        elif self._most_at_once and reply_bytes < MOST_REPLY_BYTES // 4:
            self._most_at_once.pop(session.id, None)

    def close_session(self, session: Session) -> None:
        super().close_session(session)
        self._most_at_once.pop(session.id, None)

    def post(self, session: Session, before: Sequence[bytes | Promise] = ()) -> None:
        """Send what runners have made. What is to begin then begins when all *before* is answered."""
        outgoing = self.outgoing
        if outgoing:
            requests = outgoing.copy()
            outgoing.clear()
            self._send(requests, session.protocol)
        then, self.then = self.then, None
        if then is None:
            return
        if any(isinstance(reply, Promise) and not reply.is_resolved for reply in before):
            Joined(before).add_done(lambda _: then())
        else:
            then()

    def execute(self, session: Session, args: list[bytes]) -> bytes | Promise:
        session.last_active_ms = self.clock.refresh()
        session.last_command = args
        self.statistics.commands_processed += 1
        reply = self._execute(session.table[args[0]], session, args)
        if isinstance(reply, Promise):
            session.wait_for(reply)
        return reply

    def _execute(self, run: Run, session: Session, args: list[bytes]) -> bytes | Promise:
        """Run it and send what it has made."""
        try:
            reply = run(session, args)
        except Exception as failure:
            reply = self.failure_reply(args, failure)
        self.post(session)
        return reply

    def run_later(self, session: Session, args: list[bytes], promise: Promise) -> None:
        self.resume(session.table[args[0]], session, args, promise)

    def resume(self, run: Run, session: Session, args: list[bytes], promise: Promise) -> None:
        """Run what has waited, and resolve its promise by the reply."""
        self.clock.refresh()
        reply = self._execute(run, session, args)
        if isinstance(reply, Promise):
            reply.add_done(lambda done: promise.resolve(done.reply or b""))
        else:
            promise.resolve(reply)

    # --- for runners -------------------------------------------------------------------------------------------------

    def slot_of_each_primary(self) -> list[int]:
        """One slot of each, the lowest: a request for it finds the node also after a failover."""
        slots = [node.slots[0][0] for node in self.client.topology.primaries]
        if not slots:
            raise CommandError(NO_PRIMARY)
        return slots

    def gather(self, parts: Sequence[tuple[int | str, bytes]], merge: Merge, *, writes: bool = False) -> NodeReply:
        """One reply made of those to *parts*: (where to, what) each."""
        whole = NodeReply(self.statistics)
        replies = [b""] * len(parts)
        missing = len(parts)

        def told(index: int, reply: bytes) -> None:
            nonlocal missing
            replies[index] = reply
            missing -= 1
            if not missing:
                whole.resolve(failure_of(replies, writes=writes) or merge(replies))

        self.outgoing += [
            Request(target, data, partial(told, index), writes=writes) for index, (target, data) in enumerate(parts)
        ]
        return whole

    # --- transactions ------------------------------------------------------------------------------------------------

    def forget_watches(self, session: Session) -> None:
        watch = self.watches.pop(session.id, None)
        if watch is not None:
            watch.close()

    def transact(self, session: Session, commands: list[list[bytes]], done: Callable[[Outcome], None]) -> None:
        """Execute *commands*, whose keys are in one slot, as one transaction. *done* gets the encoded replies, one a
        command, or why nothing was done; an outcome may be unknown, too."""
        transact(self, session, commands, done)

    def change_if(self, session: Session, keys: list[bytes], decide: Decide, done: Callable[[Outcome], None]) -> None:
        """Change what is in one slot, if *decide* says so, in one step with what it decides by: it is given the values
        of *keys* (None where there is none), and returns commands, or an error in their place. Called again when a key
        is changed by others meanwhile. *done* as with `transact`."""
        change_if(self, session, keys, decide, done)

    def send(self, requests: Sequence[Request], protocol: int) -> None:
        """Send what belongs to no batch."""
        self._send(requests, protocol)
