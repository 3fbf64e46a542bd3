"""Who asks: HTTP's Basic and Bearer for the same users as over the Redis protocol, cookies of browsers that have logged
in, and a brake for those who guess.

Must not know: what users may do (their tables do), routes.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from keystead.execution.logins import TooManyLogins
from keystead.execution.standing_logins import StandingLogins
from keystead.execution.users import DEFAULT_NAME
from keystead.server.http import cookies
from keystead.server.http.problems import CHALLENGE, SCRIPT_CHALLENGE, Problem, unavailable

if TYPE_CHECKING:
    from keystead.execution.access import Access
    from keystead.execution.users import User
    from keystead.server.http.requests import Request

FAILURES_ALLOWED = 10
"""So many failed logins of an address within `FORGOTTEN_AFTER_S` are answered at once."""
FORGOTTEN_AFTER_S = 60.0
REMEMBERED_ADDRESSES = 10_000

Checked = Callable[["Problem | None"], None]


class Throttle:
    """Counts failed logins by address. An address that failed too often must wait until its failures are forgotten."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._failures: dict[str, tuple[int, float]] = {}
        """Of each address: how many, and when they are forgotten."""

    def waits_s(self, address: str) -> float:
        """How long it must wait; 0 when it need not."""
        count, until_s = self._failures.get(address, (0, 0.0))
        left_s = until_s - self._clock_s()
        if count and left_s <= 0:
            del self._failures[address]
            return 0
        return left_s if count >= FAILURES_ALLOWED else 0

    def failed(self, address: str) -> None:
        """Count one more."""
        count, until_s = self._failures.get(address, (0, 0.0))
        now_s = self._clock_s()
        if until_s <= now_s:
            count = 0
        elif count:
            self._failures[address] = (count + 1, until_s)
            return
        while len(self._failures) >= REMEMBERED_ADDRESSES:
            del self._failures[next(iter(self._failures))]  # the oldest
        self._failures.pop(address, None)
        self._failures[address] = (count + 1, now_s + FORGOTTEN_AFTER_S)


class Authentication:
    """Finds out who asks. Each request says so anew; without credentials it is the default user."""

    def __init__(self, access: Access, clock_s: Callable[[], float]) -> None:
        self._access = access
        self._throttle = Throttle(clock_s)
        self.standing = StandingLogins(access, clock_s)
        """Those that cookies stand for."""

    def user_without_credentials(self, certified_name: str | None) -> User | None:
        """Who asks when the request does not say so; None when it must. *certified_name*: whom a certificate names."""
        access = self._access
        if certified_name is not None:
            certified = access.certified(certified_name)
            if certified is not None:
                return certified
        return None if access.requires_password else access.default_user

    def user_at_once(self, request: Request) -> User | None:
        """Who asks, as far as that takes no password: by a cookie, a certificate, or being anybody."""
        secret = cookies.secret_in(request)
        user = self.standing.user_of(secret) if secret is not None else None
        return user or self.user_without_credentials(request.connection.certified_name)

    def check(self, request: Request, checked: Checked) -> None:
        """Find out who asks, and call *checked*, at once or later: with None when the request has its user, else
        with the problem."""
        given = request.headers.get(b"authorization")
        if given is None:
            request.user = self.user_at_once(request)
            asks = "Log in: this server asks for a user and a password, or for a token."
            checked(None if request.user is not None else _unauthorized(request, asks))
            return
        if self._must_wait(request, checked):
            return
        scheme, _, credentials = given.partition(b" ")
        if scheme.lower() == b"bearer":
            self._admit(request, self._bearer(credentials.strip()), checked)
        elif scheme.lower() == b"basic":
            self._check_basic(request, credentials.strip(), checked)
        else:
            checked(_unauthorized(request, "Only the authentication schemes Basic and Bearer are known."))

    def check_password(self, request: Request, name: bytes, password: bytes, checked: Checked) -> None:
        """The same for a name and a password that came in another way."""
        if not self._must_wait(request, checked):
            self._check(request, name, password, checked)

    def _must_wait(self, request: Request, checked: Checked) -> bool:
        """Whether this address has guessed too often; told."""
        waits_s = self._throttle.waits_s(request.connection.host)
        if waits_s:
            checked(_too_many(waits_s))
        return waits_s > 0

    def _bearer(self, token: bytes) -> User | None:
        user = self._access.user_of_token(token)
        if user is None and not self._access.requires_password:
            return self._access.default_user  # whom any password fits, too: some clients cannot do without a token
        return user

    def _check_basic(self, request: Request, credentials: bytes, checked: Checked) -> None:
        try:
            name, _, password = base64.b64decode(credentials, validate=True).partition(b":")
        except (ValueError, binascii.Error):
            checked(_unauthorized(request, "The Basic credentials are not base64."))
            return
        self._check(request, name or DEFAULT_NAME, password, checked)

    def _check(self, request: Request, name: bytes, password: bytes, checked: Checked) -> None:
        try:
            self._access.check(name, password, lambda user: self._admit(request, user, checked, name))
        except TooManyLogins as error:
            checked(unavailable(error.text.partition(" ")[2]))

    def _admit(self, request: Request, user: User | None, checked: Checked, name: bytes = b"") -> None:
        if user is None:
            self._throttle.failed(request.connection.host)
            session = request.session
            session.executor.note_failed_login(session, [b"AUTH"], name)
            session.executor.operations.note(session, "AUTH", time.perf_counter_ns(), user="", result="WRONGPASS")
            checked(_unauthorized(request, "The user, the password or the token is wrong."))
        else:
            request.user = user
            checked(None)


def _unauthorized(request: Request, detail: str) -> Problem:
    # A script of a page asks for the password itself: challenged by Basic, the browser would put a window of its own
    # before that page.
    by_script = request.headers.get(b"sec-fetch-mode", b"navigate") != b"navigate"
    return Problem(401, detail, headers={b"WWW-Authenticate": SCRIPT_CHALLENGE if by_script else CHALLENGE})


def _too_many(waits_s: float) -> Problem:
    return Problem(
        429,
        "Too many logins from this address have failed; wait.",
        headers={b"Retry-After": b"%d" % max(1, round(waits_s))},
    )
