"""Views of the declarations: what COMMAND INFO, DOCS and LIST answer. Must not know: sessions, how commands run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from keystead.commands.declaration import FLAGS, REGISTRY, Command
from keystead.commands.grammar import kind_of
from keystead.commands.key_positions import KeySpec, continues, legacy_range
from keystead.commands.syntax import Choice, Node, Optional, Placeholder, Repeat, Sequence, Token
from keystead.resp import Members

Document = dict[bytes, object]

CATEGORIES = (
    *("keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo"),
    *("stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting"),
)
"""Permission categories, in the order in which Redis lists them."""

_RENAMED_GROUPS = {
    "generic": "keyspace",
    "transactions": "transaction",
    "sorted-set": "sortedset",
}


def every_command() -> Iterator[Command]:
    """All commands and, after each container, its subcommands."""
    for command in REGISTRY.values():
        yield command
        yield from command.subcommands.values()


def categories(command: Command) -> list[str]:
    """The permission categories of a command: those of its group, its flags, and its own."""
    found = set(command.acl)
    by_group = _RENAMED_GROUPS.get(command.group, command.group)
    if by_group in CATEGORIES and not command.acl and not command.subcommands:
        found.add(by_group)
    flags = command.flags
    found |= {name for name in ("write", "pubsub", "blocking") if name in flags}
    if "readonly" in flags:
        found.add("read")
    if "admin" in flags:
        found |= {"admin", "dangerous"}
    found.add("fast" if "fast" in flags else "slow")
    return [name for name in CATEGORIES if name in found]


# --- COMMAND INFO ----------------------------------------------------------------------------------------------------


def info(command: Command) -> list[object]:
    """The ten elements of COMMAND INFO. Words that are simple strings in Redis are str here."""
    return [
        command.name.encode(),
        command.arity,
        Members([flag for flag in FLAGS if flag in command.flags]),
        *legacy_range(command.key_specs),
        Members([f"@{category}" for category in categories(command)]),
        Members([hint.encode() for hint in command.hints]),
        Members([key_spec(spec) for spec in command.key_specs]),
        [info(sub) for sub in command.subcommands.values()] or Members([]),
    ]


def key_flags(flags: Iterable[str]) -> Members:
    """RO, RW, OW and RM in capitals, the others in small letters: so does Redis."""
    return Members([flag if flag in ("RO", "RW", "OW", "RM") else flag.lower() for flag in flags])


def key_spec(spec: KeySpec) -> Document:
    """A key specification as COMMAND INFO shows it."""
    if spec.keyword:
        begin: Document = {b"keyword": spec.keyword.encode(), b"startfrom": spec.begin}
        search = {b"type": b"keyword", b"spec": begin}
    else:
        search = {b"type": b"index", b"spec": {b"index": spec.begin}}
    if spec.by_number:
        keys: Document = {b"keynumidx": 0, b"firstkey": 1, b"keystep": spec.step}
        find = {b"type": b"keynum", b"spec": keys}
    else:
        find = {b"type": b"range", b"spec": {b"lastkey": spec.last, b"keystep": spec.step, b"limit": 0}}
    return {b"flags": key_flags(spec.flags), b"begin_search": search, b"find_keys": find}


# --- COMMAND DOCS ----------------------------------------------------------------------------------------------------


def docs(command: Command) -> Document:
    """The map of COMMAND DOCS for one command."""
    document: Document = {
        b"summary": command.summary.encode(),
        b"since": command.since.encode(),
        b"group": command.group.encode(),
        b"complexity": command.complexity.encode(),
    }
    if command.deprecated:
        since, replacement = command.deprecated
        document[b"doc_flags"] = Members(["deprecated"])
        document |= {b"deprecated_since": since.encode(), b"replaced_by": replacement.encode()}
    if command.history:
        document[b"history"] = Members([[since.encode(), change.encode()] for since, change in command.history])
    if command.subcommands:
        return document | {b"subcommands": {sub.name.encode(): docs(sub) for sub in command.subcommands.values()}}
    arguments = _Arguments().of(command.arguments)
    return document | {b"arguments": arguments} if arguments else document


class _Arguments:
    """The argument trees of one command; keys are numbered as they come."""

    def __init__(self) -> None:
        self._keys = 0

    def of(self, arguments: Sequence) -> list[Document]:
        found = []
        items = iter(arguments.items)
        for item in items:
            if isinstance(item, Token):  # a token before a required argument belongs to it
                found.append(self._with_token(item.text, next(items, None)))
            else:
                found.append(self._argument(item))
        return found

    def _argument(self, node: Node) -> Document:
        match node:
            case Token(text):
                return {b"name": _name(text), b"type": b"pure-token", b"token": text.encode()}
            case Placeholder(name):
                return self._placeholder(name)
            case Optional(item):
                return _flagged(self._argument(item), "optional")
            case Repeat(item):
                return self._repeat(item)
            case Choice(alternatives):
                parts = [self._argument(alternative) for alternative in alternatives]
                return {b"name": _group_name(parts), b"type": b"oneof", b"arguments": parts}
            case Sequence((Token(text), further)):
                return self._with_token(text, further)
            case Sequence((Token(text), *items)):
                block = self._block(items)
                return _inserted(block, b"token", text.encode())
            case Sequence(items):
                return self._block(items)

    def _placeholder(self, name: str) -> Document:
        kind = kind_of(name).doc_type
        argument: Document = {b"name": name.encode(), b"type": kind.encode()}
        if kind == "key":
            self._keys += not continues(Placeholder(name))
            argument[b"key_spec_index"] = self._keys - 1
        return argument

    def _repeat(self, item: Node) -> Document:
        flags = ["multiple"]
        if isinstance(item, Sequence) and isinstance(item.items[0], Token):
            flags.append("multiple_token")
        argument = self._argument(item)
        for flag in flags:
            argument = _flagged(argument, flag)
        return argument

    def _with_token(self, token: str, node: Node | None) -> Document:
        if node is None:
            return self._argument(Token(token))
        return _inserted(self._argument(node), b"token", token.encode())

    def _block(self, items: tuple[Node, ...] | list[Node]) -> Document:
        parts = self.of(Sequence(tuple(items)))
        return {b"name": _group_name(parts), b"type": b"block", b"arguments": parts}


def _name(token: str) -> bytes:
    return token.lower().encode()


def _group_name(parts: list[Document]) -> bytes:
    return b"_".join(bytes(part[b"name"]) for part in parts[:2])  # type: ignore[call-overload]


def _flagged(argument: Document, flag: str) -> Document:
    """With one more flag; flags stand before nested arguments."""
    flags = argument.get(b"flags", Members([]))
    assert isinstance(flags, Members)
    others = {key: value for key, value in argument.items() if key != b"flags"}
    return _inserted(others, b"flags", Members([flag, *flags.members]))


def _inserted(argument: Document, name: bytes, value: object) -> Document:
    """With one more entry, before nested arguments, a token before flags."""
    tail = {key: argument[key] for key in (b"flags", b"arguments") if key in argument}
    if name == b"flags":
        tail.pop(b"flags", None)
    head = {key: part for key, part in argument.items() if key not in tail}
    return head | {name: value} | tail
