"""Checking passwords: in constant time, off the loop, and not again and again.

scrypt is meant to be slow. So it runs elsewhere, two at a time, and others wait for their turn, up to a bound; and what
it has found right is remembered for five minutes, as a digest keyed by a secret of this process, so that a client
which gives its password with every request (Basic over HTTP) or opens many connections pays once. Every failure costs
one scrypt, whoever is named: a user who does not exist takes as long as one who does.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from keystead.errors import CommandError
from keystead.execution.passwords import Scrypt, Sha256, decoy

if TYPE_CHECKING:
    from keystead.execution.aside import Aside
    from keystead.execution.users import User

REMEMBERED_S = 300.0
MOST_REMEMBERED = 4096
MOST_WAITING = 128
"""Checks under way or waiting. One takes some 80 ms, so the last of them waits five seconds."""

Checked = Callable[["User | None"], None]


class TooManyLogins(CommandError):
    """Too many passwords wait for being checked; nothing was decided about this one."""

    def __init__(self) -> None:
        super().__init__("ERR too many logins are waiting to be checked; try again in a few seconds")


class Logins:
    """The checks under way and what is remembered of those that succeeded."""

    def __init__(self, aside: Aside, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._aside = aside
        self._clock_s = clock_s
        self._secret = os.urandom(32)
        self._remembered: dict[bytes, tuple[User, float]] = {}
        """By keyed digest of name and password: whose it is, and until when."""
        self._waiting = 0

    def fits_at_once(self, user: User, password: bytes) -> bool:
        """Whether the password is right as far as can be told without scrypt; False also when it cannot."""
        definition = user.definition
        if not definition.is_on:
            return False
        if definition.needs_no_password:
            return True
        # All are compared, whichever fits.
        fitting = sum(record.fits(password) for record in definition.passwords if isinstance(record, Sha256))
        return fitting > 0 or self._remembers(user, password)

    def check(self, user: User | None, password: bytes, done: Checked) -> None:
        """Call *done* with the user if it is on and the password is right, else with None; later, as a rule.

        Raises TooManyLogins.
        """
        if self._waiting >= MOST_WAITING:
            raise TooManyLogins
        self._waiting += 1
        definition = user.definition if user is not None else None
        usable = definition.passwords if definition is not None and definition.is_on else ()
        records = [record for record in usable if isinstance(record, Scrypt)] or [decoy()]

        def fitting() -> Scrypt | None:
            return next((record for record in records if record.fits(password)), None)

        def checked(record: Scrypt | None) -> None:
            self._waiting -= 1
            # The user may have been changed, and deleted, since: then the password was right, and is not any more.
            if user is None or record is None or user.definition is not definition:
                done(None)
                return
            self._remember(user, password)
            done(user)

        self._aside.compute(fitting, checked)

    # --- what is remembered ------------------------------------------------------------------------------------------

    def forget(self, user: User) -> None:
        """The user was changed or deleted: what was right may not be any more."""
        self._remembered = {key: known for key, known in self._remembered.items() if known[0] is not user}

    def _remember(self, user: User, password: bytes) -> None:
        while len(self._remembered) >= MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[self._key(user.key, password)] = (user, self._clock_s() + REMEMBERED_S)

    def _remembers(self, user: User, password: bytes) -> bool:
        key = self._key(user.key, password)
        known, until_s = self._remembered.get(key, (None, 0.0))
        if known is not None and self._clock_s() >= until_s:
            del self._remembered[key]
            return False
        return known is user

    def _key(self, name: bytes, password: bytes) -> bytes:
        # The length keeps ("ab", "c") and ("a", "bc") apart. Without the secret the digest tells nothing.
        return hashlib.blake2b(b"%d:%b%b" % (len(name), name, password), key=self._secret, digest_size=32).digest()
