"""One client's connection: bytes in, replies out, back-pressure and limits.

The way of a request: `buffer_updated` takes at most 16 KB a turn, the parser makes commands of it, the executor runs
them, and all their replies leave in one write, or wait in this connection's queue until the turn that they depend on
is durable. Replies leave in the order of their commands, through half-closed sockets too.

Knows no command. Must not know: the engine's files, when a sync is due (see turns).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from keystead import resp
from keystead.errors import DiskFailure
from keystead.resp import LEAST_RUN_BYTES, Limits, ProtocolError, QueryBufferExceeded, RequestParser, Run
from keystead.server.peers import named

if TYPE_CHECKING:
    from keystead.execution.promise import Promise
    from keystead.server.clients import Clients

log = logging.getLogger("keystead.server")

READ_BYTES = 16384
"""What one connection may have read, and so executed, in a turn of the loop."""
BATCH_COMMANDS = 64
"""Commands executed between two looks at the output buffer."""
TURN_BATCHES = 3
"""Batches of one connection executed in a turn. They take as long as Redis needs for the 16 KB that it reads, some 400
short commands; so a client beside others who pipeline without end waits no longer than it would there."""
LONG_OUTPUT_BYTES = 16384
"""Replies longer than this do not wait for the end of the turn."""
OUTPUT_PAUSE_BYTES = 1 << 20
"""While a client has so much unread, or so much waiting for the disk, nothing more is read from it or executed."""

# One buffer for all: what is read is copied out before any other socket is read.
_buffer = bytearray(READ_BYTES)
_view = memoryview(_buffer)


class Connection(asyncio.BufferedProtocol):
    """One client. Implements the `Peer` of its session."""

    __slots__ = (
        "_backlog",
        "_before_login",
        "_clients",
        "_ended",
        "_farewell",
        "_held",
        "_held_bytes",
        "_parser",
        "_promise",
        "_reading",
        "_replies",
        "_run",
        "_statistics",
        "_transport",
        "_turns",
        "_write",
        "_writing_paused",
        "_yielding",
        "addr",
        "fd",
        "is_local",
        "laddr",
        "session",
    )

    protocol = "resp"

    def __init__(self, clients: Clients, parser: RequestParser | None = None) -> None:
        self._clients = clients
        self._turns = clients.turns
        self._run = clients.executor.run
        self._statistics = clients.executor.statistics
        limits = clients.limits()
        self._parser = parser or RequestParser(limits)
        self._parser.limits = limits
        self._before_login = False
        self._backlog: deque[Iterator[list[bytes]]] | None = None  # parsed, not executed yet
        self._promise: Promise | None = None  # the reply that everything after it waits for
        self._held = 0  # how many chunks of replies wait for the disk, and their bytes: `turns` has them
        self._held_bytes = 0
        self._replies: list[bytes] = []  # of the batch being executed
        self._reading = True
        self._writing_paused = False
        self._yielding = False  # had its share of this turn
        self._ended = False  # no more input: the peer closed its side, or we are closing
        self._farewell = b""  # written last, before we close

    # --- the transport's calls ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the client, or say why not and close."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(OUTPUT_PAUSE_BYTES)
        self._write = self._transport.write
        self._name_ends()
        refusal = self._clients.refusal(self)
        if refusal is not None:
            self._statistics.connections_rejected += 1
            self._ended = True
            self._write(refusal)
            self._close()
            return
        self._clients.connections.add(self)
        self.session = self._clients.executor.open_session(self)
        self._choose_limits()

    def _name_ends(self) -> None:
        self.is_local, self.addr = named(self._transport.get_extra_info("peername"))
        _, self.laddr = named(self._transport.get_extra_info("sockname"))
        if not self.addr:
            self.addr = self.laddr  # the client's end of a Unix socket has no name
        self.fd: int = self._transport.get_extra_info("socket").fileno()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the loop's guess; ours is fixed
        """Where the loop reads into."""
        return _view

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes were read: parse them, execute, reply."""
        if self._ended:
            return
        self._statistics.net_input_bytes += nbytes
        if nbytes == READ_BYTES:
            self._yield_turn()
        data = bytes(_view[:nbytes])
        try:
            commands = (nbytes > LEAST_RUN_BYTES and self._parser.run_of(data)) or self._parser.feed(data)
        except ProtocolError as error:
            self._refuse_input(error)
            return
        if not commands:
            return
        if self._promise is not None:
            self._put_behind(commands)
            return
        if len(commands) <= BATCH_COMMANDS and not self._before_login:
            batch = iter(commands)
            if self._execute(batch):
                return
            self._backlog = deque((batch,))
        else:
            self._backlog = _batches(commands)
        self._go_on()

    def eof_received(self) -> bool:
        """The peer will send no more, but may still read: what waits is still written, then we close."""
        self._ended = True
        self._go_on()
        return True

    def pause_writing(self) -> None:
        """The peer does not take its replies: execute nothing more for it before they pile up."""
        self._writing_paused = True
        self._clients.slow_readers[self] = 0.0
        self._stop_reading()

    def resume_writing(self) -> None:
        """The peer has taken them."""
        self._writing_paused = False
        self._clients.slow_readers.pop(self, None)
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why does not matter
        """The client is gone; what it had coming goes nowhere."""
        self._ended = True
        self._backlog = None
        self._clients.slow_readers.pop(self, None)
        self._clients.strangers.pop(self, None)
        if self in self._clients.connections:
            self._clients.connections.discard(self)
            self._clients.executor.close_session(self.session)

    # --- input to replies --------------------------------------------------------------------------------------------

    def _execute(self, batch: Iterator[list[bytes]]) -> bool:
        """Run the commands of *batch* and see to their replies; False when something stopped it."""
        session = self.session
        replies = self._replies
        try:
            stopped = self._run(session, batch, replies)
        except DiskFailure as failure:
            self._turns.fail(failure)
            self.kill()
            return False
        data = b"".join(replies)
        replies.clear()
        # The common case first: nothing waits, neither for the disk nor behind an earlier reply.
        if data and not session.must_wait and not self._held:
            self._turns.plain_reads = True
            self._post(data)
        else:
            self._send(data)
        if stopped is None and not session.closing:
            return True
        if stopped is not None and not isinstance(stopped, bytes):
            self._promise = stopped
            # Not at once: it may be resolved already, and what follows must not run within this call.
            self._clients.loop.call_soon(stopped.add_done, self._resolved)
        elif session.closing:
            self._end_input()
        return False

    def _send(self, data: bytes) -> None:
        """Write replies, or queue them: until what they depend on is durable, and behind those that wait already."""
        session = self.session
        if session.must_wait:
            session.must_wait = False
            turn = self._turns.hold(self, data)
            if turn:
                session.pending_turn = turn
                self._held += 1
                self._held_bytes += len(data)
                return
        if self._held and data:
            self._turns.hold_behind(self, data, session.pending_turn)
            self._held += 1
            self._held_bytes += len(data)
        elif data:
            self._post(data)

    def _post(self, data: bytes) -> None:
        """Have replies written with everybody else's of this turn, in the order of the calls."""
        outbox = self._clients.outbox
        if not outbox:
            self._clients.loop.call_soon(self._clients.flush)
        outbox.append((self, data))
        if len(data) > LONG_OUTPUT_BYTES:
            self._clients.flush()  # its peer may not take it all, which must show before more is executed

    def write_now(self, data: bytes) -> None:
        """Give replies to the transport; those of a client that has gone meanwhile go nowhere."""
        if not self._transport.is_closing():
            self._statistics.net_output_bytes += len(data)
            self._write(data)

    def released(self, data: bytes) -> None:
        """Write replies that were held back; they are released in order."""
        self._held -= 1
        self._held_bytes -= len(data)
        if data and not self._transport.is_closing():
            self._statistics.net_output_bytes += len(data)
            self._write(data)
        # Not within this call: what is executed now must not come between two replies that are being released.
        if not self._held and not self._yielding and (self._ended or not self._reading):
            self._clients.loop.call_soon(self._go_on)

    def _resolved(self, promise: Promise) -> None:
        """The reply that was promised has come."""
        self._promise = None
        if not self._transport.is_closing() and promise.reply is not None:
            self._send(promise.reply)
            if self.session.closing:
                self._end_input()
            self._go_on()

    # --- stopping and going on ---------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Execute what is left as far as may be, then read on, or close. Whoever lifts an obstacle calls this."""
        if self._transport.is_closing():
            return
        batches = 0
        while self._may_execute():
            if self._backlog:
                if batches == TURN_BATCHES:
                    self._yield_turn()
                    return
                batches += 1
                if self._execute(self._backlog[0]) and self._backlog:
                    self._backlog.popleft()
            elif not self._take_next():
                break
        else:
            if self._promise is None or self._before_login:
                self._stop_reading()
            return  # else what comes next is still read, see `_put_behind`
        self._backlog = None
        if self._ended:
            self._close_when_drained()
        elif batches and not self._reading:
            self._yield_turn()  # it had this turn; the loop would read it once more in it
        elif not self._reading and not self._yielding:
            self._reading = True
            self._transport.resume_reading()

    def _put_behind(self, commands: list[list[bytes]] | Run) -> None:
        """Keep them for later, behind what waits already, and read no more until that is executed.

        While a reply is waited for reading goes on until something comes: in front of a cluster every reply is waited
        for, most clients send nothing meanwhile, and to stop and begin each time costs two calls of the system. Before
        login it stops at once, for what may be sent then depends on the reply."""
        self._stop_reading()
        if self._backlog is None:
            self._backlog = _batches(commands)
        else:
            self._backlog += _batches(commands)

    def _may_execute(self) -> bool:
        return self._promise is None and not self._writing_paused and self._held_bytes < OUTPUT_PAUSE_BYTES

    def _take_next(self) -> bool:
        """Before login commands come out of the parser one by one, each judged by what the one before it achieved."""
        if self._ended or not self._before_login:
            return False
        self._choose_limits()
        try:
            commands = self._parser.feed(b"")
        except ProtocolError as error:
            self._refuse_input(error)
            return False
        self._backlog = _batches(commands)
        return bool(commands)

    def use_limits(self, limits: Limits) -> None:
        """What this client may send from now on."""
        self._parser.limits = replace(limits, before_login=self._before_login)

    def _choose_limits(self) -> None:
        self._before_login = not self.session.authenticated
        if self._before_login:
            self._clients.strangers.setdefault(self, self.session.connected_ms)
        else:
            self._clients.strangers.pop(self, None)
        if self._before_login is not self._parser.limits.before_login:
            self._parser.limits = replace(self._parser.limits, before_login=self._before_login)

    def _stop_reading(self) -> None:
        if self._reading and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()

    def _yield_turn(self) -> None:
        """The read filled the buffer, so there may be more: it belongs to the next turn, after everybody else's.

        Left to itself libuv would read the same socket up to 32 times in a row.
        """
        if not self._yielding:
            self._stop_reading()
            self._yielding = True
            self._clients.loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._yielding = False
        self._go_on()

    def _refuse_input(self, error: ProtocolError) -> None:
        """Execute what came before the error, say what is wrong, close."""
        if isinstance(error, QueryBufferExceeded):
            log.warning("closing client %d at %s: it sent %s", self.session.id, self.addr, error.message)
            self._statistics.query_buffer_disconnections += 1
        else:
            self._farewell = resp.error(f"ERR {error.message}")
        self._ended = True
        self._put_behind(error.commands)
        self._go_on()

    def _end_input(self) -> None:
        """Nothing more is executed for this client; it is closed when it has its replies."""
        self._stop_reading()
        self._ended = True
        self._backlog = None
        self._farewell = b""
        self._clients.loop.call_soon(self._go_on)

    def _close_when_drained(self) -> None:
        if not self._held and self._promise is None:
            self._clients.flush()
            self._write(self._farewell)
            self._close()

    def _close(self) -> None:
        """Close when what was written has gone."""
        self._transport.close()

    # --- for the session (its Peer) and the server -------------------------------------------------------------------

    def kill(self) -> None:
        """Close at once; replies that are not written yet are lost."""
        self._ended = True
        self._backlog = None
        self._transport.abort()

    def write_push(self, data: bytes) -> None:
        """Write bytes that no command of this client asked for, behind all replies to what it has executed."""
        if self._transport.is_closing():
            return
        self.session.must_wait = True
        if self._replies:  # within a batch of this very client
            self._replies.append(data)
            return
        self._send(data)
        hard = self._clients.executor.settings.output_buffer_hard_bytes
        if hard and self.unread_bytes() > hard:
            self.close_as_slow()

    def buffer_sizes(self) -> tuple[int, int]:
        """(bytes of input not executed, bytes of output not written)."""
        return self._parser.buffered_bytes, self.unread_bytes()

    def unread_bytes(self) -> int:
        """Replies that the peer has not taken or that still wait for the disk."""
        return self._transport.get_write_buffer_size() + self._held_bytes

    def close_as_slow(self) -> None:
        """It does not read what it asked for: let it go before it takes everybody's memory."""
        log.warning(
            "closing client %d at %s: %d bytes of replies are unread", self.session.id, self.addr, self.unread_bytes()
        )
        self._statistics.output_buffer_disconnections += 1
        self.kill()

    def close_if_idle_since(self, oldest_ms: int) -> None:
        """Close a client that has said nothing since then and waits for nothing."""
        if self.session.last_active_ms < oldest_ms and self._promise is None and not self.session.is_monitor:
            self.kill()

    def stop_input(self) -> None:
        """The server stops: what has been executed is still answered, then the connection is closed."""
        if not self._ended:
            self._end_input()


def _batches(commands: list[list[bytes]] | Run) -> deque[Iterator[list[bytes]]]:
    starts = range(0, len(commands), BATCH_COMMANDS)
    return deque(iter(commands[start : start + BATCH_COMMANDS]) for start in starts)
