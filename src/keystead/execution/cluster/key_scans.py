"""Commands over all keys of a cluster whose way is their own: SCAN and RANDOMKEY.

SCAN goes through the primaries one after the other, by their lowest slots. Its cursor says everything, so it may be
used at any front door and after any restart of one:

    cursor = node's cursor · 2^26 + place among the primaries · 2^16 + tag of the node

A node's cursor means nothing to another one, its replica neither (each hashes by a seed of its own). The tag tells when
the shard has another primary than the cursor was made by: then that shard is begun anew, and only that one. So a key
that is there all the time is told at least once, failovers or not, as SCAN promises; keys of a slot that is being
moved to another node meanwhile may be told twice or not at all, as to every client of a cluster. Cursors are below 2^63
while the nodes' are below 2^37.
"""

from __future__ import annotations

import random
from binascii import crc_hqx
from typing import TYPE_CHECKING, Final, NamedTuple

from keystead.cluster.request import Request
from keystead.commands.numbers import cursor as read_cursor
from keystead.commands.numbers import integer_or_none
from keystead.errors import CommandError
from keystead.execution.cluster.merging import concatenated
from keystead.execution.cluster.promises import NodeReply
from keystead.execution.cluster.routes import NO_PRIMARY, packed
from keystead.execution.cluster.ways import way
from keystead.resp.reading import parts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keystead.cluster.topology import Node
    from keystead.commands.declaration import Command
    from keystead.commands.table import Run
    from keystead.execution.cluster.executor import ClusterExecutor
    from keystead.execution.executor import Timer
    from keystead.execution.session import Session

LOOK_AGAIN_S: Final = 0.2
"""A node that has not answered for so long may have been replaced; looked at as often again."""
_TAG_BITS: Final = 16
_PLACE_BITS: Final = 10
_SHARDS: Final = 1 << _PLACE_BITS


class Position(NamedTuple):
    """Where a SCAN is."""

    place: int
    """Of the shard among the primaries."""
    tag: int
    """Of the node that the cursor is for."""
    cursor: int
    """The node's; 0 at the beginning of a shard."""

    def encoded(self) -> int:
        return ((self.cursor << _PLACE_BITS | self.place) << _TAG_BITS) | self.tag


def tag_of(node_id: str) -> int:
    """Sixteen bits of a node's identity; never 0, so that no cursor but the first is 0."""
    return crc_hqx(node_id.encode(), 0) or 1


def position_in(cursor: int) -> Position:
    """What a cursor says."""
    place = cursor >> _TAG_BITS
    return Position(place & _SHARDS - 1, cursor & (1 << _TAG_BITS) - 1, place >> _PLACE_BITS)


def found_again(cursor: int, primaries: Sequence[Node]) -> Position:
    """Where to go on among the primaries of now. The shard begins anew when its primary is another one."""
    if not cursor:
        return Position(0, tag_of(primaries[0].id), 0)
    position = position_in(cursor)
    tags = [tag_of(node.id) for node in primaries]
    place = min(position.place, len(primaries) - 1)
    if tags[place] == position.tag:
        return position._replace(place=place)
    if position.tag in tags:  # shards were added or removed before it
        return position._replace(place=tags.index(position.tag))
    return Position(place, tags[place], 0)


def following(position: Position, node_cursor: int, primaries: Sequence[Node]) -> int:
    """The cursor for the next call, once the node has answered with its own."""
    if node_cursor:
        return position._replace(cursor=node_cursor).encoded()
    place = position.place + 1
    return Position(place, tag_of(primaries[place].id), 0).encoded() if place < len(primaries) else 0


@way("SCAN", "the primaries, one after the other; the cursor says which")
def scan(executor: ClusterExecutor, command: Command) -> Run:
    def run(session: Session, args: list[bytes]) -> NodeReply:
        if not command.accepts(len(args)):
            raise CommandError(command.arity_error)
        cursor = read_cursor(args[1])
        if not executor.client.topology.primaries:
            raise CommandError(NO_PRIMARY)
        call = _Scan(executor, session, args)
        executor.outgoing.append(call.ask(cursor))
        return call.reply

    return run


