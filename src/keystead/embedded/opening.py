"""open(): from a path to a store."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, overload

from keystead.embedded.codecs import Codec, Coding, key_codec, value_codec
from keystead.embedded.handles import is_open_here, register
from keystead.embedded.local import LocalStore
from keystead.embedded.shared_engine import SharedEngine
from keystead.engine.engine import Engine, Options
from keystead.engine.operations import Author
from keystead.errors import ConfigurationError, StoreLocked

if TYPE_CHECKING:
    from typing import Unpack

    from keystead.embedded.store import Store
    from keystead.engine.engine import Fsync

V = TypeVar("V")


class OpenOptions(TypedDict, total=False):
    """What `open` takes beside path, keys and values."""

    db: int
    """Which of the sixteen numbered databases; 0 unless given."""
    fsync: Fsync
    """When a change is on disk: "always" (before the method returns), "interval" (within a second), "never"."""
    maxmemory: int
    """Bytes of memory above which changes that grow the data raise OutOfMemory; 0 for no bound."""
    history_max_age: float
    """Seconds for which history is kept; 7 days unless given."""
    history_max_bytes: int
    """Size of the history that is kept; 1 GiB unless given."""
    client: str
    """A name for this program in the history; that of its script unless given."""


@overload
def open_store(
    path: str | os.PathLike[str],
    *,
    keys: Literal["str"] | type[str] = "str",
    values: type[bytes] = bytes,
    **options: Unpack[OpenOptions],
) -> Store[str, bytes]: ...
@overload
def open_store(
    path: str | os.PathLike[str],
    *,
    keys: Literal["bytes"] | type[bytes],
    values: type[bytes] = bytes,
    **options: Unpack[OpenOptions],
) -> Store[bytes, bytes]: ...
@overload
def open_store(
    path: str | os.PathLike[str],
    *,
    keys: Literal["str"] | type[str] = "str",
    values: Codec[V],
    **options: Unpack[OpenOptions],
) -> Store[str, V]: ...
@overload
def open_store(
    path: str | os.PathLike[str],
    *,
    keys: Literal["bytes"] | type[bytes],
    values: Codec[V],
    **options: Unpack[OpenOptions],
) -> Store[bytes, V]: ...
def open_store(
    path: str | os.PathLike[str],
    *,
    keys: object = "str",
    values: object = bytes,
    **options: Unpack[OpenOptions],
) -> Store[Any, Any]:
    """Open the store in the directory *path*, which is created if it does not exist.

    *keys* is "str" or "bytes"; *values* is bytes, keystead.text, json, msgpack, pickle, or msgpack(SomeType).
    StoreLocked when another process has it open, DamagedData, UnknownFormat, DirectoryUnusable, DiskFailure.
    """
    unknown = options.keys() - OpenOptions.__annotations__.keys()
    if unknown:
        raise ConfigurationError(f"open() has no option {', '.join(sorted(unknown))}")
    coding = Coding(key_codec(keys), value_codec(values))
    db = options.get("db", 0)
    if type(db) is not int or not 0 <= db < 16:
        raise ConfigurationError(f"db is a number from 0 to 15, not {db!r}")
    engine = _engine(os.fspath(path), _engine_options(options))
    engine.author = Author("", options.get("client") or os.path.basename(sys.argv[0] if sys.argv else "") or "python")
    shared = SharedEngine(engine, db)
    register(shared)
    return LocalStore(shared, coding)


def _engine_options(options: OpenOptions) -> Options:
    fsync = options.get("fsync", "always")
    if fsync not in ("always", "interval", "never"):
        raise ConfigurationError(f'fsync is "always", "interval" or "never", not {fsync!r}')
    chosen = Options(fsync=fsync, maxmemory=_size(options, "maxmemory", 0))
    return chosen._replace(
        history_max_bytes=_size(options, "history_max_bytes", chosen.history_max_bytes),
        history_max_age_ms=int(options.get("history_max_age", chosen.history_max_age_ms / 1000) * 1000),
    )


def _size(options: OpenOptions, name: Literal["maxmemory", "history_max_bytes"], default: int) -> int:
    size = options.get(name, default)
    if type(size) is not int or size < 0:
        raise ConfigurationError(f"{name} is a number of bytes, not {size!r}")
    return size


def _engine(path: str, options: Options) -> Engine:
    try:
        return Engine.open(path, options)
    except StoreLocked as error:
        if is_open_here(path):
            raise StoreLocked(path, error.holder, here=True) from None
        raise
