"""An HTTP client of the barest kind, for tests: what a server says, and nothing hidden."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple

from wire import TIMEOUT_SECONDS


class Answer(NamedTuple):
    """One whole answer; header names in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class HttpConnection:
    """A blocking connection that is kept open."""

    def __init__(
        self,
        address: tuple[str, int],
        headers: Mapping[str, str] | None = None,
        context: ssl.SSLContext | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        """Over TLS with a *context*."""
        self._connection = (
            http.client.HTTPSConnection(*address, timeout=timeout, context=context)
            if context
            else http.client.HTTPConnection(*address, timeout=timeout)
        )
        self._headers = dict(headers or {})

    def connect(self) -> None:
        """Now, rather than with the first request."""
        self._connection.connect()

    def ask(
        self, method: str, target: str, body: Any = None, headers: Mapping[str, str] | None = None, **more: str
    ) -> Answer:
        """Send a request and read its answer. A body that is not bytes is sent as JSON. *more* are headers, with _
        for -."""
        self.send(method, target, body, {**(headers or {}), **{name.replace("_", "-"): v for name, v in more.items()}})
        return self.receive()

    def send(self, method: str, target: str, body: Any = None, headers: Mapping[str, str] | None = None) -> None:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        self._connection.request(method, target, data, {**self._headers, **(headers or {})})

    def receive(self) -> Answer:
        response = self._connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())

    def close(self) -> None:
        self._connection.close()
