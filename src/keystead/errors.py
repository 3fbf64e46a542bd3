"""Every error that Keystead raises on purpose, as one tree.

    KeysteadError                       1   the root: `except keystead.KeysteadError` catches all of them
    ├── ConfigurationError             78   an unknown setting or a value out of range
    ├── PortTaken                      69   the address to listen on is in use
    ├── OpenError                       1   a directory that cannot be opened as a store
    │   ├── DirectoryUnusable          73   not a directory, cannot be created, no permission
    │   ├── StoreLocked                75   another process holds it; names the holder
    │   ├── DamagedData                65   a checksum or a structure is wrong; names file and offset
    │   └── UnknownFormat              65   written by a version that this one cannot read
    ├── DiskFailure                    74   a write or sync failed: final, the process must stop
    ├── WriteRefused                    1   nothing was changed; the same write may succeed later
    │   ├── DiskFull                    1   no room for the log
    │   └── OutOfMemory                 1   the data has reached `maxmemory`
    ├── HandleUnusable                  1   this handle, not the store, is the trouble
    │   ├── StoreClosed                 1   used after close()
    │   └── ForkedHandle                1   used in a child of the process that opened it
    ├── TransactionError                1   a transaction used in a way that it does not allow
    │   └── TransactionConflict         1   what it watched was changed by somebody else; run it again
    ├── MomentRefused                   1   what names no moment of the past, or one that is yet to come
    │   └── HistoryGone                 1   a moment that retention has let go; says how far back one can go
    ├── UndoRefused                     1   nothing was undone or brought back; says why
    │   └── UndoConflict                1   keys were changed since; names the first of them
    ├── ValueRefused                    1   a key or value of a wrong type or over the size limit
    ├── ServerUnreachable               1   connect() or a command line tool found no server
    ├── ClusterUnavailable             69   a Redis or Valkey Cluster that cannot be served from; says why
    ├── DevelopmentClusterFailed        1   a cluster to try things with could not be started
    └── CommandError                    1   a Redis error reply, such as "WRONGTYPE Operation against …"

The figure is `exit_code`, the status with which the command line ends; it belongs to the class. Every constructor takes
the facts, and `str(error)` makes the sentence; so errors survive pickling, and a program may read the facts.

This module imports nothing of Keystead, so that every layer may use it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar, Final

EXIT_USAGE: Final = 2
"""Status of the command line for an unknown command or option, as argparse has it."""


class KeysteadError(Exception):
    """The root. `exit_code` is the status with which the command line ends on this error."""

    exit_code: ClassVar[int] = 1


class ConfigurationError(KeysteadError):
    """A setting that does not exist, or has a value it cannot have. The message names where it was set."""

    exit_code = 78


class PortTaken(KeysteadError):
    """The address to listen on belongs to another process.

    `address` is what people write ("127.0.0.1:7379", "/run/keystead.sock").
    """

    exit_code = 69

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address

    def __str__(self) -> str:
        return f"another process already listens on {self.address}; stop it, or choose another --port"


class OpenError(KeysteadError):
    """A directory that cannot be opened as a store."""


class DirectoryUnusable(OpenError):
    """The directory is missing and cannot be created, is not a directory, or may not be read or written."""

    exit_code = 73

    def __init__(self, directory: str, reason: str) -> None:
        super().__init__(directory, reason)
        self.directory = directory
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot use {self.directory} as a data directory: {self.reason}"


class StoreLocked(OpenError):
    """A store has one opener at a time, and there is one. Several processes share a store through a server.

    `holder` describes it as far as the lock file tells ("pid 1234, keystead serve, since 10:02"), else "";
    `here` is whether this very process has it open.
    """

    exit_code = 75

    def __init__(self, directory: str, holder: str = "", here: bool = False) -> None:
        super().__init__(directory, holder, here)
        self.directory = directory
        self.holder = holder
        self.here = here

    def __str__(self) -> str:
        if self.here:
            return f"this very process has {self.directory} open already; use the store that it has, or close it first"
        who = f" ({self.holder})" if self.holder else ""
        return (
            f"another process{who} holds {self.directory}; a store has one opener at a time. "
            'Stop it, or share the store through its server: keystead.connect("redis://…")'
        )


class DamagedData(OpenError):
    """Bytes that were proven durable are not what was written. Nothing is served, nothing is repaired unasked.

    `file` is a path, `offset` the byte in it where the first damaged structure starts.
    """

    exit_code = 65

    def __init__(self, file: str, offset: int, reason: str) -> None:
        super().__init__(file, offset, reason)
        self.file = file
        self.offset = offset
        self.reason = reason

    def __str__(self) -> str:
        return f"damaged data in {self.file} at byte {self.offset}: {self.reason}"


class UnknownFormat(OpenError):
    """The directory was written in a format that this version does not know; most often by a newer version."""

    exit_code = 65

    def __init__(self, file: str, found: str, supported: str) -> None:
        super().__init__(file, found, supported)
        self.file = file
        self.found = found
        self.supported = supported

    def __str__(self) -> str:
        return f"{self.file} has format {self.found}, this version of Keystead reads {self.supported}"


class DiskFailure(KeysteadError):
    """A write or a sync failed. Final: what the operating system holds of the file is unknown from now on.

    Nothing that was not acknowledged before may be acknowledged after it; the process must stop, and the next start
    finds out what reached the disk.
    """

    exit_code = 74


class WriteRefused(KeysteadError):
    """Nothing was changed and nothing is wrong with the store; the same write may succeed later."""


class DiskFull(WriteRefused):
    """No room for the log. Reads, deletes and expiry go on; writing resumes by itself when there is room."""


class OutOfMemory(WriteRefused):
    """The data has reached `maxmemory`. Reads and deletes go on."""


class HandleUnusable(KeysteadError):
    """This handle, not the store, is the trouble."""


class StoreClosed(HandleUnusable):
    """The handle was used after close()."""


class ForkedHandle(HandleUnusable):
    """The handle was opened by the parent of this process. Two writers of one log would destroy it."""


class TransactionError(KeysteadError):
    """A transaction was used in a way that it does not allow, such as after its end or inside another one."""


class TransactionConflict(TransactionError):
    """What the transaction had read or watched was changed by somebody else; nothing was applied. Run it again."""


class MomentRefused(KeysteadError):
    """What was given names no moment of the past: nobody can read it, or it is yet to come."""


class HistoryGone(MomentRefused):
    """Retention has let that moment go. The oldest that can be read is behind transaction `sequence`, of `time_ms`."""

    def __init__(self, sequence: int, time_ms: int) -> None:
        super().__init__(sequence, time_ms)
        self.sequence = sequence
        self.time_ms = time_ms

    def __str__(self) -> str:
        oldest = datetime.fromtimestamp(self.time_ms / 1000, UTC).replace(tzinfo=None)
        written = oldest.isoformat(timespec="milliseconds") + "Z"
        return f"the past is kept from {written} on, which is behind transaction {self.sequence}"


class UndoRefused(KeysteadError):
    """Nothing was undone or brought back; the text says why."""


class UndoConflict(UndoRefused):
    """Nothing was undone: keys were changed since. `count`: how many; `keys`: the first of them, by database and name.

    They are bytes, as the store has them: other databases may have other codecs.
    """

    def __init__(self, keys: list[tuple[int, bytes]], count: int) -> None:
        super().__init__(keys, count)
        self.keys = keys
        self.count = count

    def __str__(self) -> str:
        return f"{self.count} of its keys were changed since"


class ValueRefused(KeysteadError):
    """A key or a value that the store cannot take: of a wrong type, or over the size limit."""


class ServerUnreachable(KeysteadError):
    """No server answers at the address, or what answers is not one."""


class ClusterUnavailable(KeysteadError):
    """A Redis or Valkey Cluster, or a node of it, that does not answer, is none, refuses the login, or misses slots."""

    exit_code = 69


class DevelopmentClusterFailed(KeysteadError):
    """A cluster on this machine, to try things with, could not be started or changed; the text says why."""


class CommandError(KeysteadError):
    """A Redis error reply. The text is the reply without its leading "-", prefix first: "ERR syntax error"."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    @property
    def prefix(self) -> str:
        """The word on which clients branch: ERR, WRONGTYPE, NOAUTH, …"""
        return self.text.partition(" ")[0]
