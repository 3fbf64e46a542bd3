"""Who may come in: the users, their passwords and tokens, and how both are changed.

A change of users holds at once, and is acknowledged when it is in the ACL file, as a write is when it is in the log: a
user who was deleted must not be back after a power cut. Must not know: commands, sessions; who follows a change is
told by `on_change` and `on_delete`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from keystead.errors import CommandError
from keystead.execution.acl_rules import (
    DEFAULT,
    Definition,
    RuleRefused,
    UnmatchedParenthesis,
    applied,
    is_slow,
    is_valid_name,
    merged,
)
from keystead.execution.aside import InPlace
from keystead.execution.logins import Checked, Logins
from keystead.execution.passwords import Sha256, sha256
from keystead.execution.users import DEFAULT_NAME, User

if TYPE_CHECKING:
    from keystead.execution.acl_file import AclFile
    from keystead.execution.aside import Aside

Settled: TypeAlias = Callable[[CommandError | None], None]
"""Told when a change is in effect and saved, or why not."""

NO_FILE = (
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER "
    "command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store "
    "users in the Redis configuration."
)


class Access:
    """The users of one server."""

    def __init__(self, password: str = "", *, file: AclFile | None = None, aside: Aside | None = None) -> None:
        """*password* of the default user; with "" it is what the file says, which without a file is none. What the
        file holds is read: raises ConfigurationError."""
        self.file = file
        self._aside: Aside = aside or InPlace()
        self.logins = Logins(self._aside)
        self.on_change: Callable[[User], None] = lambda _: None
        self.on_delete: Callable[[User], None] = lambda _: None
        self.default_user = User(DEFAULT_NAME, DEFAULT)
        self._users: dict[bytes, User] = {DEFAULT_NAME: self.default_user}
        self._tokens: dict[bytes, User] | None = None
        """By SHA-256; None when it has to be made again."""
        self._setting = _record_of(password)
        self._put_all(file.read() if file is not None else {})

    # --- who there is ------------------------------------------------------------------------------------------------

    @property
    def requires_password(self) -> bool:
        """Whether a new client must log in."""
        default = self.default_user.definition
        return not (default.is_on and default.needs_no_password)

    def users(self) -> list[User]:
        """All users, by name."""
        return [self._users[name] for name in sorted(self._users)]

    def user(self, name: bytes) -> User | None:
        """The user of that name, if there is one."""
        return self._users.get(name)

    # --- letting in --------------------------------------------------------------------------------------------------

    def check(self, name: bytes, password: bytes, done: Checked) -> None:
        """Call *done* with the user whose name and password these are, or with None; at once or later.

        Raises TooManyLogins.
        """
        user = self._users.get(name)
        if user is not None and self.logins.fits_at_once(user, password):
            done(user)
        else:
            self.logins.check(user, password, done)

    def check_at_once(self, name: bytes, password: bytes) -> User | None:
        """The user, if that can be told without waiting: it needs no slow comparison, or was let in a moment ago."""
        user = self._users.get(name)
        return user if user is not None and self.logins.fits_at_once(user, password) else None

    def user_of_token(self, token: bytes) -> User | None:
        """The user who has that random token. A password is none, however it is stored."""
        if self._tokens is None:
            self._tokens = {
                record.digest: user
                for user in self._users.values()
                for record in user.definition.passwords
                if isinstance(record, Sha256) and record.is_token
            }
        # A look-up by digest: how long it takes tells about digests, of which nobody can choose one.
        user = self._tokens.get(sha256(token))
        return user if user is not None and user.definition.is_on else None

    def certified(self, name: str | None) -> User | None:
        """The user whom a certificate that was believed names; None for nobody who may log in."""
        user = self._users.get(name.encode("utf-8", "surrogateescape")) if name is not None else None
        return user if user is not None and user.definition.is_on else None

    # --- changing ----------------------------------------------------------------------------------------------------

    def set_password(self, password: str) -> None:
        """CONFIG SET requirepass: it is the only password of the default user; "" lets everybody in. Clients that are
        logged in stay so."""
        self._setting = _record_of(password)
        passwords = (self._setting,) if self._setting is not None else ()
        default = replace(self.default_user.definition, passwords=passwords, needs_no_password=not passwords)
        self._put(DEFAULT_NAME, default)

    def set_user(self, name: bytes, words: list[bytes], done: Settled, *, in_place: bool = False) -> None:
        """ACL SETUSER: create or change a user. *in_place*: *done* is called before this returns, whatever it takes.

        Raises CommandError when the words make no sense; nothing has changed then.
        """
        if not is_valid_name(name):
            raise CommandError("ERR Usernames can't contain spaces or null characters")
        try:
            whole = merged(words)
        except UnmatchedParenthesis as opened:
            raise CommandError(
                f"ERR Unmatched parenthesis in acl selector starting at '{_text(opened.text)}'."
            ) from None
        before = self._definition(name)

        def work() -> Definition | CommandError:
            try:
                return applied(before, whole)
            except RuleRefused as refused:
                return CommandError(f"ERR Error in ACL SETUSER modifier '{_text(refused.text)}': {refused.reason}")

        def worked(outcome: Definition | CommandError) -> None:
            if self._definition(name) is not before:  # somebody else was quicker: once more, upon that
                self.set_user(name, words, done, in_place=in_place)
            elif isinstance(outcome, CommandError):
                done(outcome)
            else:
                self._put(name, outcome)
                self.keep(done, in_place=in_place)

        if in_place or not is_slow(whole):
            worked(work())
        else:
            self._aside.compute(work, worked)

    def _definition(self, name: bytes) -> Definition:
        user = self._users.get(name)
        return user.definition if user is not None else _NEW

    def delete_users(self, names: Iterable[bytes]) -> int:
        """ACL DELUSER: how many there were. Raises CommandError for the default user, which stays. It is for the caller
        to have the file written (`keep`)."""
        doomed = set(names)
        if DEFAULT_NAME in doomed:
            raise CommandError("ERR The 'default' user cannot be removed")
        found = [name for name in doomed if name in self._users]
        for name in found:
            self._delete(name)
        return len(found)

    def save(self, done: Settled, *, in_place: bool = False) -> None:
        """ACL SAVE. Raises CommandError when there is no file to save to."""
        if self.file is None:
            raise CommandError(NO_FILE)
        self.keep(done, in_place=in_place)

    def load(self) -> None:
        """ACL LOAD: all of the file, or, if anything in it makes no sense, nothing. CommandError says what."""
        if self.file is None:
            raise CommandError(NO_FILE)
        found, errors = self.file.read_leniently()
        if errors:
            nothing = "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
            raise CommandError(f"ERR {' '.join(errors)} {nothing}")
        self._put_all(found)

    def keep(self, done: Settled, *, in_place: bool = False) -> None:
        """Write the file, if there is one. A change is in effect before that: a full disk must not keep anybody from
        being shut out."""
        if self.file is None:
            done(None)
            return
        work = self.file.writing({user.key: user.definition for user in self.users()})

        def written(reason: str | None) -> None:
            done(None if reason is None else CommandError(f"ERR the change holds, but only until a restart: {reason}"))

        if in_place:
            written(work())
        else:
            self._aside.write(work, written)

    def _put_all(self, definitions: dict[bytes, Definition]) -> None:
        """These users and no others."""
        definitions = {DEFAULT_NAME: DEFAULT, **definitions}
        if self._setting is not None:
            definitions[DEFAULT_NAME] = replace(
                definitions[DEFAULT_NAME], passwords=(self._setting,), needs_no_password=False
            )
        for name in self._users.keys() - definitions.keys():
            self._delete(name)
        for name, definition in definitions.items():
            self._put(name, definition)

    def _put(self, name: bytes, definition: Definition) -> None:
        self._tokens = None
        user = self._users.get(name)
        if user is None:
            self._users[name] = User(name, definition)
        elif definition != user.definition:
            user.definition = definition
            user.tables = None
            self.logins.forget(user)
            self.on_change(user)

    def _delete(self, name: bytes) -> None:
        self._tokens = None
        user = self._users.pop(name)
        # Whoever still holds it holds a user who may do nothing.
        user.definition = _NEW
        user.tables = None
        self.logins.forget(user)
        self.on_delete(user)


_NEW = Definition()


def _record_of(password: str) -> Sha256 | None:
    """The password of the settings as it is kept. SHA-256: it stands in the configuration in plain text anyway, and a
    wrong guess costs one scrypt all the same (see `logins`)."""
    return Sha256(sha256(password.encode("utf-8", "surrogateescape")), from_settings=True) if password else None


def _text(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
