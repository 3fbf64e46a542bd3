"""What a user may do: which commands, on which keys and channels.

Values without identity: equal permissions are equal, so that a table of commands made for one serves for the other.
A user has a root selector and any number of further ones; a command may run if one of them alone allows all of it.
Must not know: users, passwords, how rules are written (`keystead.execution.acl_rules`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from keystead.commands.catalogue import REGISTRY
from keystead.commands.declaration import Command
from keystead.commands.documentation import categories, every_command
from keystead.commands.glob import compile_glob, literal_prefix

Reason: TypeAlias = Literal["command", "key", "channel"]
_WEIGHT = {"command": 0, "key": 1, "channel": 2}

_WRITING_FLAGS = frozenset(("INSERT", "DELETE", "UPDATE"))


class Denial(NamedTuple):
    """Why a command may not run: `object` is the command's name, the key or the channel; `at` its position."""

    reason: Reason
    object: bytes
    at: int = 0

    @property
    def error(self) -> str:
        """The error reply, in Redis' words."""
        if self.reason == "command":
            name = self.object.decode("utf-8", "surrogateescape")
            return f"NOPERM this user has no permissions to run the '{name}' command"
        return f"NOPERM this user has no permissions to access one of the {self.reason}s used as arguments"


# --- commands --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CommandRules:
    """Which commands: all or none to begin with, then rules that give and take, in order.

    A rule is "+get", "-config|set", "+@read" or, for one first argument of a command, "+select|0"; in small letters.
    Categories stay categories: a command that a later version adds to one is allowed by it.
    """

    begin_with_all: bool = False
    rules: tuple[str, ...] = ()

    def and_then(self, rule: str) -> CommandRules:
        """With one more rule; earlier ones on the same name (or on a subcommand of it) mean nothing any more."""
        name = rule[1:]
        kept = (old for old in self.rules if old[1:] != name and not old[1:].startswith(name + "|"))
        return CommandRules(self.begin_with_all, (*kept, rule))

    def __str__(self) -> str:
        return " ".join(("+@all" if self.begin_with_all else "-@all", *self.rules))


class Granted(NamedTuple):
    """What rules come to: full names of commands, and first arguments allowed of commands that are not."""

    names: frozenset[str]
    first_arguments: dict[str, frozenset[bytes]]


@lru_cache(maxsize=1024)
def granted(rules: CommandRules) -> Granted:
    """The commands that *rules* allow."""
    names = {command.name for command in every_command()} if rules.begin_with_all else set()
    first_arguments: dict[str, frozenset[bytes]] = {}
    for rule in rules.rules:
        name = rule[1:]
        concerned = list(_concerned(name))
        if concerned:
            (names.update if rule[0] == "+" else names.difference_update)(concerned)
            for command in concerned:
                first_arguments.pop(command, None)
        else:
            command, _, argument = name.rpartition("|")
            first_arguments[command] = first_arguments.get(command, frozenset()) | {_bytes(argument)}
    return Granted(frozenset(names), first_arguments)


def _concerned(name: str) -> Iterator[str]:
    """Full names of the commands that a rule on *name* gives or takes: a container's with its subcommands'."""
    if name.startswith("@"):
        chosen = [command for command in every_command() if name[1:] in categories(command)]
    else:
        found = command_named(name)
        chosen = [found] if found else []
    for command in chosen:
        yield command.name
        yield from (sub.name for sub in command.subcommands.values())


def command_named(name: str) -> Command | None:
    """The command, or the subcommand ("config|get"), of that full name in any case."""
    parent, _, sub = _bytes(name.lower()).partition(b"|")
    found = REGISTRY.get(parent)
    return found.subcommands.get(sub) if found and sub else found


# --- keys ------------------------------------------------------------------------------------------------------------


class KeyPattern(NamedTuple):
    """Keys that may be read, written, or both."""

    pattern: bytes
    may_read: bool = True
    may_write: bool = True

    def __str__(self) -> str:
        prefix = "~" if self.may_read and self.may_write else "%R~" if self.may_read else "%W~"
        return prefix + _text(self.pattern)


class KeyUse(NamedTuple):
    """One key of a call and what is done with it; neither for one that is only looked for (EXISTS, WATCH)."""

    at: int
    key: bytes
    reads: bool
    writes: bool


def keys_used(command: Command, args: list[bytes]) -> list[KeyUse]:
    """The keys of a call, by the declaration."""
    found = []
    for spec in command.key_specs:
        flags = spec.flags_in(args)
        if "NOT_KEY" not in flags:
            reads, writes = "ACCESS" in flags, not _WRITING_FLAGS.isdisjoint(flags)
            found += [KeyUse(at, args[at], reads, writes) for at in spec.positions(args)]
    return found


