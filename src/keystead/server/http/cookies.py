"""The cookie by which a browser says that it has logged in.

Scripts cannot read it and no other site's page has it sent along. Browsers do not keep the ports of a machine apart, so
the port is in its name: two servers on one machine do not log each other's users out. Must not know: users, logins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystead.execution.standing_logins import LASTS_S

if TYPE_CHECKING:
    from keystead.server.http.requests import Request


def secret_in(request: Request) -> bytes | None:
    """What the cookie of this server says; None without one."""
    sent = request.headers.get(b"cookie")
    if sent is None:
        return None
    name = _name(request)
    for pair in sent.replace(b", ", b"; ").split(b"; "):  # headers sent twice are joined by a comma
        if pair.startswith(name):
            return pair[len(name) :]
    return None


def setting(request: Request, secret: str) -> tuple[bytes, bytes]:
    """The header that has the browser send *secret* from now on."""
    return _header(request, secret.encode(), LASTS_S)


def clearing(request: Request) -> tuple[bytes, bytes]:
    """The header that has the browser forget it."""
    return _header(request, b"", 0)


def _header(request: Request, secret: bytes, max_age_s: int) -> tuple[bytes, bytes]:
    value = b"%b%b; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict" % (_name(request), secret, max_age_s)
    return b"Set-Cookie", value + (b"; Secure" if request.connection.is_encrypted else b"")


def _name(request: Request) -> bytes:
    return b"keystead-session-%b=" % request.connection.laddr.rpartition(":")[2].encode()
