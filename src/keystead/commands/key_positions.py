"""Which arguments of a command are keys: derived from its syntax, in the terms of Redis' key specifications.

A specification says where to begin (at an index, or after a keyword) and how to find the keys from there (a range, or
as many as an argument says). COMMAND INFO, COMMAND GETKEYS, permissions on keys and cluster routing are views of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from keystead.commands.numbers import integer_or_none
from keystead.commands.syntax import Choice, Node, Optional, Placeholder, Repeat, Sequence, Token, minimum

KEY_FLAGS = (
    *("RO", "RW", "OW", "RM", "ACCESS", "UPDATE", "INSERT", "DELETE"),
    *("NOT_KEY", "INCOMPLETE", "VARIABLE_FLAGS"),
)

ExactFlags: TypeAlias = Callable[[list[bytes]], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class KeySpec:
    """Where keys begin and how many there are. Positions count the command's name as 0."""

    begin: int
    """Index of the first argument looked at; for a keyword, the index from which it is searched."""
    flags: tuple[str, ...] = ()
    keyword: str = ""
    """The token after which keys begin; "" when they begin at `begin`."""
    last: int = 0
    """Last key relative to where they begin; negative counts from the end of the command (-1 is the last argument)."""
    step: int = 1
    by_number: bool = False
    """The first argument says how many keys follow it."""
    exact: ExactFlags | None = field(default=None, compare=False)
    """What a call does with the keys, where its arguments decide; `flags`, with VARIABLE_FLAGS, are the most it may."""

    @property
    def is_movable(self) -> bool:
        return self.by_number or bool(self.keyword)

    def flags_in(self, args: list[bytes]) -> tuple[str, ...]:
        """What the call *args* does with the keys."""
        return self.exact(args) if self.exact is not None else self.flags

    def positions(self, args: list[bytes]) -> Iterator[int]:
        """Indexes of the keys in *args*, the command's name at 0. Nothing where the arguments end too early."""
        begin = self._start(args)
        if begin is None or begin >= len(args):
            return
        if self.by_number:
            count = integer_or_none(args[begin]) or 0
            if count > 0 and begin + count < len(args):
                yield from range(begin + 1, begin + 1 + count * self.step, self.step)
            return
        last = begin + self.last if self.last >= 0 else len(args) + self.last
        yield from range(begin, min(last, len(args) - 1) + 1, self.step)

    def _start(self, args: list[bytes]) -> int | None:
        if not self.keyword:
            return self.begin
        wanted = self.keyword.encode()
        for at in range(self.begin, len(args)):
            if args[at].upper() == wanted:
                return at + 1
        return None


def positions(specs: tuple[KeySpec, ...], args: list[bytes]) -> list[int]:
    """Indexes of all keys in *args*, each once, in the order of the specifications."""
    return list(dict.fromkeys(at for spec in specs for at in spec.positions(args)))


def legacy_range(specs: tuple[KeySpec, ...]) -> tuple[int, int, int]:
    """(first key, last key, step) as in COMMAND INFO; zeros when the keys cannot be given that way."""
    ranges = [spec for spec in specs if not spec.is_movable]
    if not ranges or ranges[0].begin != min(spec.begin for spec in specs):
        return (0, 0, 0)
    first = ranges[0].begin
    last = first
    for spec in ranges:
        last = spec.last if spec.last < 0 else max(last, spec.begin + spec.last)
    return (first, last, ranges[0].step)


def specs(arguments: Sequence, words: int, flags: str, exact: ExactFlags | None = None) -> tuple[KeySpec, ...]:
    """The specifications of a syntax; *flags* has one `/`-separated group for each, the last serves the rest. *exact*
    is asked instead where a call's arguments decide."""
    found = _found(arguments.items, words)
    groups = [tuple(group.split()) for group in flags.split("/")] if flags else [()]
    for group in groups:
        if set(group) - set(KEY_FLAGS):
            raise ValueError(f"unknown key flags: {group}")
    return tuple(replace(spec, flags=groups[min(at, len(groups) - 1)], exact=exact) for at, spec in enumerate(found))


def _is_key(node: Node) -> bool:
    names = ("key", "newkey", "destkey", "source", "destination", "sourcekey")
    return isinstance(node, Placeholder) and node.name.rstrip("0123456789") in names


def continues(node: Node) -> bool:
    """`key2` after `key1`: keys of one specification."""
    return isinstance(node, Placeholder) and node.name[-1:] in "23456789" and _is_key(node)


def _found(items: tuple[Node, ...], at: int) -> Iterator[KeySpec]:
    fixed = True
    for index, item in enumerate(items):
        after = sum(map(minimum, items[index + 1 :]))
        inner = item.item if isinstance(item, Optional) else item
        if _numkeys(items, index):
            yield KeySpec(at, by_number=True)
            fixed = False
        elif fixed and _is_key(inner):
            if not continues(inner):
                yield KeySpec(at, last=sum(map(continues, items[index + 1 :])))
        elif fixed and isinstance(inner, Repeat):
            row = inner.item.items if isinstance(inner.item, Sequence) else (inner.item,)
            if _is_key(row[0]):
                yield KeySpec(at, last=-1 - after, step=len(row))
            fixed = False
        else:
            yield from _behind_tokens(item)
        fixed = fixed and not isinstance(item, Optional)
        at += minimum(item)


def _numkeys(items: tuple[Node, ...], index: int) -> bool:
    item = items[index]
    return isinstance(item, Placeholder) and item.name == "numkeys"


def _behind_tokens(node: Node) -> Iterator[KeySpec]:
    """`[STORE destination]`: a key that follows a keyword."""
    match node:
        case Optional(item):
            yield from _behind_tokens(item)
        case Choice(alternatives):
            for alternative in alternatives:
                yield from _behind_tokens(alternative)
        case Sequence((Token(text), key)) if _is_key(key):
            yield KeySpec(1, keyword=text)
