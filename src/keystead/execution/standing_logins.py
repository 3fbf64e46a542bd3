"""Logins that last: whom a browser's cookie stands for.

A cookie is 256 random bits, of which the SHA-256 is kept, as of tokens; in memory only, so a restart ends them all. A
login ends after twelve hours, when it is given up, and as soon as its user may not have logged in any more: deleted,
switched off, or with another password. Must not know: cookies, HTTP.
"""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, NamedTuple

from keystead.execution.passwords import Password, sha256

if TYPE_CHECKING:
    from collections.abc import Callable

    from keystead.execution.access import Access
    from keystead.execution.users import User

LASTS_S = 12 * 3600
MOST = 4096
"""Logins kept; beyond, the oldest ends."""


class _Login(NamedTuple):
    user: User
    passwords: tuple[Password, ...]
    """Those by one of which the user has logged in."""
    without_password: bool
    until_s: float


class StandingLogins:
    """The logins of one server."""

    def __init__(self, access: Access, clock_s: Callable[[], float]) -> None:
        self._access = access
        self._clock_s = clock_s
        self._by_digest: dict[bytes, _Login] = {}

    def __len__(self) -> int:
        return len(self._by_digest)

    def begin(self, user: User) -> str:
        """The user has logged in: the secret that stands for that from now on."""
        while len(self._by_digest) >= MOST:
            del self._by_digest[next(iter(self._by_digest))]
        secret = base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=")
        definition = user.definition
        self._by_digest[sha256(secret)] = _Login(
            user, definition.passwords, definition.needs_no_password, self._clock_s() + LASTS_S
        )
        return secret.decode()

    def user_of(self, secret: bytes) -> User | None:
        """Whom the secret stands for; None when for nobody, or not any more."""
        # By digest: how long a look-up takes tells about digests, of which nobody can choose one.
        login = self._by_digest.get(sha256(secret))
        if login is None:
            return None
        if self._clock_s() >= login.until_s or not self._still_holds(login):
            self.end(secret)
            return None
        return login.user

    def end(self, secret: bytes) -> None:
        """It stands for nobody any more."""
        self._by_digest.pop(sha256(secret), None)

    def _still_holds(self, login: _Login) -> bool:
        definition = login.user.definition
        if self._access.user(login.user.key) is not login.user or not definition.is_on:
            return False
        if login.without_password:
            return definition.needs_no_password
        # A further password, or a token, ends nothing; one that is gone may be that by which the user came in.
        return set(login.passwords) <= set(definition.passwords)
