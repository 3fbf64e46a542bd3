"""The words in which Redis' ACL describes a user, read and written.

    alice on #… ~app:* %R~shared:* resetchannels -@all +@read +set (~tmp:* resetchannels +@all)

A word changes a definition; definitions are values, so a list of words is applied to a copy that is taken or thrown
away as a whole. Must not know: which users there are, sessions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from keystead.commands.documentation import CATEGORIES
from keystead.execution.passwords import Password, Sha256, hashed, parsed
from keystead.execution.permissions import (
    UNRESTRICTED,
    CommandRules,
    KeyPattern,
    Permissions,
    Selector,
    command_named,
)

Sanitize: TypeAlias = Literal["", "skip-sanitize-payload", "sanitize-payload"]

SYNTAX = "Syntax error"
UNKNOWN_NAME = "Unknown command or category name in ACL"
NO_FIRST_ARGUMENT = "Allowing first-arg of a subcommand is not supported"
NOT_A_HASH = "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
NO_SUCH_PASSWORD = "The password you are trying to remove from the user does not exist"
AFTER_EVERYTHING = (
    "Adding a pattern after the * pattern (or the '{flag}' flag) is not valid and does not have any effect. "
    "Try '{reset}' to start with an empty list of {what}"
)

ROLES: dict[str, tuple[str, ...]] = {
    "role:read": ("-@all", "+@read", "+@connection", "+@transaction", "+acl|whoami", "-@dangerous"),
    "role:write": ("-@all", "+@read", "+@write", "+@connection", "+@transaction", "+acl|whoami", "-@dangerous"),
    "role:admin": ("+@all",),
}
"""Ours: each stands for the words behind it, is replaced by them at once, and is never shown."""


class RuleRefused(Exception):
    """A word that makes no sense. `text` is the word, `reason` Redis' sentence about it."""

    def __init__(self, text: bytes, reason: str) -> None:
        super().__init__(text, reason)
        self.text = text
        self.reason = reason


class UnmatchedParenthesis(Exception):
    """A selector that does not end. `text` is the word in which it begins."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class Definition:
    """All there is to say of a user but the name. A new one may do nothing."""

    is_on: bool = False
    needs_no_password: bool = False
    sanitize: Sanitize = ""
    """Redis' switch for RESTORE, which is not there yet; kept and shown."""
    passwords: tuple[Password, ...] = ()
    permissions: Permissions = field(default_factory=Permissions)

    def flags(self) -> list[str]:
        """As ACL GETUSER shows them."""
        found = ["on" if self.is_on else "off"]
        if self.needs_no_password:
            found.append("nopass")
        return [*found, self.sanitize] if self.sanitize else found

    def words(self) -> list[str]:
        """As ACL LIST and the ACL file write it; applied to a new user they give this definition again."""
        root, *others = self.permissions.selectors
        passwords = [f"#{password}" for password in self.passwords]
        return [*self.flags(), *passwords, *root.words(), *(f"({' '.join(other.words())})" for other in others)]

    def to_keep(self) -> Definition:
        """What belongs into the ACL file. The password of the settings does not; a user who has no other had none
        before the settings gave him one."""
        kept = tuple(each for each in self.passwords if not (isinstance(each, Sha256) and each.from_settings))
        if len(kept) == len(self.passwords):
            return self
        return replace(self, passwords=kept, needs_no_password=not kept)


DEFAULT = Definition(is_on=True, needs_no_password=True, permissions=UNRESTRICTED)
"""The default user, before anybody has changed it."""


def merged(words: Iterable[bytes]) -> list[bytes]:
    """The words, those between parentheses as one. UnmatchedParenthesis."""
    found: list[bytes] = []
    opened: list[bytes] = []
    for word in words:
        if word.startswith(b"(") and not word.endswith(b")"):
            opened = [word]
        elif opened:
            opened.append(word)
            if word.endswith(b")"):
                found.append(b" ".join(opened))
                opened = []
        else:
            found.append(word)
    if opened:
        raise UnmatchedParenthesis(opened[0])
    return found


def is_slow(words: Iterable[bytes]) -> bool:
    """Whether applying the words computes scrypt, and so belongs into another thread."""
    return any(word[:1] in (b">", b"<") for word in words)


def applied(definition: Definition, words: Iterable[bytes]) -> Definition:
    """The definition after *words*, which are merged. RuleRefused names the first that makes no sense."""
    for word in words:
        try:
            definition = _after(definition, word)
        except _Wrong as wrong:
            raise RuleRefused(word, str(wrong)) from None
    return definition


class _Wrong(Exception):
    """Why the word at hand makes no sense."""


