"""connect(): from an address to a store behind a server."""

from __future__ import annotations

from typing import Any, Literal, TypeVar, overload

from keystead.embedded.codecs import Codec, Coding, key_codec, value_codec
from keystead.embedded.store import Store

V = TypeVar("V")


@overload
def connect(
    url: str,
    *,
    keys: Literal["str"] | type[str] = "str",
    values: type[bytes] = bytes,
    timeout: float | None = None,
) -> Store[str, bytes]: ...
@overload
def connect(
    url: str,
    *,
    keys: Literal["bytes"] | type[bytes],
    values: type[bytes] = bytes,
    timeout: float | None = None,
) -> Store[bytes, bytes]: ...
@overload
def connect(
    url: str, *, keys: Literal["str"] | type[str] = "str", values: Codec[V], timeout: float | None = None
) -> Store[str, V]: ...
@overload
def connect(
    url: str, *, keys: Literal["bytes"] | type[bytes], values: Codec[V], timeout: float | None = None
) -> Store[bytes, V]: ...
def connect(url: str, *, keys: object = "str", values: object = bytes, timeout: float | None = None) -> Store[Any, Any]:
    """The store behind a server, `keystead serve` or any Redis server.

    *url* is "unix:/path/to/socket", "redis://host:7379/0" or "rediss://…" (TLS), with user and password as in
    "redis://user:password@host". *keys* and *values* as in `open`. *timeout*: seconds to wait for a reply, None for as
    long as it takes. ServerUnreachable, ConfigurationError.
    """
    from keystead.embedded.redis_client import Server
    from keystead.embedded.remote import RemoteStore

    coding = Coding(key_codec(keys), value_codec(values))
    return RemoteStore(Server(url, timeout), coding)
