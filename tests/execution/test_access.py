"""Passwords: who is let in."""

from __future__ import annotations

import pytest

from keystead.execution.access import Access


@pytest.mark.parametrize(
    ("set_to", "user", "given", "granted"),
    [
        ("", b"default", b"anything", True),
        ("", b"nobody", b"anything", False),
        ("sesame", b"default", b"sesame", True),
        ("sesame", b"default", b"Sesame", False),
        ("sesame", b"default", b"", False),
        ("sesame", b"nobody", b"sesame", False),
        ("pässword", b"default", "pässword".encode(), True),
    ],
)
def test_who_is_let_in(set_to: str, user: bytes, given: bytes, granted: bool) -> None:
    assert Access(set_to).is_granted(user, given) is granted


def test_a_changed_password_holds_at_once() -> None:
    access = Access("one")
    access.set_password("two")
    assert not access.is_granted(b"default", b"one")
    assert access.is_granted(b"default", b"two")
    access.set_password("")
    assert not access.requires_password


def test_the_password_itself_is_not_kept() -> None:
    access = Access("sesame")
    assert "sesame" not in repr(vars(access))
