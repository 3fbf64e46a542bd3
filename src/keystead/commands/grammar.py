"""From a syntax tree to a parser of arguments.

The parser turns `[b"SET", b"k", b"v", b"ex", b"10", b"NX"]` into what the handler is called with:
`handler(session, b"k", b"v", ex=10, nx=True)`.

    key                     a positional argument: bytes, or a number if its name says so (see KINDS)
    key [key ...]           one positional argument: a list; of tuples for `key value [key value ...]`
    AT moment               the word itself, which is not passed, and a positional argument
    <AND | OR | XOR>        one positional argument: the token chosen, in capitals, as str
    [key [key ...]]         the same, possibly empty
    [count]                 a keyword argument: count=…
    [NX | XX]               keyword arguments: nx=True or xx=True
    [EX seconds]            a keyword argument: ex=10; a tuple when the token takes more: limit=(0, 10)
    [GET p [GET p ...]]     a keyword argument: get=[…]

What is absent is not passed: the handler's defaults say what then holds. Options stand in any order and any case; the
same one again replaces the first, two alternatives of one choice are Redis' "ERR syntax error". As in Redis, the whole
syntax is checked before any number, and surplus arguments are a wrong number of them where the syntax has no tokens.

Must not know: sessions, replies, handlers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from keystead.commands import numbers
from keystead.commands.syntax import (
    Choice,
    Node,
    Optional,
    Placeholder,
    Repeat,
    Sequence,
    Token,
    leading_token,
    minimum,
    python_name,
)
from keystead.errors import CommandError

SYNTAX_ERROR = "ERR syntax error"

Convert: TypeAlias = Callable[[Any], Any]
Parsed: TypeAlias = tuple[list[Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a placeholder's name means: the type that COMMAND DOCS gives it, and how its text is read."""

    doc_type: str
    convert: Convert | None = None


STRING = Kind("string")
KEY = Kind("key")
INTEGER = Kind("integer", numbers.integer)
UNIX_TIME = Kind("unix-time", numbers.integer)

KINDS: dict[str, Kind] = {
    **dict.fromkeys(("key", "newkey", "destkey", "source", "destination"), KEY),
    **dict.fromkeys(
        (
            *("seconds", "milliseconds", "increment", "decrement", "offset", "start", "end", "stop", "index", "count"),
            *("len", "rank", "limit", "min-match-len", "db", "numkeys", "client-id", "destination-db"),
        ),
        INTEGER,
    ),
    **dict.fromkeys(("bit", "protover", "timeout", "numreplicas", "numlocal"), Kind("integer")),
    "unix-time-seconds": UNIX_TIME,
    "unix-time-milliseconds": UNIX_TIME,
    "pattern": Kind("pattern"),
    "cursor": Kind("integer", numbers.cursor),
}
"""Placeholders that are not just a string; some are integers that each command reads in its own way. `key1` and `key2`
are read as `key`. A declaration may override the reading with `types={"count": numbers.positive}`."""


def kind_of(placeholder: str) -> Kind:
    """The kind that the placeholder's name stands for."""
    return KINDS.get(placeholder) or KINDS.get(placeholder.rstrip("0123456789")) or STRING


class Parser:
    """Reads the arguments of one command. Calling it raises CommandError for what does not fit the syntax."""

    __slots__ = ("_option_converts", "_plain_count", "_positional_converts", "_skip", "_steps", "_surplus_error")

    def __init__(self, arguments: Sequence, skip: int, types: Mapping[str, Convert], arity_error: str) -> None:
        """*skip*: words of the command's name. *arity_error*: the reply to a wrong number of arguments."""
        has_options = any(map(_has_tokens, arguments.items))
        self._skip = skip
        self._surplus_error = SYNTAX_ERROR if has_options else arity_error
        self._plain_count = _plain_count(arguments.items, skip)
        compiler = _Compiler(types, self._surplus_error)
        self._steps = compiler.steps(arguments.items)
        self._positional_converts = tuple((at, convert) for at, convert in enumerate(compiler.positional) if convert)
        self._option_converts = {name: convert for name, convert in compiler.options.items() if convert}

    def __call__(self, args: list[bytes]) -> Parsed:
        """Positional and keyword arguments for the handler."""
        if len(args) == self._plain_count:
            positional: list[Any] = args[self._skip :]
            for index, convert in self._positional_converts:
                positional[index] = convert(positional[index])
            return positional, {}
        positional = []
        options: dict[str, Any] = {}
        at, count = self._skip, len(args)
        for step, needed_after in self._steps:
            at = step(args, at, count - needed_after, positional, options)
        if at < count:
            raise CommandError(self._surplus_error)
        for index, convert in self._positional_converts:
            positional[index] = convert(positional[index])
        if options and self._option_converts:
            for name, value in options.items():
                reader = self._option_converts.get(name)
                if reader is not None:
                    options[name] = reader(value)
        return positional, options


