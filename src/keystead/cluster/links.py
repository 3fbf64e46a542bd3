"""One connection to one node: connects, greets, cuts what it hears into replies; and the pipelined kind of it.

Owns: what is on its way over a connection, in order. Must not know: slots, where else to go.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, Protocol, cast

from keystead.cluster.cutting import MalformedReply, ReplyCutter
from keystead.cluster.topology import shown

if TYPE_CHECKING:
    from keystead.cluster.options import Options
    from keystead.cluster.request import Request
    from keystead.cluster.topology import Address

log = logging.getLogger("keystead.cluster")

LARGE_REPLY_BYTES: Final = 64 * 1024
"""A link in the middle of a longer reply gets no other requests while there is another link."""
_MINUS: Final = ord("-")
CLIENT_NAME: Final = b"keystead"
_MAYBE_PLAIN: Final = "; does it speak TLS?"
_MAYBE_ENCRYPTED: Final = " instead of answering; it may expect TLS"


class Owner(Protocol):
    """What becomes of requests whose links cannot say it."""

    def conclude(self, request: Request, reply: bytes, link: Link, *, overtaken: bool) -> None:
        """The last reply to *request* has come; it is an error, or one of several replies.

        *overtaken*: something of the same slot that its client sent behind it may have been executed; if this was not,
        it must not be any more.
        """

    def lost(self, link: Link, sent: Sequence[Request], unsent: Sequence[Request]) -> None:
        """The link is gone. *sent* have got no reply, and may have been executed or not."""


class Link(asyncio.Protocol):
    """One connection, from `open` to `_lost`. Of a subclass: `_ready`, `_hear` and `_lost`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, address: Address, options: Options, protocol: int) -> None:
        self.address = address
        self.protocol = protocol
        self.is_ready = False
        self.is_lost = False
        self.heard = False
        """Something came since somebody last set it False."""
        self.reason = ""
        """Once it is lost: why, for people."""
        self._loop = loop
        self._options = options
        self._transport: asyncio.Transport | None = None
        self._cutter = ReplyCutter()
        self._cut = self._cutter.cut
        self._answered = self._greeted
        self._opening: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        return shown(self.address)

    def open(self) -> None:
        """Begin to connect."""
        self._opening = self._loop.create_task(self._connect())

    def close(self, reason: str) -> None:
        """Give it up now. What is on its way has an unknown outcome."""
        if self._opening is not None:
            self._opening.cancel()
        if self._transport is not None:
            self._transport.abort()
        self._give_up(reason)

    def oldest(self) -> Request | None:
        """What waits for a reply for the longest time."""
        raise NotImplementedError

    def cut_if_overdue(self, now: float) -> None:
        """Close it if something should have been answered by *now* and nothing was heard since the last call."""
        oldest = self.oldest()
        if oldest is not None and oldest.deadline < now and not self.heard:
            self.close(f"no answer within {self._options.timeout_s:g} s")
        self.heard = False

    async def _connect(self) -> None:
        host, port = self.address
        encrypted = self._options.ssl
        try:
            async with asyncio.timeout(self._options.connect_timeout_s):
                await self._loop.create_connection(
                    lambda: self, host, port, ssl=encrypted, server_hostname=host if encrypted else None
                )
        except ssl.SSLCertVerificationError as error:
            self._give_up(f"its certificate is not accepted: {error.verify_message}")
        except TimeoutError:
            self._give_up(
                f"no connection within {self._options.connect_timeout_s:g} s{_MAYBE_PLAIN if encrypted else ''}"
            )
        except (OSError, UnicodeError) as error:  # the latter for what is no host name
            self._give_up(f"{_in_words(error)}{_MAYBE_PLAIN if isinstance(error, ssl.SSLError) else ''}")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self.is_lost:
            self._transport.abort()
            return
        self._transport.write(_greeting(self.protocol, self._options))
        self._loop.call_later(self._options.connect_timeout_s, self._greeting_overdue)

    def _greeting_overdue(self) -> None:
        if not self.is_ready and not self.is_lost:
            self.close(f"it accepted the connection, but did not answer within {self._options.connect_timeout_s:g} s")

    def _greeted(self, replies: list[bytes]) -> None:
        """The reply to HELLO has come: a map or the array of one, or an error."""
        if not replies:
            return
        if len(replies) > 1 or replies[0][:1] not in (b"*", b"%"):
            self.close(_refusal(replies[0]))
            return
        self.is_ready = True
        self._answered = self._hear
        self._ready()

    def data_received(self, data: bytes) -> None:
        self.heard = True
        try:
            self._answered(self._cut(data))
        except MalformedReply as error:
            self.close(f"what it sent is no reply of a Redis server: {error}")
        except IndexError:  # of an empty queue; also when all was settled while replies were told
            self.close("it sent more replies than it was asked for")

    def connection_lost(self, error: Exception | None) -> None:
        reason = "it closed the connection" if error is None else _in_words(error)
        unanswered = not self.is_ready and self._options.ssl is None
        self._give_up(reason + (_MAYBE_ENCRYPTED if unanswered else ""))

    def _give_up(self, reason: str) -> None:
        if not self.is_lost:
            self.is_lost = True
            self.is_ready = False
            self.reason = reason
            self._lost()

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def _ready(self) -> None:
        raise NotImplementedError

    def _hear(self, replies: list[bytes]) -> None:
        raise NotImplementedError

    def _lost(self) -> None:
        raise NotImplementedError


