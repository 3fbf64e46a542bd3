"""What is checked before routing, so that a page of some other site cannot use a browser to reach the store.

* Host: a name that an attacker's DNS points at this machine (DNS rebinding) is not among ours.
* Sec-Fetch-Site and Origin: requests that change data, or carry a login's cookie, come from no other site. Browsers
  send these headers, and pages cannot forge them; programs send neither.

Must not know: users, routes.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

from keystead.server.http.problems import Problem

if TYPE_CHECKING:
    from keystead.server.http.requests import Request

_OWN_SITES = (b"same-origin", b"none")
_REMEMBERED_HOSTS = 1024


class Guard:
    """The hosts that this server is, and the origins that may write to it."""

    def __init__(self, allowed_hosts: Iterable[str], allowed_origins: Iterable[str], bound: Iterable[str]) -> None:
        """*bound* are the addresses listened on. A "*" among the allowed ones lets everything pass."""
        machine = socket.gethostname().lower()
        given = {_plain(host.lower()) for host in allowed_hosts}
        self._any_host = "*" in given
        self._hosts = {"localhost", machine, *(host.lower() for host in bound), *given}
        self._origins = {origin.lower().rstrip("/").encode() for origin in allowed_origins}
        self._any_origin = b"*" in self._origins
        self._known: set[bytes] = set()
        """Values of Host that have been found good."""

    def check_host(self, request: Request) -> None:
        """Problem unless the request means a host that this server is."""
        host = request.headers.get(b"host")
        if host in self._known and request.authority is None:
            return
        if host is None:
            if request.version == "1.1":
                raise Problem(400, "The request has no Host header.")
        else:
            self._check(host, request)
            if len(self._known) < _REMEMBERED_HOSTS and self._is_ours(host):
                self._known.add(host)
        if request.authority is not None:
            self._check(request.authority, request)

    def _check(self, host: bytes, request: Request) -> None:
        if self._is_ours(host) or _host_of(host) == _host_of(request.connection.laddr.encode()):
            return
        shown = host[:100].decode("latin-1")
        raise Problem(
            421,
            f"This server is not {shown!r}. Ask it by an address of its own, or add the name to http-allowed-hosts.",
        )

    def _is_ours(self, host: bytes) -> bool:
        if self._any_host:
            return True
        name = _host_of(host)
        if name in self._hosts:
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    def check_site(self, request: Request, because: str = "it would change data") -> None:
        """Problem when a page of another site sent this: for whatever changes data, or is let in by a cookie, which a
        browser sends along by itself."""
        origin = request.headers.get(b"origin")
        if origin is not None:
            if self._any_origin or origin.lower() in self._origins:
                return
            host = request.authority or request.headers.get(b"host", b"")
            if origin.lower().partition(b"://")[2] != host.lower():
                raise _foreign("Origin", origin, because)
        site = request.headers.get(b"sec-fetch-site")
        if site is not None and site not in _OWN_SITES:
            raise _foreign("Sec-Fetch-Site", site, because)


def _foreign(header: str, value: bytes, because: str) -> Problem:
    shown = value[:100].decode("latin-1")
    return Problem(
        403,
        f"A page of another site sent this request ({header}: {shown}), and {because}. "
        "If that site may, add its origin to http-allowed-origins.",
    )


def _host_of(authority: bytes) -> str:
    """Without the port, the brackets of IPv6, the final dot."""
    text = authority.decode("latin-1").lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.rpartition(":")[0].rstrip(".") if text.count(":") == 1 else text.rstrip(".")


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".")