def compile_parser(
    arguments: Sequence, skip: int, types: Mapping[str, Convert], arity_error: str
) -> Callable[[list[bytes]], Parsed]:
    """A parser for the arguments after the first *skip* words; the plainest shape gets the plainest function."""
    if all(isinstance(item, Placeholder) and item.name not in types for item in arguments.items):
        names = [item.name for item in arguments.items if isinstance(item, Placeholder)]
        if not any(kind_of(name).convert for name in names):
            return lambda args: (args[skip:], {})
    return Parser(arguments, skip, types, arity_error)


Step: TypeAlias = Callable[[list[bytes], int, int, list[Any], dict[str, Any]], int]
"""(args, at, end, positional, options) -> where it stopped. Never reads at *end* or beyond."""


class _Compiler:
    """Steps that match, and beside them how each thing matched is read later."""

    def __init__(self, types: Mapping[str, Convert], misfit_error: str) -> None:
        self._types = types
        self._misfit_error = misfit_error
        self.positional: list[Convert | None] = []
        self.options: dict[str, Convert | None] = {}

    def steps(self, items: tuple[Node, ...]) -> list[tuple[Step, int]]:
        """Each step with the number of arguments that must be left for those after it."""
        found: list[tuple[Step, int]] = []
        at = 0
        while at < len(items):
            block = at
            while block < len(items) and _is_option(items[block]):
                block += 1
            step = self._option_block(items[at:block]) if block > at else self._step(items[at])
            at = max(block, at + 1)
            found.append((step, sum(map(minimum, items[at:]))))
        return found

    def _step(self, item: Node) -> Step:
        match item:
            case Placeholder(name):
                self.positional.append(self._convert(name))
                return _take_one
            case Token(text):
                return _take_word(text.encode())
            case Repeat(inner):
                return self._repeat(inner)
            case Choice(alternatives) if all(isinstance(a, Token) for a in alternatives):
                self.positional.append(None)
                return _take_token({a.text.encode(): a.text for a in alternatives if isinstance(a, Token)})
            case Choice(alternatives) if all(map(leading_token, alternatives)):
                return _required(self._option_block((Optional(item),)))
            case Optional(inner):
                return self._optional(inner)
        raise ValueError(f"too involved for the parser, declare the command with takes='args': {item}")

    def _convert(self, name: str) -> Convert | None:
        return self._types.get(name) or kind_of(name).convert

    def _repeat(self, item: Node) -> Step:
        converts = [self._convert(name) for name in _names(item)]
        width = len(converts)
        if width == 1:
            convert = converts[0]
            self.positional.append(convert and (lambda values: [convert(value) for value in values]))
            return _take_rest
        if any(converts):
            self.positional.append(lambda rows: [_convert_row(row, converts) for row in rows])
        else:
            self.positional.append(None)
        return _take_rows(width, self._misfit_error)

    def _optional(self, item: Node) -> Step:
        """`[count]` or `[start end [BYTE | BIT]]`: keyword arguments named like the placeholders. `[key [key ...]]`: a
        list, which may be empty."""
        if isinstance(item, Repeat):
            return self._repeat(item.item)
        items = item.items if isinstance(item, Sequence) else (item,)
        names: list[str] = []
        inner: list[tuple[Step, int]] = []
        for at, part in enumerate(items):
            if isinstance(part, Placeholder):
                self.options[python_name(part.name)] = self._convert(part.name)
                names.append(python_name(part.name))
            else:
                inner = self.steps(items[at:])
                break
        return _take_optional(names, inner)

    def _option_block(self, items: tuple[Node, ...]) -> Step:
        table: dict[bytes, _Option] = {}
        for item in items:
            inner = item.item if isinstance(item, Optional) else item
            alternatives = inner.alternatives if isinstance(inner, Choice) else (inner,)
            options = [self._option(alternative) for alternative in alternatives]
            for option in options:
                option.conflicts = tuple(other.name for other in options if other is not option)
                table[option.token] = option
        return _take_options(table)

    def _option(self, node: Node) -> _Option:
        if isinstance(node, Repeat):
            option = self._option(node.item)
            option.repeats = True
            convert = self.options[option.name]
            self.options[option.name] = convert and (lambda values: [convert(value) for value in values])
            return option
        head, *rest = node.items if isinstance(node, Sequence) else (node,)
        if not isinstance(head, Token):
            raise ValueError(f"an option begins with a token: {node}")
        option = _Option(python_name(head.text), head.text.encode())
        if len(rest) == 1 and isinstance(rest[0], Choice):
            option.tokens = {a.text.encode(): a.text for a in rest[0].alternatives if isinstance(a, Token)}
            option.width = 1
            self.options[option.name] = None
            return option
        converts = [self._convert(name) for part in rest for name in _names(part)]
        option.width = len(converts)
        if option.width == 1:
            self.options[option.name] = converts[0]
        elif any(converts):
            self.options[option.name] = lambda row: _convert_row(row, converts)
        else:
            self.options[option.name] = None
        return option