# --- selectors -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Selector:
    """Commands with the keys and channels that they may touch."""

    commands: CommandRules = CommandRules()
    all_keys: bool = False
    patterns: tuple[KeyPattern, ...] = ()
    all_channels: bool = False
    channels: tuple[bytes, ...] = ()

    @property
    def is_unrestricted(self) -> bool:
        return self.commands == CommandRules(begin_with_all=True) and self.all_keys and self.all_channels

    def allows(self, command: Command, args: list[bytes]) -> bool:
        """Whether the command may run, its keys aside. What leads to a login always may."""
        names, first_arguments = granted(self.commands)
        if command.name in names or "no_auth" in command.flags:
            return True
        return len(args) > 1 and args[1].lower() in first_arguments.get(command.name, ())

    def covers(self, key: bytes, *, reads: bool, writes: bool) -> bool:
        """Whether the key may be used so."""
        if self.all_keys:
            return True
        return any(
            (pattern.may_read or not reads) and (pattern.may_write or not writes) and compile_glob(pattern.pattern)(key)
            for pattern in self.patterns
        )

    def may_read_below(self, prefix: bytes) -> bool:
        """Whether there can be keys beginning so that may be read: False is certain, True is not."""
        if self.all_keys:
            return True
        beginnings = (literal_prefix(pattern.pattern) for pattern in self.patterns if pattern.may_read)
        return any(each.startswith(prefix) or prefix.startswith(each) for each in beginnings)

    def covers_channel(self, channel: bytes, *, as_pattern: bool = False) -> bool:
        """Whether a channel may be used; a pattern to subscribe to (PSUBSCRIBE) only if it is one of ours."""
        if self.all_channels:
            return True
        if as_pattern:
            return channel in self.channels
        return any(compile_glob(pattern)(channel) for pattern in self.channels)

    def denial(self, command: Command, args: list[bytes], keys: list[KeyUse]) -> Denial | None:
        """Why this selector does not allow the call; None if it does."""
        if not self.allows(command, args):
            return Denial("command", _bytes(command.name))
        for at, key, reads, writes in keys:
            if not self.covers(key, reads=reads, writes=writes):
                return Denial("key", key, at)
        return None

    def words(self) -> list[str]:
        """As ACL LIST writes it."""
        keys = ["~*"] if self.all_keys else [str(pattern) for pattern in self.patterns]
        channels = ["&*"] if self.all_channels else ["resetchannels", *("&" + _text(each) for each in self.channels)]
        return [*keys, *channels, str(self.commands)]


@dataclass(frozen=True, slots=True)
class Permissions:
    """The selectors of one user, the root first."""

    selectors: tuple[Selector, ...] = (Selector(),)

    @property
    def root(self) -> Selector:
        return self.selectors[0]

    @property
    def is_unrestricted(self) -> bool:
        """Everything is allowed; nothing need ever be asked."""
        return any(selector.is_unrestricted for selector in self.selectors)

    def denial(self, command: Command, args: list[bytes]) -> Denial | None:
        """Why a call is refused, None when it may run. Of several selectors' reasons it is that of the one that came
        furthest: the command is allowed but a key is not; a later key rather than an earlier one."""
        keys = keys_used(command, args)
        worst: Denial | None = None
        for selector in self.selectors:
            found = selector.denial(command, args, keys)
            if found is None:
                return None
            if worst is None or (_WEIGHT[found.reason], found.at) > (_WEIGHT[worst.reason], worst.at):
                worst = found
        return worst

    def always_allow(self, command: Command) -> bool:
        """No arguments can make the command forbidden: one selector has it, and all keys."""
        return any(
            selector.allows(command, []) and (selector.all_keys or not command.key_specs) for selector in self.selectors
        )

    def may_read_key(self, key: bytes) -> bool:
        """A selector that has any command that reads keys covers the key for reading."""
        return any(selector.covers(key, reads=True, writes=False) for selector in self._that_read())

    def may_read_below(self, prefix: bytes) -> bool:
        """Whether there can be keys beginning so that may be read: False is certain, True is not."""
        return any(selector.may_read_below(prefix) for selector in self._that_read())

    @property
    def may_read_all(self) -> bool:
        return any(selector.all_keys for selector in self._that_read())

    @property
    def may_write(self) -> bool:
        """Whether there are a command that changes keys, and keys for it."""
        writing = _writing_commands()
        return any(
            not writing.isdisjoint(granted(each.commands).names)
            and (each.all_keys or any(pattern.may_write for pattern in each.patterns))
            for each in self.selectors
        )

    @property
    def may_administer(self) -> bool:
        """Whether every command that administers the server is allowed."""
        administering = _administering_commands()
        return any(administering <= granted(each.commands).names for each in self.selectors)

    def _that_read(self) -> Iterator[Selector]:
        reading = _reading_commands()
        return (each for each in self.selectors if not reading.isdisjoint(granted(each.commands).names))


@lru_cache(maxsize=1)
def _reading_commands() -> frozenset[str]:
    return frozenset(each.name for each in every_command() if "readonly" in each.flags and each.key_specs)


@lru_cache(maxsize=1)
def _writing_commands() -> frozenset[str]:
    return frozenset(each.name for each in every_command() if "write" in each.flags and each.key_specs)


@lru_cache(maxsize=1)
def _administering_commands() -> frozenset[str]:
    return frozenset(each.name for each in every_command() if "admin" in each.flags)


UNRESTRICTED = Permissions((Selector(CommandRules(begin_with_all=True), all_keys=True, all_channels=True),))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
