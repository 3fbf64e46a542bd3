"""Who may do what. Today there is one user, "default", with or without a password (`requirepass`).

Must not know: commands, sessions.
"""

from __future__ import annotations

import hashlib
import hmac

DEFAULT_USER = b"default"


class Access:
    """The users and their passwords. Passwords are kept and compared as SHA-256 digests, in constant time."""

    def __init__(self, password: str) -> None:
        """*password* of the default user; "" lets everybody in."""
        self._digest: bytes | None = None
        self.set_password(password)

    def set_password(self, password: str) -> None:
        """CONFIG SET requirepass: clients that are logged in stay so."""
        self._digest = _digest(password.encode("utf-8", "surrogateescape")) if password else None

    @property
    def requires_password(self) -> bool:
        """Whether a new client must log in."""
        return self._digest is not None

    def has_user(self, user: bytes) -> bool:
        """Whether there is such a user."""
        return user == DEFAULT_USER

    def is_granted(self, user: bytes, password: bytes) -> bool:
        """Whether the user exists and this is its password; any password fits a user without one."""
        given = _digest(password)
        return self.has_user(user) and hmac.compare_digest(given, self._digest or given)


def _digest(password: bytes) -> bytes:
    return hashlib.sha256(password).digest()
