"""The syntax line of the Redis manual, read into a tree.

    SET key value [NX | XX] [GET] [EX seconds | PX milliseconds | KEEPTTL]

Words in capitals (and `*`, `=`, `~`) are tokens, words in small letters are placeholders, `[…]` is optional, `<…>` a
choice that must be made, `|` separates alternatives, `key [key ...]` repeats. The line is the declaration: everything
known about a command's arguments is derived from the tree. Must not know: values, sessions, replies.
"""

from __future__ import annotations

import builtins
import keyword
import re
from dataclasses import dataclass
from typing import TypeAlias

_WORD = re.compile(r"\[|\]|<|>|\||\.\.\.|[^\s\[\]<>|]+")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """An argument of the caller's choice."""

    name: str


@dataclass(frozen=True, slots=True)
class Token:
    """A word that stands for itself, in any case."""

    text: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """One thing after the other."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Exactly one of the alternatives."""

    alternatives: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Optional:
    """The thing, or nothing."""

    item: Node


@dataclass(frozen=True, slots=True)
class Repeat:
    """The thing, once or more often."""

    item: Node


Node: TypeAlias = Placeholder | Token | Sequence | Choice | Optional | Repeat


def python_name(text: str) -> str:
    """What a token or placeholder is called as a parameter of the handler: `lib_name`, `from_`, `min_`."""
    name = re.sub(r"\W", "_", text.lower())
    return name + "_" if keyword.iskeyword(name) or hasattr(builtins, name) else name


def read_syntax(line: str) -> tuple[str, Sequence]:
    """The command's full name in small letters ("client|id") and the tree of its arguments."""
    words = _WORD.findall(line)
    length = 0
    longest = 1 if words and "." in words[0] else 2  # Keystead's own commands have no subcommands: KS.KEYS AT …
    while length < min(longest, len(words)) and re.fullmatch(r"[A-Z][A-Z0-9._-]*", words[length]):
        length += 1
    if not length:
        raise ValueError(f"a syntax line begins with the command's name: {line!r}")
    reader = _Reader(words[length:], line)
    items = reader.items(end=None)
    if not reader.at_end:
        raise ValueError(f"alternatives need brackets: {line!r}")
    return "|".join(words[:length]).lower(), Sequence(tuple(items))


class _Reader:
    def __init__(self, words: list[str], line: str) -> None:
        self._words = words
        self._line = line
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at >= len(self._words)

    def alternatives(self, end: str) -> Node:
        found = [_one(self.items(end))]
        while not self.at_end and self._words[self._at] == "|":
            self._at += 1
            found.append(_one(self.items(end)))
        if self.at_end:
            raise ValueError(f"{end!r} is missing: {self._line!r}")
        self._at += 1
        return found[0] if len(found) == 1 else Choice(tuple(found))

    def items(self, end: str | None) -> list[Node]:
        items: list[Node] = []
        while not self.at_end and self._words[self._at] not in ("|", end):
            word = self._words[self._at]
            self._at += 1
            if word == "[":
                self._optional(items)
            elif word == "<":
                items.append(self.alternatives(">"))
            elif word in ("]", ">", "..."):
                raise ValueError(f"{word!r} out of place: {self._line!r}")
            else:
                items.append(_leaf(word))
        return items

    def _optional(self, items: list[Node]) -> None:
        """`[x]`, or the `[x ...]` that makes the x before it repeat."""
        close = self._matching_bracket()
        if self._words[close - 1] != "...":
            items.append(Optional(self.alternatives("]")))
            return
        del self._words[close - 1]
        inner = self.alternatives("]")
        repeated = inner.items if isinstance(inner, Sequence) else (inner,)
        if tuple(items[-len(repeated) :]) != repeated:
            raise ValueError(f"what repeats must stand before it: {self._line!r}")
        del items[-len(repeated) :]
        items.append(Repeat(inner))

    def _matching_bracket(self) -> int:
        depth = 1
        for at in range(self._at, len(self._words)):
            depth += {"[": 1, "]": -1}.get(self._words[at], 0)
            if depth == 0:
                return at
        raise ValueError(f"']' is missing: {self._line!r}")


def _one(items: list[Node]) -> Node:
    return items[0] if len(items) == 1 else Sequence(tuple(items))


def _leaf(word: str) -> Token | Placeholder:
    is_token = (word == word.upper() and word != word.lower()) or word in ("*", "=", "~", "$", '""')
    return Token(word) if is_token else Placeholder(word)


def minimum(node: Node) -> int:
    """How many arguments the node takes at least."""
    match node:
        case Placeholder() | Token():
            return 1
        case Sequence(items):
            return sum(map(minimum, items))
        case Choice(alternatives):
            return min(map(minimum, alternatives))
        case Optional():
            return 0
        case Repeat(item):
            return minimum(item)


def maximum(node: Node) -> int | None:
    """How many arguments the node takes at most; None is no bound."""
    match node:
        case Placeholder() | Token():
            return 1
        case Sequence(items):
            lengths = [maximum(item) for item in items]
            return None if None in lengths else sum(length or 0 for length in lengths)
        case Choice(alternatives):
            lengths = [maximum(item) for item in alternatives]
            return None if None in lengths else max(length or 0 for length in lengths)
        case Optional(item):
            return maximum(item)
        case Repeat():
            return None


def leading_token(node: Node) -> str | None:
    """The token the node begins with in every case, or None."""
    match node:
        case Token(text):
            return text
        case Sequence(items) if items:
            return leading_token(items[0])
        case Repeat(item):
            return leading_token(item)
    return None
