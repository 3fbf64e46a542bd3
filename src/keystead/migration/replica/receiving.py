"""One primary's bytes, received by a thread as fast as they come, and acknowledged as far as they have been applied.

The thread owns the connection, and makes it anew when it is lost: the primary goes on behind the last byte that was
received, if it still has what follows, else the changes are lost. It acknowledges what whoever reads says was applied,
not what was received, so that WAIT on the primary does not count what is only here. Knows no command.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Final

import hiredis

from keystead.errors import KeysteadError
from keystead.migration.addresses import ServerAddress
from keystead.migration.connection import AGAIN_S, PATIENCE_S
from keystead.migration.replica.handshake import Answer, NotReady, introduce
from keystead.migration.replica.spool import Spool
from keystead.migration.replica.transfer import LOOK_EVERY_S, SILENCE_S, Closing, Transfer, received
from keystead.migration.source import PositionLost, SourceFailed

ACK_EVERY_S: Final = 1.0
"""A primary cuts off a replica that it has not heard of for a minute."""
SEND_S: Final = 30.0

Where = Callable[[], tuple[str, int]]
"""Where the primary is now. KeysteadError."""


class Receiver:
    """The bytes of one primary: perhaps those of a snapshot, then those of the stream behind it. Close it."""

    def __init__(
        self,
        address: ServerAddress,
        where: Where,
        *,
        history: str = "?",
        offset: int = -2,
        arrived: threading.Condition,
        directory: str | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Begin behind that place, or with a snapshot. PositionLost when there is no going on from the place.
        FollowingRefused, SourceFailed. *arrived* is notified of whatever may be looked at."""
        self._address = address
        self._where = where
        self._arrived = arrived
        self._patience_s = patience_s
        self._closing = threading.Event()
        self._snapshot = Spool(directory)
        self._stream = Spool(directory)
        self._snapshot_ended = False
        self._stream_began = False
        self._failure: KeysteadError | None = None
        self.history, self.offset = history, offset
        """Of the last byte that was received."""
        answer = self._introduced(patience_s)
        self._refuse_to_begin_again(answer)
        self.history, self.offset = answer.history, answer.offset
        self.applied = answer.offset
        """Set by whoever reads: where everything before has been applied."""
        self._acknowledge_now = False
        self._thread = threading.Thread(target=self._run, args=(answer,), name="replica", daemon=True)
        self._thread.start()

    def snapshot_bytes(self) -> bytes:
        """The next bytes of the snapshot, waited for; b"" at its end. SourceFailed."""
        while True:
            with self._arrived:
                if data := self._snapshot.read():
                    return data
                if self._snapshot_ended:
                    return b""
                self.raise_failure()
                self._arrived.wait(LOOK_EVERY_S)

    def stream_bytes(self) -> bytes:
        """The next bytes of the stream; b"": nothing is there now. PositionLost, SourceFailed, when all was read."""
        failure = self._failure  # before the read: what came before it is read first
        data = self._stream.read()
        if not data and failure is not None:
            raise failure
        return data

    def raise_failure(self) -> None:
        """What ended the receiving, if anything did. PositionLost, SourceFailed."""
        if self._failure is not None:
            raise self._failure

    def acknowledge_now(self) -> None:
        """The primary asked for it."""
        self._acknowledge_now = True

    def close(self) -> None:
        """Hang up."""
        self._closing.set()
        self._thread.join()
        self._snapshot.close()
        self._stream.close()

    # --- The thread -------------------------------------------------------------------------------------------------

    def _run(self, answer: Answer) -> None:
        try:
            if answer.full:
                answer = self._receive_snapshot(answer)
            while not self._closing.is_set():
                try:
                    self._receive_stream(answer)
                except OSError as error:
                    answer = self._again(error)
        except Closing:
            pass
        except KeysteadError as error:
            self._fail(error)
        except Exception as error:  # a thread that ends without a word would be waited for
            self._fail(SourceFailed(f"what {self._address} sends cannot be received: {error!r}"))
            raise
        finally:
            answer.connection.close()

    def _fail(self, failure: KeysteadError) -> None:
        with self._arrived:
            self._failure = failure
            self._arrived.notify_all()

    def _receive_snapshot(self, answer: Answer) -> Answer:
        """Into its spool, up to its end; the same answer with what has arrived behind."""
        transfer = Transfer(answer.connection, answer.arrived, self._closing)
        try:
            for data in transfer.snapshot():
                self._keep(self._snapshot, data)
        except OSError as error:
            raise SourceFailed(
                f"the connection to {self._address} was lost before all keys had come: {error.strerror or error}; "
                "begin again"
            ) from error
        with self._arrived:
            self._snapshot_ended = True
            self._arrived.notify_all()
        return answer._replace(arrived=transfer.arrived)

    def _receive_stream(self, answer: Answer) -> None:
        """Into its spool, until the connection is lost: OSError."""
        with answer.connection as connection:
            connection.settimeout(LOOK_EVERY_S)
            data, acknowledged_s, heard_s = answer.arrived, 0.0, time.monotonic()
            while not self._closing.is_set():
                now_s = time.monotonic()
                if not self._stream_began:
                    # As while a snapshot is made, line ends may say that the primary is alive. They are no part of the
                    # stream, and stop for good when it begins.
                    data = data.lstrip(b"\r\n")
                    self._stream_began = bool(data)
                if data:
                    self.offset += len(data)
                    self._keep(self._stream, data)
                    heard_s = now_s
                elif now_s - heard_s > SILENCE_S:
                    raise TimeoutError(f"no word for {SILENCE_S:.0f} s")
                # A primary that sent its snapshot without a file keeps the stream back until it is told something, and
                # does not hear what comes before it has noticed that all was sent: so again and again at first.
                every_s = ACK_EVERY_S if self._stream_began else LOOK_EVERY_S
                if self._acknowledge_now or now_s - acknowledged_s > every_s:
                    self._acknowledge_now, acknowledged_s = False, now_s
                    _acknowledge(connection, self.applied)
                data = received(connection)

    def _keep(self, spool: Spool, data: bytes) -> None:
        try:
            spool.write(data)
        except OSError as error:
            raise SourceFailed(f"no room for what {self._address} sends: {error.strerror or error}") from error
        with self._arrived:
            self._arrived.notify_all()

    def _again(self, lost: OSError) -> Answer:
        """Go on behind the last byte. PositionLost, SourceFailed."""
        try:
            answer = self._introduced(self._patience_s)
        except SourceFailed as error:
            raise SourceFailed(f"{error} (lost before: {lost.strerror or lost})") from error
        self._refuse_to_begin_again(answer)
        self.history = answer.history
        return answer

    def _refuse_to_begin_again(self, answer: Answer) -> None:
        if answer.full and self.history != "?":
            answer.connection.close()
            raise PositionLost(
                f"{self._address} has let go of the changes behind {self.history}:{self.offset}; all keys have to be "
                "copied again. A larger repl-backlog-size on the source lets it keep more"
            )

    def _introduced(self, patience_s: float) -> Answer:
        """Tried again while the server is away or not ready. FollowingRefused, SourceFailed, NotReady."""
        deadline_s = time.monotonic() + patience_s
        while True:
            try:
                return introduce(self._address, *self._where(), self.history, self.offset)
            except NotReady:
                if time.monotonic() > deadline_s:
                    raise
            except OSError as error:
                if time.monotonic() > deadline_s:
                    raise SourceFailed(f"cannot reach {self._address}: {error.strerror or error}") from error
            if self._closing.wait(AGAIN_S):
                raise Closing


def _acknowledge(connection: socket.socket, offset: int) -> None:
    connection.settimeout(SEND_S)
    connection.sendall(hiredis.pack_command((b"REPLCONF", b"ACK", b"%d" % offset)))  # type: ignore[arg-type]
    connection.settimeout(LOOK_EVERY_S)
