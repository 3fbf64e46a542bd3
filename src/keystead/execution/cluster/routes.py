"""Runners made from declarations: where each command goes, and what is checked before.

A runner makes requests and puts them where the executor sends them from, all those of a batch at once; it returns the
promise of the reply. Everything that a declaration decides is decided here, when the tables are filled, not when a
command runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from hiredis import pack_command

from keystead.cluster.request import Request
from keystead.cluster.slots import slot_of
from keystead.commands.key_positions import positions
from keystead.commands.placement import Nowhere, refusal
from keystead.commands.table import runner
from keystead.errors import CommandError
from keystead.execution.cluster.merging import in_places, merge_of
from keystead.execution.cluster.promises import NodeReply
from keystead.execution.cluster.ways import WAYS
from keystead.execution.promise import Promise
from keystead.execution.tables import queueing

if TYPE_CHECKING:
    from keystead.commands.declaration import Command
    from keystead.commands.table import Run
    from keystead.execution.cluster.executor import ClusterExecutor
    from keystead.execution.cluster.ways import Way
    from keystead.execution.session import Session

CROSSSLOT: Final = (
    "CROSSSLOT Keys in request don't hash to the same slot. What must happen in one step needs keys with the same "
    "{tag} in their names."
)
NOT_IN_TRANSACTION: Final = (
    "CROSSSLOT '{}' asks every node of the cluster, so it cannot be part of a transaction, which is of one slot."
)
NO_PRIMARY: Final = "CLUSTERDOWN not executed: no node of the cluster is known to serve a slot"


def packed(args: Sequence[bytes]) -> bytes:
    """A command as it goes to a node."""
    data: bytes = pack_command(tuple(args))  # type: ignore[arg-type]  # its stub means a tuple of one
    return data


def writes(command: Command) -> bool:
    """Whether what becomes of it must be certain before it is tried again."""
    return "write" in command.flags or "may_replicate" in command.flags


def slots_in(command: Command, args: list[bytes]) -> set[int]:
    """The slots of the keys of a call."""
    return {slot_of(args[at]) for at in positions(command.key_specs, args)}


class Routes:
    """Makes the runners of one executor."""

    def __init__(self, executor: ClusterExecutor, ways: Mapping[str, Way]) -> None:
        self._executor = executor
        self._ways = ways

    # --- outside of a transaction ------------------------------------------------------------------------------------

    def normal(self, command: Command) -> Run:
        """The runner of a client's command."""
        place = command.place
        if isinstance(place, Nowhere):
            return _refusing(command, place)
        if place == "here":
            run = runner(command)
            return self._waiting(run) if _changes_replies(command) else run
        if place == "own":
            way = self._ways[command.name]
            run = way.make(self._executor, command)
            return self._waiting(run) if way.waits else run
        if place == "primaries":
            return self._to_every_primary(command)
        return self._split(command) if place == "slots" else self._to_one_slot(command)

    def _waiting(self, run: Run) -> Run:
        """Begins once everything before it in its batch is answered. Whoever wants no replies sees no order in them."""
        executor = self._executor

        def waits(session: Session, args: list[bytes]) -> bytes | Promise:
            if not executor.outgoing or session.reply_mode != "on":
                return run(session, args)
            promise = Promise()
            executor.then = lambda: executor.resume(run, session, args, promise)
            return promise

        return waits

    def _to_one_slot(self, command: Command) -> Run:
        spec = command.key_specs[0]
        if len(command.key_specs) > 1 or spec.last or spec.is_movable:
            return self._to_slot_of_all(command)
        executor = self._executor
        at, changes, statistics, post = spec.begin, writes(command), executor.statistics, executor.outgoing.append
        accepts, arity_error = command.accepts, command.arity_error
        if command.arity > 0:
            count = command.arity

            def run_exactly(session: Session, args: list[bytes]) -> Promise:
                if len(args) != count:
                    raise CommandError(arity_error)
                reply = NodeReply(statistics)
                post(Request(slot_of(args[at]), packed(args), reply.resolve, writes=changes))
                return reply

            return run_exactly

        def run(session: Session, args: list[bytes]) -> Promise:
            if not accepts(len(args)):
                raise CommandError(arity_error)
            reply = NodeReply(statistics)
            post(Request(slot_of(args[at]), packed(args), reply.resolve, writes=changes))
            return reply

        return run

    def _to_slot_of_all(self, command: Command) -> Run:
        executor, changes = self._executor, writes(command)

        def run(session: Session, args: list[bytes]) -> Promise:
            if not command.accepts(len(args)):
                raise CommandError(command.arity_error)
            reply = NodeReply(executor.statistics)
            executor.outgoing.append(Request(one_slot(command, args), packed(args), reply.resolve, writes=changes))
            return reply

        return run

    def _split(self, command: Command) -> Run:
        """A part for each slot. Nodes refuse keys of several slots in one command, even of slots of their own."""
        executor, changes = self._executor, writes(command)
        (spec,) = command.key_specs
        begin, step = spec.begin, spec.step
        merge = None if "response_policy" not in " ".join(command.hints) else merge_of(command)

        def run(session: Session, args: list[bytes]) -> Promise:
            if not command.accepts(len(args)) or (len(args) - begin) % step:
                raise CommandError(command.arity_error)
            places: dict[int, list[int]] = {}
            for place, key in enumerate(args[begin::step]):
                places.setdefault(slot_of(key), []).append(place)
            if len(places) == 1:
                reply = NodeReply(executor.statistics)
                (slot,) = places
                executor.outgoing.append(Request(slot, packed(args), reply.resolve, writes=changes))
                return reply
            parts = [(slot, packed(_part(args, begin, step, wanted))) for slot, wanted in places.items()]
            return executor.gather(parts, merge or in_places(list(places.values())), writes=changes)

        return run

    def _to_every_primary(self, command: Command) -> Run:
        executor, changes, merge = self._executor, writes(command), merge_of(command)

        def run(session: Session, args: list[bytes]) -> Promise:
            if not command.accepts(len(args)):
                raise CommandError(command.arity_error)
            data = packed(args)
            return executor.gather([(slot, data) for slot in executor.slot_of_each_primary()], merge, writes=changes)

        return run

    # --- in a transaction --------------------------------------------------------------------------------------------

    def queueing(self, command: Command) -> Run:
        """The runner between MULTI and EXEC: what cannot be in the transaction is refused at once."""
        place = command.place
        if isinstance(place, Nowhere):
            return _refusing(command, place)
        queue = queueing(command)
        if place in ("slot", "slots"):

            def run(session: Session, args: list[bytes]) -> bytes | Promise:
                if command.accepts(len(args)):
                    one_slot(command, args)
                return queue(session, args)

            return run
        return queue if may_be_in_transaction(command) else _refusing_transaction(command)

    def in_transaction(self, command: Command) -> Run:
        """The runner within EXEC: what the nodes execute becomes part of its piece."""
        if not goes_to_nodes(command):
            return self.normal(command)
        executor = self._executor

        def run(session: Session, args: list[bytes]) -> Promise:
            reply = NodeReply(executor.statistics)
            executor.piece.append(packed(args))
            return reply

        return run


