"""Passwords: who is let in."""

from __future__ import annotations

import pytest

from keystead.execution.access import Access


def let_in(access: Access, name: bytes, password: bytes) -> str | None:
    """Whom the name and password let in; decided in place."""
    answers: list[str | None] = []
    access.check(name, password, lambda user: answers.append(user.name if user else None))
    (answer,) = answers
    return answer


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
    assert (let_in(Access(set_to), user, given) is not None) is granted


def test_a_changed_password_holds_at_once() -> None:
    access = Access("one")
    access.set_password("two")
    assert let_in(access, b"default", b"one") is None
    assert let_in(access, b"default", b"two") == "default"
    access.set_password("")
    assert not access.requires_password


def test_the_password_itself_is_not_kept() -> None:
    access = Access("sesame")
    assert "sesame" not in repr(vars(access))
