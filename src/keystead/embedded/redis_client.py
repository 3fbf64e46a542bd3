"""The client of a server: redis-py, imported when somebody connects, and its errors as ours.

Owns: addresses, connections, which error becomes which. Must not know: codecs, the mapping.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from keystead.errors import (
    CommandError,
    ConfigurationError,
    DiskFull,
    KeysteadError,
    OutOfMemory,
    ServerUnreachable,
    TransactionConflict,
)

T = TypeVar("T")

_PREFIXES: Final = {
    # redis-py takes the prefix of these off.
    "ReadOnlyError": "READONLY",
    "NoPermissionError": "NOPERM",
    "ExecAbortError": "EXECABORT",
    "NoScriptError": "NOSCRIPT",
    "ClusterCrossSlotError": "CROSSSLOT",
    "ClusterDownError": "CLUSTERDOWN",
    "TryAgainError": "TRYAGAIN",
}


class Server:
    """A pool of connections to one server; safe from several threads, and after a fork."""

    def __init__(self, url: str, timeout: float | None) -> None:
        """Connect. ServerUnreachable, ConfigurationError for an address that cannot be one."""
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        self.url = url
        self._redis = redis
        try:
            self._client: Any = redis.Redis.from_url(
                _redis_url(url),
                protocol=2,
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                # A write whose reply was lost may have been done: to repeat it is not for us to decide.
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as error:
            raise ConfigurationError(f"cannot connect to {url!r}: {error}") from error
        self._client.response_callbacks.clear()  # replies as they come: what they mean is known here
        try:
            self.call("PING")
        except CommandError as error:
            raise ServerUnreachable(f"the server at {url} refuses this client: {error}") from error

    def call(self, *words: Any) -> Any:
        """The reply to one command. ServerUnreachable, CommandError, OutOfMemory, DiskFull."""
        return self.translated(lambda: self._client.execute_command(*words))

    def pipeline(self) -> Any:
        """One connection for WATCH, reads, MULTI and EXEC; `reset` it."""
        return self._client.pipeline(transaction=True)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def translated(self, action: Callable[[], T]) -> T:
        """What *action*, which uses the client, returns; its errors as ours."""
        try:
            return action()
        except self._redis.RedisError as error:
            raise self._error(error) from error
        except OSError as error:
            raise ServerUnreachable(f"{self.url}: {error}") from error

    def _error(self, error: Exception) -> KeysteadError:
        errors = self._redis.exceptions
        text = str(error)
        if isinstance(error, errors.WatchError):
            return TransactionConflict("something that this transaction had read was changed meanwhile; run it again")
        if isinstance(error, errors.AuthenticationError | errors.AuthorizationError):
            return CommandError(text if text.isupper() else f"NOAUTH {text}")
        if isinstance(error, errors.ConnectionError | errors.TimeoutError):
            return ServerUnreachable(f"no server answers at {self.url}: {text}")
        if isinstance(error, errors.OutOfMemoryError):
            return OutOfMemory("the server's data has reached its maxmemory; reads and deletes go on")
        if text.startswith("MISCONF"):
            return DiskFull(f"the server refuses writes: {text}")
        prefix = _PREFIXES.get(type(error).__name__)
        if prefix is None and not text.partition(" ")[0].isupper():
            prefix = "ERR"
        return CommandError(f"{prefix} {text}" if prefix else text)


def _redis_url(url: str) -> str:
    scheme, _, rest = url.partition(":")
    if scheme == "unix" and not rest.startswith("//"):
        return f"unix://{rest}"
    return url
