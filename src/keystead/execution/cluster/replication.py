"""WAIT in front of a cluster: how many replicas have what was written until now.

The client's writes went over connections that it shares with others, so the nodes' own WAIT, which speaks of one
connection, cannot say it. While writes are acknowledged only when a replica has them, that is one, without asking. For
more each primary is asked how far it has written (`master_repl_offset`), and how far each
of its replicas has got, until enough of them are there. So WAIT speaks of everybody's writes up to now, which is more
than Redis promises, and of all shards: the number is that of the shard that has the fewest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keystead import resp
from keystead.errors import CommandError
from keystead.execution.cluster.information import Said, ask_primaries
from keystead.execution.cluster.routes import NO_PRIMARY
from keystead.execution.cluster.ways import way
from keystead.execution.promise import Promise

if TYPE_CHECKING:
    from keystead.commands.declaration import Command
    from keystead.commands.table import Run
    from keystead.execution.cluster.executor import ClusterExecutor
    from keystead.execution.executor import Timer
    from keystead.execution.session import Session

ASK_AGAIN_S: Final = 0.05
"""Replicas tell their primaries once a second how far they are, so asking more often would not help much."""


@way("WAIT", "every primary is asked how far its replicas are", waits=True)
def wait(executor: ClusterExecutor, command: Command) -> Run:
    def run(session: Session, args: list[bytes]) -> bytes | Promise:
        if not command.accepts(len(args)):
            raise CommandError(command.arity_error)
        (replicas, timeout_ms), _ = command.parse(args)
        if not executor.client.topology.primaries:
            raise CommandError(NO_PRIMARY)
        if replicas <= _known(executor):
            return resp.integer(_known(executor))
        return _Wait(executor, session, replicas, timeout_ms).promise

    return run


def _known(executor: ClusterExecutor) -> int:
    """How many replicas have every write of this client, or it was told that nobody knows."""
    return int(executor.settings.cluster_acknowledge == "replicated")


class _Wait:
    """One WAIT under way."""

    def __init__(self, executor: ClusterExecutor, session: Session, replicas: int, timeout_ms: int) -> None:
        self._executor = executor
        self._session = session
        self._wanted = replicas
        self._targets: dict[str, int] = {}
        self._reached = _known(executor)
        self._timers: list[Timer] = []
        self._ended = False
        self.promise = Promise(self._stop, lambda: resp.integer(self._reached))
        if timeout_ms:
            self._timers.append(executor.call_later(timeout_ms / 1000, self._end))
        ask_primaries(executor, self._look, b"replication")

    def _look(self, said: Said) -> None:
        if self._ended:
            return
        offsets = {node: int(fields.get("master_repl_offset", 0)) for node, fields in said.items()}
        if not self._targets:
            self._targets = offsets
        there = [_there(said.get(node, {}), target) for node, target in self._targets.items()]
        self._reached = max(self._reached, min(there, default=0))
        if self._reached >= self._wanted and len(said) == len(self._targets):
            self._end()
        else:
            self._timers.append(self._executor.call_later(ASK_AGAIN_S, self._ask_again))

    def _ask_again(self) -> None:
        if not self._ended:
            ask_primaries(self._executor, self._look, b"replication")
            self._executor.post(self._session)

    def _end(self) -> None:
        self._stop()
        self.promise.resolve(resp.integer(self._reached))

    def _stop(self) -> None:
        self._ended = True
        for timer in self._timers:
            timer.cancel()


def _there(fields: dict[str, str], target: int) -> int:
    """How many replicas have got as far as the target. `slave0:ip=…,port=…,state=online,offset=…,lag=0`."""
    lines = (value for name, value in fields.items() if name.startswith("slave") and name[5:].isdigit())
    states = (dict(pair.split("=", 1) for pair in line.split(",")) for line in lines)
    return sum(state.get("state") == "online" and int(state.get("offset", -1)) >= target for state in states)