class _Scan:
    """One call. A shard that is at its end and had few keys is followed by the next one in the same call, so that a
    small keyspace takes as many calls as in a single Redis."""

    def __init__(self, executor: ClusterExecutor, session: Session, args: list[bytes]) -> None:
        self.reply = NodeReply(executor.statistics)
        self._executor = executor
        self._protocol = session.protocol
        self._args = args
        self._wanted = _count_in(args)
        self._cursor = 0
        self._position = Position(0, 0, 0)
        self._keys: list[bytes] = []
        """Arrays as the nodes have sent them."""
        self._found = 0
        self._request: Request
        self._timer: Timer

    def ask(self, cursor: int) -> Request:
        """The request to the node that the cursor leads to."""
        primaries = self._executor.client.topology.primaries
        self._cursor = cursor
        self._position = found_again(cursor, primaries)
        data = packed([self._args[0], b"%d" % self._position.cursor, *self._args[2:]])
        self._request = Request(primaries[self._position.place].id, data, self._told)
        self._timer = self._executor.call_later(LOOK_AGAIN_S, self._look_again)
        return self._request

    def _look_again(self) -> None:
        """The node is slow to answer: perhaps it is gone, and its shard has another primary by now."""
        primaries = self._executor.client.topology.primaries
        if primaries and primaries[found_again(self._cursor, primaries).place].id != self._request.target:
            self._request.cancel()
            self._executor.send([self.ask(self._cursor)], self._protocol)
        else:
            self._timer = self._executor.call_later(LOOK_AGAIN_S, self._look_again)

    def _told(self, reply: bytes) -> None:
        self._timer.cancel()
        primaries = self._executor.client.topology.primaries
        if reply[:1] == b"-" or not primaries:
            self.reply.resolve(reply)
            return
        node_cursor, keys = parts_of(reply)
        self._keys.append(keys)
        self._found += int(keys[1 : keys.index(b"\r\n")])
        at_node = int(bulk_text(node_cursor))
        cursor = following(self._position, at_node, primaries)
        if cursor and not at_node and self._found < self._wanted:
            self._executor.send([self.ask(cursor)], self._protocol)
            return
        text = b"%d" % cursor
        self.reply.resolve(b"*2\r\n$%d\r\n%b\r\n%b" % (len(text), text, concatenated(self._keys)))


def _count_in(args: list[bytes]) -> int:
    """What COUNT says; its default when it says nothing sensible, for a node will say so."""
    count = 10
    for name, value in zip(args[2::2], args[3::2], strict=False):
        if name.upper() == b"COUNT":
            count = integer_or_none(value) or 10
    return count


def bulk_text(bulk: bytes) -> bytes:
    """What an encoded bulk string says."""
    return bulk[bulk.index(b"\r\n") + 2 : -2]


@way("RANDOMKEY", "every primary; one of their keys, the likelier the more keys it has")
def randomkey(executor: ClusterExecutor, command: Command) -> Run:
    def run(session: Session, args: list[bytes]) -> NodeReply:
        if not command.accepts(len(args)):
            raise CommandError(command.arity_error)
        slots = executor.slot_of_each_primary()
        parts = [(slot, packed([b"RANDOMKEY"])) for slot in slots] + [(slot, packed([b"DBSIZE"])) for slot in slots]
        null = session.null

        def chosen(replies: Sequence[bytes]) -> bytes:
            keys, counts = replies[: len(slots)], [int(reply[1:-2]) for reply in replies[len(slots) :]]
            there = [(key, count) for key, count in zip(keys, counts, strict=True) if key != null]
            if not there:
                return null
            return random.choices([key for key, _ in there], [max(count, 1) for _, count in there])[0]

        return executor.gather(parts, chosen)

    return run
