"""Passwords are checked elsewhere, two at a time, and not again for five minutes."""

from __future__ import annotations

import pytest

from asides import ManualAside
from keystead.execution import logins as module
from keystead.execution.acl_rules import Definition, applied
from keystead.execution.logins import Logins, TooManyLogins
from keystead.execution.passwords import Sha256, hashed, sha256
from keystead.execution.users import User

RECORD = hashed(b"sesame")


class Scene:
    """Logins whose clock and threads are the test's."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.aside = ManualAside()
        self.logins = Logins(self.aside, lambda: self.now_s)
        self.answers: list[str | None] = []

    def check(self, user: User | None, password: bytes) -> None:
        self.logins.check(user, password, lambda found: self.answers.append(found.name if found else None))


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def alice() -> User:
    return User(b"alice", Definition(is_on=True, passwords=(RECORD,)))


def test_the_answer_comes_when_the_hash_is_computed(scene: Scene, alice: User) -> None:
    scene.check(alice, b"sesame")
    scene.check(alice, b"wrong")
    assert scene.answers == []
    scene.aside.finish()
    assert scene.answers == ["alice", None]


def test_a_right_password_is_remembered_for_five_minutes(scene: Scene, alice: User) -> None:
    assert not scene.logins.fits_at_once(alice, b"sesame")
    scene.check(alice, b"sesame")
    scene.aside.finish()
    assert scene.logins.fits_at_once(alice, b"sesame")
    assert not scene.logins.fits_at_once(alice, b"wrong")
    scene.now_s += 299
    assert scene.logins.fits_at_once(alice, b"sesame")
    scene.now_s += 1
    assert not scene.logins.fits_at_once(alice, b"sesame")


def test_nothing_of_the_password_itself_is_remembered(scene: Scene, alice: User) -> None:
    scene.check(alice, b"sesame")
    scene.aside.finish()
    assert "sesame" not in repr(vars(scene.logins))
    assert sha256(b"sesame") not in scene.logins._remembered


def test_a_changed_user_is_forgotten(scene: Scene, alice: User) -> None:
    bob = User(b"bob", alice.definition)
    for user in (alice, bob):
        scene.check(user, b"sesame")
    scene.aside.finish()
    scene.logins.forget(alice)
    assert not scene.logins.fits_at_once(alice, b"sesame")
    assert scene.logins.fits_at_once(bob, b"sesame")


def test_who_was_changed_while_the_hash_was_computed_is_not_let_in(scene: Scene, alice: User) -> None:
    scene.check(alice, b"sesame")
    alice.definition = applied(alice.definition, [b"off"])
    scene.aside.finish()
    assert scene.answers == [None]
    alice.definition = applied(alice.definition, [b"on"])
    assert not scene.logins.fits_at_once(alice, b"sesame")


@pytest.mark.parametrize(
    "user",
    [
        None,
        User(b"u", Definition(is_on=False, passwords=(RECORD,))),
        User(b"u", Definition(is_on=True)),
        User(b"u", Definition(is_on=True, passwords=(Sha256(sha256(b"other")),))),
        User(b"u", Definition(is_on=False, needs_no_password=True)),
    ],
    ids=["nobody", "off", "without a password", "with a SHA-256", "off and without need"],
)
def test_whoever_is_refused_cost_one_hash(scene: Scene, user: User | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the time an answer takes does not tell which users there are."""
    hashes = []
    monkeypatch.setattr(type(RECORD), "fits", lambda _record, password: hashes.append(password))
    if user is not None:
        assert not scene.logins.fits_at_once(user, b"sesame")
    scene.check(user, b"sesame")
    scene.aside.finish()
    assert (scene.answers, hashes) == ([None], [b"sesame"])


def test_cheap_records_are_told_at_once(scene: Scene) -> None:
    user = User(b"u", Definition(is_on=True, passwords=(Sha256(sha256(b"one")), Sha256(sha256(b"two")))))
    assert scene.logins.fits_at_once(user, b"two")
    assert scene.logins.fits_at_once(user, b"one")
    assert not scene.logins.fits_at_once(user, b"three")


def test_only_so_many_wait(scene: Scene, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(RECORD), "fits", lambda _record, password: password == b"sesame")
    for _ in range(module.MOST_WAITING):
        scene.check(alice, b"wrong")
    with pytest.raises(TooManyLogins, match="try again"):
        scene.check(alice, b"sesame")
    scene.aside.finish()
    scene.check(alice, b"sesame")
    scene.aside.finish()
    assert scene.answers[-1] == "alice"


def test_only_so_much_is_remembered(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 2)
    monkeypatch.setattr(type(RECORD), "fits", lambda _record, _password: True)
    users = [User(b"u%d" % number, Definition(is_on=True, passwords=(RECORD,))) for number in range(3)]
    for user in users:
        scene.check(user, b"x")
    scene.aside.finish()
    assert [scene.logins.fits_at_once(user, b"x") for user in users] == [False, True, True]