class _Option:
    """One token-led option: how many arguments follow, and which other options exclude it."""

    __slots__ = ("conflicts", "name", "repeats", "token", "tokens", "width")

    def __init__(self, name: str, token: bytes) -> None:
        self.name = name
        self.token = token
        self.width = 0
        self.repeats = False
        self.tokens: dict[bytes, str] = {}
        self.conflicts: tuple[str, ...] = ()


def _is_option(item: Node) -> bool:
    if not isinstance(item, Optional):
        return False
    inner = item.item
    return all(map(leading_token, inner.alternatives if isinstance(inner, Choice) else (inner,)))


def _plain_count(items: tuple[Node, ...], skip: int) -> int:
    """With how many arguments nothing optional is there and each is one placeholder's; -1 when that cannot be told."""
    required = [item for item in items if not isinstance(item, Optional)]
    if not all(isinstance(item, Placeholder) for item in required):
        return -1
    empty_lists = any(isinstance(item, Optional) and isinstance(item.item, Repeat) for item in items)
    return -1 if empty_lists else skip + len(required)


def _has_tokens(node: Node) -> bool:
    match node:
        case Token():
            return True
        case Sequence(items) | Choice(items):
            return any(map(_has_tokens, items))
        case Optional(item) | Repeat(item):
            return _has_tokens(item)
    return False


def _names(node: Node) -> list[str]:
    items = node.items if isinstance(node, Sequence) else (node,)
    names = [item.name for item in items if isinstance(item, Placeholder)]
    if len(names) != len(items):
        raise ValueError(f"too involved for the parser, declare the command with takes='args': {node}")
    return names


def _convert_row(row: tuple[bytes, ...], converts: list[Convert | None]) -> tuple[Any, ...]:
    return tuple(convert(text) if convert else text for text, convert in zip(row, converts, strict=True))


def _take_one(args: list[bytes], at: int, end: int, positional: list[Any], options: dict[str, Any]) -> int:
    if at >= end:
        raise CommandError(SYNTAX_ERROR)
    positional.append(args[at])
    return at + 1


def _take_rest(args: list[bytes], at: int, end: int, positional: list[Any], options: dict[str, Any]) -> int:
    positional.append(args[at:end])
    return end


def _take_rows(width: int, misfit_error: str) -> Step:
    def step(args: list[bytes], at: int, end: int, positional: list[Any], options: dict[str, Any]) -> int:
        if (end - at) % width:
            raise CommandError(misfit_error)
        columns = [args[at + column : end : width] for column in range(width)]
        positional.append(list(zip(*columns, strict=True)))
        return end

    return step


def _take_word(word: bytes) -> Step:
    def step(args: list[bytes], at: int, end: int, positional: list[Any], options: dict[str, Any]) -> int:
        if at >= end or args[at].upper() != word:
            raise CommandError(SYNTAX_ERROR)
        return at + 1

    return step


def _take_token(tokens: dict[bytes, str]) -> Step:
    def step(args: list[bytes], at: int, end: int, positional: list[Any], options: dict[str, Any]) -> int:
        token = tokens.get(args[at].upper()) if at < end else None
        if token is None:
            raise CommandError(SYNTAX_ERROR)
        positional.append(token)
        return at + 1

    return step


def _take_optional(names: list[str], inner: list[tuple[Step, int]]) -> Step:
    def step(args: list[bytes], at: int, end: int, positional: list[Any], options: dict[str, Any]) -> int:
        if at >= end:
            return at
        if at + len(names) > end:
            raise CommandError(SYNTAX_ERROR)
        for name in names:
            options[name] = args[at]
            at += 1
        for further, needed_after in inner:
            at = further(args, at, end - needed_after, positional, options)
        return at

    return step


def _required(take: Step) -> Step:
    def step(args: list[bytes], at: int, end: int, positional: list[Any], options: dict[str, Any]) -> int:
        stopped = take(args, at, end, positional, options)
        if stopped == at:
            raise CommandError(SYNTAX_ERROR)
        return stopped

    return step


def _take_options(table: dict[bytes, _Option]) -> Step:
    def step(args: list[bytes], at: int, end: int, positional: list[Any], options: dict[str, Any]) -> int:
        while at < end:
            option = table.get(args[at]) or table.get(args[at].upper())
            if option is None:
                return at
            at = _take_option(option, args, at + 1, end, options)
        return at

    return step


def _take_option(option: _Option, args: list[bytes], at: int, end: int, options: dict[str, Any]) -> int:
    stop = at + option.width
    if stop > end or any(other in options for other in option.conflicts):
        raise CommandError(SYNTAX_ERROR)
    value: Any = True
    if option.tokens:
        value = option.tokens.get(args[at].upper())
        if value is None:
            raise CommandError(SYNTAX_ERROR)
    elif option.width == 1:
        value = args[at]
    elif option.width:
        value = tuple(args[at:stop])
    if option.repeats:
        options.setdefault(option.name, []).append(value)
    else:
        options[option.name] = value
    return stop
