"""How a command is declared: once, above its handler.

    @command(
        "EXPIRE key seconds [NX | XX | GT | LT]",
        group="generic", since="1.0.0", flags="write fast", keys="RW UPDATE", reads="latest", complexity="O(1)",
        summary="Sets the expiration time of a key in seconds.",
    )
    def expire(session: Session, key: bytes, seconds: int, *, nx: bool = False, …) -> int: …

Everything else that is known about a command is a view of this: its parser, arity, key positions, permissions, COMMAND
INFO and DOCS, docs/commands.md. Must not know: any particular command, sessions, replies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

from keystead.commands import key_positions
from keystead.commands.grammar import Convert, Parsed, compile_parser
from keystead.commands.key_positions import ExactFlags, KeySpec
from keystead.commands.placement import Place, place_of
from keystead.commands.syntax import Sequence, maximum, minimum, read_syntax

Reads: TypeAlias = Literal["nothing", "durable", "latest"]
Takes: TypeAlias = Literal["parsed", "args"]
Handler: TypeAlias = Callable[..., Any]
AnyHandler = TypeVar("AnyHandler", bound=Handler)

FLAGS = (
    *("write", "readonly", "denyoom", "admin", "pubsub", "noscript", "blocking", "loading", "stale"),
    *("skip_monitor", "skip_slowlog", "asking", "fast", "no_auth", "may_replicate", "no_mandatory_keys"),
    *("protected", "no_async_loading", "no_multi", "movablekeys", "allow_busy"),
)
"""In the order in which COMMAND INFO of Redis 7.0 lists them."""


@dataclass(frozen=True, eq=False, slots=True)
class Command:
    """One declaration with what follows from it."""

    name: str
    """In small letters; a subcommand with its container's: "client|id"."""
    syntax: str
    arguments: Sequence
    handler: Handler
    raw: bool
    """The handler is the runner: it takes `(session, args)`, returns the encoded reply, records at most one operation,
    and unpacks its arguments itself: a ValueError from that is answered as a wrong number of arguments."""
    takes: Takes
    """What other handlers take: parsed arguments, or the list of them all, the name included."""
    encoded: bool
    """The handler returns an encoded reply (or a Promise of one) instead of a value."""
    by_columns: Callable[..., bytes | None] | None
    flags: frozenset[str]
    reads: Reads
    connection_state: bool
    """It changes what the commands after it on the same connection mean, or what comes out of the connection. Where
    each request stands for itself, as over HTTP, it is refused."""
    group: str
    since: str
    summary: str
    complexity: str
    acl: tuple[str, ...]
    """Permission categories beside those that follow from group and flags."""
    hints: tuple[str, ...]
    history: tuple[tuple[str, str], ...]
    deprecated: tuple[str, str] | None
    """(since, replaced by)."""
    key_specs: tuple[KeySpec, ...]
    place: Place
    """Where it runs when the data is in a cluster."""
    parse: Callable[[list[bytes]], Parsed]
    minimum: int
    """Arguments at least, the name included."""
    maximum: int | None
    subcommands: dict[bytes, Command] = field(default_factory=dict)
    """By name in small letters, for a container such as CLIENT."""

    @property
    def arity(self) -> int:
        """As COMMAND INFO has it: exact when positive, at least when negative."""
        return self.minimum if self.maximum == self.minimum and not self.subcommands else -self.minimum

    @property
    def arity_error(self) -> str:
        return wrong_number(self.name)

    def accepts(self, count: int) -> bool:
        """Whether *count* arguments, the name included, are a number Redis' arity check lets pass."""
        return count == self.minimum if self.arity > 0 else count >= self.minimum

    def of(self, args: list[bytes]) -> Command | None:
        """The declaration that *args* call for: this one or one of its subcommands; None for an unknown subcommand."""
        if not self.subcommands or (len(args) < 2 and self.minimum == 1):
            return self
        return self.subcommands.get(args[1].lower()) if len(args) > 1 else self


REGISTRY: dict[bytes, Command] = {}
"""Every command declared so far, by name in small letters. `keystead.commands.catalogue` declares them all."""


def called_command(args: list[bytes]) -> Command | None:
    """The declaration that *args* call for; None for an unknown command or subcommand."""
    found = REGISTRY.get(args[0].lower())
    return found and found.of(args)


def wrong_number(name: str) -> str:
    """Redis' reply to a wrong number of arguments."""
    return f"ERR wrong number of arguments for '{name}' command"


