"""Keystead: a durable key-value store for Python teams.

    import keystead

    with keystead.open("data") as db:
        db["user:1"] = b"Ada"

Everything public is here. The store itself is loaded when it is first asked for: the server, the command line and the
process that makes checkpoints do without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keystead.errors import (
    ClusterUnavailable,
    CommandError,
    ConfigurationError,
    DamagedData,
    DevelopmentClusterFailed,
    DirectoryUnusable,
    DiskFailure,
    DiskFull,
    ForkedHandle,
    HandleUnusable,
    HistoryGone,
    KeysteadError,
    MomentRefused,
    OpenError,
    OutOfMemory,
    PortTaken,
    ServerUnreachable,
    StoreClosed,
    StoreLocked,
    TransactionConflict,
    TransactionError,
    UndoConflict,
    UndoRefused,
    UnknownFormat,
    ValueRefused,
    WriteRefused,
)

if TYPE_CHECKING:
    from keystead.embedded import (
        Change,
        Codec,
        Deleted,
        Difference,
        PastView,
        Store,
        Transaction,
        Undone,
        connect,
        json,
        msgpack,
        pickle,
        text,
    )
    from keystead.embedded import open as open  # noqa: A004 - its users write keystead.open

__version__ = "0.1.0"

__all__ = [
    "Change",
    "ClusterUnavailable",
    "Codec",
    "CommandError",
    "ConfigurationError",
    "DamagedData",
    "Deleted",
    "DevelopmentClusterFailed",
    "Difference",
    "DirectoryUnusable",
    "DiskFailure",
    "DiskFull",
    "ForkedHandle",
    "HandleUnusable",
    "HistoryGone",
    "KeysteadError",
    "MomentRefused",
    "OpenError",
    "OutOfMemory",
    "PastView",
    "PortTaken",
    "ServerUnreachable",
    "Store",
    "StoreClosed",
    "StoreLocked",
    "Transaction",
    "TransactionConflict",
    "TransactionError",
    "UndoConflict",
    "UndoRefused",
    "Undone",
    "UnknownFormat",
    "ValueRefused",
    "WriteRefused",
    "__version__",
    "connect",
    "json",
    "msgpack",
    "open",
    "pickle",
    "text",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'keystead' has no attribute {name!r}")
    from keystead import embedded

    value = globals()[name] = getattr(embedded, name)
    return value


def __dir__() -> list[str]:
    return __all__