def goes_to_nodes(command: Command) -> bool:
    """Whether in a transaction it is the nodes that execute it."""
    return command.place in ("slot", "slots")


def may_be_in_transaction(command: Command) -> bool:
    """Whether it may stand between MULTI and EXEC."""
    if command.place == "own":
        return WAYS[command.name].in_transaction
    return command.place in ("here", "slot", "slots")


def one_slot(command: Command, args: list[bytes]) -> int:
    """The slot of all keys; any, when there is none, so that a node says what is wrong. CROSSSLOT."""
    slots = slots_in(command, args) or {0}
    if len(slots) > 1:
        raise CommandError(CROSSSLOT)
    return slots.pop()


def _part(args: list[bytes], begin: int, step: int, places: list[int]) -> list[bytes]:
    part = args[:begin]
    for place in places:
        part += args[begin + place * step : begin + (place + 1) * step]
    return part


def _changes_replies(command: Command) -> bool:
    """HELLO, RESET, AUTH, QUIT: what comes before is to be answered as if they had not been said."""
    return "no_auth" in command.flags


def _refusing(command: Command, nowhere: Nowhere) -> Run:
    error = refusal(command.name, nowhere)

    def refuse(session: Session, args: list[bytes]) -> Promise:
        raise CommandError(error if command.accepts(len(args)) else command.arity_error)

    return refuse


def _refusing_transaction(command: Command) -> Run:
    error = NOT_IN_TRANSACTION.format(command.name.replace("|", " ").upper())

    def refuse(session: Session, args: list[bytes]) -> Promise:
        raise CommandError(error if command.accepts(len(args)) else command.arity_error)

    return refuse