class Pipeline(Link):
    """A link over which any number of requests is under way; what comes in one turn of the loop leaves in one write."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, address: Address, options: Options, protocol: int, owner: Owner
    ) -> None:
        super().__init__(loop, address, options, protocol)
        self.congested = False
        """It has a large reply to read or cannot write: better take another one."""
        self._owner = owner
        self._outbox: list[Request] = []
        self._waiting: deque[Request] = deque()
        self._flushing = False

    @property
    def is_idle(self) -> bool:
        return not (self._waiting or self._outbox)

    def send(self, requests: Sequence[Request]) -> None:
        """In the order given, at the end of this turn, or once connected."""
        self._outbox += requests
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def oldest(self) -> Request | None:
        return self._waiting[0] if self._waiting else None

    def _flush(self) -> None:
        self._flushing = False
        if self.is_ready and self._outbox:
            outbox, self._outbox = self._outbox, []
            self._waiting += outbox
            self._write(b"".join([request.data for request in outbox]))

    def _ready(self) -> None:
        self._flush()

    def _hear(self, replies: list[bytes]) -> None:
        take = self._waiting.popleft
        for reply in replies:
            request = take()
            if reply[0] == _MINUS or request.replies != 1:
                self._hear_unusual(request, reply)
                continue
            try:  # as in `tell`, which would be one more call
                request.done(reply)
            except Exception:
                log.exception("a reply could not be handed on")
        self.congested = self._cutter.held_bytes > LARGE_REPLY_BYTES

    def _hear_unusual(self, request: Request, reply: bytes) -> None:
        """An error, or one of several replies."""
        if len(request.earlier) + 1 < request.replies:
            request.earlier.append(reply)
            self._waiting.appendleft(request)
        else:
            self._owner.conclude(request, reply, self, overtaken=_is_followed(request, self._waiting))

    def _lost(self) -> None:
        sent, unsent = list(self._waiting), self._outbox
        self._waiting.clear()  # it may be lost while replies are told, which must find nothing left
        self._outbox = []
        self._owner.lost(self, sent, unsent)

    def pause_writing(self) -> None:
        self.congested = True

    def resume_writing(self) -> None:
        self.congested = False


def _is_followed(request: Request, waiting: Iterable[Request]) -> bool:
    """Whether the same client sent something else to the same slot together with *request*."""
    for other in waiting:
        if other.deadline is not request.deadline:  # what is sent together stands together, and shares the object
            break
        if other.target == request.target:
            return True
    return False


def _greeting(protocol: int, options: Options) -> bytes:
    words = [b"HELLO", b"%d" % protocol]
    if options.username or options.password:
        words += [b"AUTH", (options.username or "default").encode(), options.password.encode()]
    return command(*words, b"SETNAME", CLIENT_NAME)


def _in_words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _refusal(reply: bytes) -> str:
    text = reply.decode(errors="replace").strip()
    if text.startswith("-NOAUTH"):
        return "it wants a password"
    if text.startswith("-WRONGPASS"):
        return "it does not accept this user name and password"
    if text.startswith("-"):
        return f"it refused the connection: {text[1:]}"
    return "what it sent is no reply of a Redis server"


def command(*arguments: bytes) -> bytes:
    """A command as nodes read it."""
    return b"*%d\r\n" % len(arguments) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in arguments])