def command(
    syntax: str,
    *,
    group: str,
    since: str,
    summary: str,
    complexity: str = "O(1)",
    flags: str = "",
    reads: Reads = "latest",
    connection_state: bool = False,
    keys: str = "",
    keys_exactly: ExactFlags | None = None,
    key_specs: tuple[KeySpec, ...] | None = None,
    raw: bool = False,
    takes: Takes = "parsed",
    encoded: bool = False,
    by_columns: Callable[..., bytes | None] | None = None,
    types: Mapping[str, Convert] | None = None,
    acl: str = "",
    hints: str = "",
    cluster: Place | None = None,
    history: tuple[tuple[str, str], ...] = (),
    deprecated: tuple[str, str] | None = None,
) -> Callable[[AnyHandler], AnyHandler]:
    """Declare the decorated function as the handler of the command whose manual page has the line *syntax*.

    *keys*: Redis' key flags, one group for each key specification in the syntax, separated by `/`:
    "RO ACCESS / OW UPDATE"; *keys_exactly* tells those of a call where VARIABLE_FLAGS stands. *types*: readings of
    placeholders that differ from what their names stand for.
    *reads*: whether the reply depends on data. "nothing": no; "durable": only on plain reads of the durable view;
    "latest": on current memory, so that the reply waits until that is durable.
    *cluster*: where it runs when the data is in one, if that does not follow from keys and hints.
    *by_columns*: runs many of this command, which must be raw, in one go; see `commands.table.ColumnRunner`.
    """

    def declare(handler: AnyHandler) -> AnyHandler:
        name, arguments = read_syntax(syntax)
        words = name.count("|") + 1
        most = maximum(arguments)
        plain_parse = raw or takes == "args"
        found = key_positions.specs(arguments, words, keys, keys_exactly) if key_specs is None else key_specs
        marks = set(flags.split())
        if any(spec.is_movable for spec in found):
            marks.add("movablekeys")
        unknown = marks - set(FLAGS)
        if unknown:
            raise ValueError(f"{name}: unknown flags {unknown}")
        declared = Command(
            name=name,
            syntax=syntax,
            arguments=arguments,
            handler=handler,
            raw=raw,
            takes=takes,
            encoded=encoded,
            by_columns=by_columns,
            flags=frozenset(marks),
            reads=reads,
            connection_state=connection_state,
            group=group,
            since=since,
            summary=summary,
            complexity=complexity,
            acl=tuple(acl.split()),
            hints=tuple(hints.split()),
            history=history,
            deprecated=deprecated,
            key_specs=found,
            place=place_of(cluster, tuple(hints.split()), has_keys=bool(found)),
            parse=_whole if plain_parse else compile_parser(arguments, words, types or {}, wrong_number(name)),
            minimum=minimum(arguments) + words,
            maximum=None if most is None else most + words,
        )
        _register(declared)
        return handler

    return declare


def container(
    name: str, *, group: str, since: str, summary: str, complexity: str = "Depends on subcommand.", acl: str = ""
) -> None:
    """Declare the command that carries subcommands, and its HELP; they are declared after it."""

    @command(
        f"{name} subcommand [argument [argument ...]]",
        group=group,
        since=since,
        summary=summary,
        complexity=complexity,
        takes="args",
        reads="nothing",
    )
    def only_subcommands_run(session: object, args: list[bytes]) -> None:
        raise AssertionError("a container is dispatched by its table")

    declare_help(name, group=group, since=since, acl=acl)


def declare_help(name: str, *, group: str, since: str, acl: str = "") -> None:
    """Declare HELP for a container: it lists the declarations of the subcommands."""
    own = REGISTRY[name.lower().encode()]

    @command(
        f"{name} HELP",
        group=group,
        since=since,
        flags="loading stale",
        acl=acl,
        reads="nothing",
        summary="Returns helpful text about the different subcommands.",
    )
    def help_(session: object) -> list[str]:
        lines = [f"{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
        for sub in sorted(own.subcommands.values(), key=lambda sub: (sub.name.endswith("|help"), sub.name)):
            lines += [sub.syntax.removeprefix(name + " "), f"    {sub.summary}"]
        lines[-1] = "    Prints this help."
        return lines


def _whole(args: list[bytes]) -> Parsed:
    return [args], {}


def _register(declared: Command) -> None:
    parent, _, sub = declared.name.partition("|")
    into = REGISTRY[parent.encode()].subcommands if sub else REGISTRY
    key = (sub or parent).encode()
    if key in into:
        raise ValueError(f"{declared.name} is declared twice")
    into[key] = declared
