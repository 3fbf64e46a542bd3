"""Logins that last end after twelve hours, and are bounded in number; more is in server/http/test_login.py."""

from __future__ import annotations

from keystead.execution import standing_logins
from keystead.execution.access import Access
from keystead.execution.standing_logins import LASTS_S, StandingLogins


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_login_ends_after_twelve_hours() -> None:
    clock = Clock()
    access = Access()
    logins = StandingLogins(access, clock)
    secret = logins.begin(access.default_user).encode()
    clock.now_s += LASTS_S - 1
    assert logins.user_of(secret) is access.default_user
    clock.now_s += 1
    assert logins.user_of(secret) is None
    assert len(logins) == 0


def test_beyond_a_bound_the_oldest_ends() -> None:
    access = Access()
    logins = StandingLogins(access, Clock())
    secrets = [logins.begin(access.default_user).encode() for _ in range(standing_logins.MOST + 1)]
    assert logins.user_of(secrets[0]) is None
    assert all(logins.user_of(secret) for secret in secrets[1:])


def test_who_came_in_without_a_password_is_out_when_one_is_asked_for() -> None:
    access = Access()
    logins = StandingLogins(access, Clock())
    secret = logins.begin(access.default_user).encode()
    access.set_password("master")
    assert logins.user_of(secret) is None


def test_a_password_by_which_a_user_may_have_come_in_is_missed() -> None:
    access = Access("old")
    logins = StandingLogins(access, Clock())
    secret = logins.begin(access.default_user).encode()
    access.set_user(b"default", [b">new"], lambda _: None, in_place=True)
    assert logins.user_of(secret) is access.default_user
    access.set_user(b"default", [b"<new"], lambda _: None, in_place=True)
    assert logins.user_of(secret) is access.default_user
    access.set_password("other")
    assert logins.user_of(secret) is None