def _after(definition: Definition, word: bytes) -> Definition:
    match word.lower():
        case b"":
            return definition
        case b"on" | b"off" as switch:
            return replace(definition, is_on=switch == b"on")
        case b"skip-sanitize-payload":
            return replace(definition, sanitize="skip-sanitize-payload")
        case b"sanitize-payload":
            return replace(definition, sanitize="sanitize-payload")
        case b"nopass":
            return replace(definition, needs_no_password=True, passwords=())
        case b"resetpass":
            return replace(definition, needs_no_password=False, passwords=())
        case b"clearselectors":
            return replace(definition, permissions=Permissions((definition.permissions.root,)))
        case b"reset":
            return Definition(sanitize="sanitize-payload")
        case role if _text(role) in ROLES:
            return applied(definition, [part.encode() for part in ROLES[_text(role)]])
    if word[:1] in b"><#!":
        return _with_passwords(definition, word)
    selectors = definition.permissions.selectors
    if word.startswith(b"(") and word.endswith(b")"):
        further = Selector()
        for part in word[1:-1].split():
            further = _selector_after(further, part)
        return replace(definition, permissions=Permissions((*selectors, further)))
    root = _selector_after(selectors[0], word)
    return replace(definition, permissions=Permissions((root, *selectors[1:])))


def _with_passwords(definition: Definition, word: bytes) -> Definition:
    """`>password`, `#hash`, `<password`, `!hash`. A password is there already when it fits one that is."""
    sign, text = word[:1], word[1:]
    record = None
    if sign in b"#!":
        record = parsed(_text(text))
        if record is None:
            raise _Wrong(NOT_A_HASH)
        meant = [each for each in definition.passwords if str(each) == str(record)]
    else:
        meant = [each for each in definition.passwords if each.fits(text)]
    if sign in b"<!":
        if not meant:
            raise _Wrong(NO_SUCH_PASSWORD)
        return replace(definition, passwords=tuple(each for each in definition.passwords if each not in meant))
    added = () if meant else (record or hashed(text),)
    return replace(definition, needs_no_password=False, passwords=(*definition.passwords, *added))


def _selector_after(selector: Selector, word: bytes) -> Selector:
    match word.lower():
        case b"allkeys" | b"~*":
            return replace(selector, all_keys=True, patterns=())
        case b"resetkeys":
            return replace(selector, all_keys=False, patterns=())
        case b"allchannels" | b"&*":
            return replace(selector, all_channels=True, channels=())
        case b"resetchannels":
            return replace(selector, all_channels=False, channels=())
        case b"allcommands" | b"+@all":
            return replace(selector, commands=CommandRules(begin_with_all=True))
        case b"nocommands" | b"-@all":
            return replace(selector, commands=CommandRules())
    match word[:1]:
        case b"~" | b"%":
            return _with_keys(selector, word)
        case b"&":
            return _with_channel(selector, word[1:])
        case b"+" | b"-":
            return replace(selector, commands=selector.commands.and_then(_command_rule(_text(word.lower()))))
    raise _Wrong(SYNTAX)


def _with_keys(selector: Selector, word: bytes) -> Selector:
    if selector.all_keys:
        raise _Wrong(AFTER_EVERYTHING.format(flag="allkeys", reset="resetkeys", what="patterns"))
    access, _, pattern = word.partition(b"~")
    letters = access[1:].upper() if access else b"RW"
    if letters not in (b"R", b"W", b"RW", b"WR") or _has_spaces(pattern):
        raise _Wrong(SYNTAX)
    added = KeyPattern(pattern, b"R" in letters, b"W" in letters)
    patterns = list(selector.patterns)
    for at, old in enumerate(patterns):
        if old.pattern == pattern:
            patterns[at] = KeyPattern(pattern, old.may_read or added.may_read, old.may_write or added.may_write)
            return replace(selector, patterns=tuple(patterns))
    return replace(selector, patterns=(*patterns, added))


def _with_channel(selector: Selector, pattern: bytes) -> Selector:
    if selector.all_channels:
        raise _Wrong(AFTER_EVERYTHING.format(flag="allchannels", reset="resetchannels", what="channels"))
    if _has_spaces(pattern):
        raise _Wrong(SYNTAX)
    if pattern in selector.channels:
        return selector
    return replace(selector, channels=(*selector.channels, pattern))


def _command_rule(rule: str) -> str:
    """The rule, if there is what it names. Nothing is ever granted or taken silently that does not exist."""
    sign, name = rule[0], rule[1:]
    if name.startswith("@"):
        if name[1:] not in CATEGORIES:
            raise _Wrong(UNKNOWN_NAME)
        return rule
    parent, bar, argument = name.rpartition("|")
    if sign == "-" or not bar:
        if command_named(name) is None:
            raise _Wrong(UNKNOWN_NAME)
        return rule
    command = command_named(parent)
    if command is None:
        raise _Wrong(UNKNOWN_NAME)
    if "|" in command.name:
        raise _Wrong(NO_FIRST_ARGUMENT)
    if not argument:
        raise _Wrong(SYNTAX)
    if command.subcommands and command_named(name) is None:
        raise _Wrong(UNKNOWN_NAME)
    return rule


def _has_spaces(text: bytes) -> bool:
    return any(byte in b" \t\n\v\f\r\0" for byte in text)


def is_valid_name(name: bytes) -> bool:
    """Whether a user may have the name: it must stay one word of a line."""
    return not _has_spaces(name)


def _text(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
