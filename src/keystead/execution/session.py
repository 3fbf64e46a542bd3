"""One client's state.

Owns: what a client has said so far that matters for what it says next: its database, protocol, name, login,
transaction, and the table of commands it may use now. Must not know: sockets (its `peer` does), what commands mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from keystead import resp
from keystead.engine.operations import Author
from keystead.execution.promise import Promise

if TYPE_CHECKING:
    from keystead.commands.table import Table
    from keystead.engine.bindings import Database
    from keystead.engine.engine import Engine
    from keystead.execution.executor import Executor
    from keystead.execution.local import LocalExecutor
    from keystead.execution.statistics import Statistics
    from keystead.execution.users import User

ReplyMode: TypeAlias = Literal["on", "off", "skip"]


class Peer(Protocol):
    """The other end, as far as a session needs it. A connection implements it."""

    addr: str
    """"127.0.0.1:50000", or "/path:0" for a Unix socket."""
    laddr: str
    """The address it came in by."""
    is_local: bool
    """It is on this machine."""
    protocol: str
    """What it speaks, for people: "resp" or "http"."""
    fd: int
    """The descriptor's number, as CLIENT LIST shows it; -1 for none."""

    def kill(self) -> None:
        """Close at once; replies that are not written yet are lost."""

    def write_push(self, data: bytes) -> None:
        """Put encoded bytes into the queue of replies, after those of commands already executed, to be written when
        everything executed so far is durable."""

    def buffer_sizes(self) -> tuple[int, int]:
        """(bytes of input not executed, bytes of output not written)."""


class Session:
    """What the server knows of one client between two commands."""

    __slots__ = (
        "authenticated",
        "author",
        "closing",
        "connected_ms",
        "db",
        "dirty",
        "encode",
        "engine",
        "executor",
        "id",
        "is_monitor",
        "last_active_ms",
        "last_command",
        "lib_name",
        "lib_ver",
        "local",
        "must_wait",
        "name",
        "no_evict",
        "no_touch",
        "null",
        "peer",
        "pending_turn",
        "protocol",
        "queue_is_broken",
        "queued",
        "reply_mode",
        "runs_transaction",
        "statistics",
        "table",
        "user",
        "waiting_for",
        "watched",
    )

    def __init__(self, session_id: int, executor: Executor, peer: Peer) -> None:
        self.id = session_id
        self.executor = executor
        self.engine: Engine
        """What handlers of data work on; set where there is one, as `local` is."""
        self.local: LocalExecutor
        """The executor, for handlers that need more of it than all executors have."""
        self.statistics: Statistics = executor.statistics
        self.peer = peer
        self.connected_ms = self.last_active_ms = executor.clock.now_ms
        self.last_command: list[bytes] = []
        self.closing = False
        """The connection closes when what has been replied so far is written; nothing more is executed."""
        self.waiting_for: Promise | None = None
        self.must_wait = False
        """The replies of this chunk depend on what is not durable yet. Set by runners and reads; whoever holds the
        replies takes it back and remembers the open turn in `pending_turn`."""
        self.pending_turn = 0
        self.dirty = False
        """A watched key changed: EXEC will refuse."""
        self.watched: dict[tuple[Database, bytes], bool] = {}
        """Keys of WATCH, with whether they existed then."""
        self.is_monitor = False
        self.no_evict = self.no_touch = False
        self.lib_name = self.lib_ver = b""
        self.name = b""
        self.user: User = executor.access.default_user
        self.author = Author(self.user.name, peer.addr)
        self.table: Table
        self.reset(authenticated=not executor.access.requires_password)

    def reset(self, *, authenticated: bool) -> None:
        """To the state of a new connection, as RESET does."""
        self.db: Database = self.executor.first_database
        self.queued: list[list[bytes]] | None = None
        """Commands since MULTI; None outside of it."""
        self.queue_is_broken = False
        self.runs_transaction = False
        """Within EXEC: nothing may wait."""
        self.reply_mode: ReplyMode = "on"
        self.authenticated = authenticated
        self.user = self.executor.access.default_user
        self.use_protocol(2)
        self.rename(b"")
        self.choose_table()

    def use_protocol(self, version: int) -> None:
        """Encode replies as RESP2 or RESP3 from now on."""
        self.protocol = version
        self.encode: Callable[[Any], bytes] = resp.encode3 if version == 3 else resp.encode2
        self.null = resp.NULL3 if version == 3 else resp.NULL2

    def rename(self, name: bytes) -> None:
        """CLIENT SETNAME; b"" is no name."""
        self.name = name
        self._sign()

    def _sign(self) -> None:
        """From now on transactions are signed with the user and the client's name, or its address without one."""
        self.author = Author(self.user.name, self.name.decode("utf-8", "replace") or self.peer.addr)

    def log_in(self, user: User) -> None:
        """The client is that user from now on. Costs nothing when it has been."""
        if user is self.user and self.authenticated:
            return
        self.authenticated = True
        self.user = user
        self._sign()
        self.choose_table()

    def log_out(self) -> None:
        """The client has to log in, as a new one has."""
        self.authenticated = False
        self.user = self.executor.access.default_user
        self._sign()
        self.choose_table()

    def forget_watches(self) -> None:
        """UNWATCH."""
        self.executor.forget_watches(self)

    def wait_for(self, promise: Promise) -> None:
        """Nothing more of this client is executed until the promise is resolved."""
        self.waiting_for = promise
        promise.add_done(self._go_on)

    def _go_on(self, _: Promise) -> None:
        self.waiting_for = None

    def say_goodbye(self, reply: bytes) -> Promise:
        """The reply of a command after which the connection closes. As a promise, though resolved, it ends the chunk:
        what the client has sent behind it is not executed."""
        self.closing = True
        promise = Promise()
        promise.resolve(reply)
        return promise

    def choose_table(self) -> None:
        """Take the table of the present state. To be called after every change of login, MULTI or reply mode."""
        self.table = self.executor.tables.of(self)
