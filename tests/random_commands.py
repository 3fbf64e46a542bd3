"""Random commands, well formed and not quite. Drawn from the declarations: a new command takes part when declared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from keystead.commands.catalogue import REGISTRY
from keystead.commands.syntax import Choice, Node, Optional, Placeholder, Repeat, Sequence, Token
from wire import Reply

WORDS = st.sampled_from(
    [b"", b"0", b"1", b"-1", b"5", b"x", b"01", b"9223372036854775807", b"10.5", b"1e3", b"nx", b"#1"]
)
DAMAGE = WORDS.filter(lambda word: word not in (b"1", b"5"))
"""As a time to live these would end between the two answers."""
VALUES = WORDS | st.sampled_from([b"abcdef", b"\x00\xff\x0f", b"123", b"-42", b"a" * 50, b"\xff\xff\xff"])
KEYS = st.sampled_from([b"a", b"b", b"c", b""])
SMALL = st.integers(-12, 40).map(lambda number: b"%d" % number)
BITS = st.integers(0, 130).map(lambda number: b"%d" % number)
MOMENTS_S = st.sampled_from([b"1", b"33177117420", b"33177117421", b"33177117422"])

PLACEHOLDERS: dict[str, st.SearchStrategy[bytes]] = {
    "key": KEYS,
    "newkey": KEYS,
    "destkey": KEYS,
    "source": KEYS,
    "destination": KEYS,
    "key1": KEYS,
    "key2": KEYS,
    "value": VALUES,
    "seconds": st.sampled_from([b"100", b"200", b"0", b"-1", b"x"]),
    "milliseconds": st.sampled_from([b"100000", b"200000", b"0", b"x"]),
    "unix-time-seconds": MOMENTS_S,
    "unix-time-milliseconds": MOMENTS_S.map(lambda text: text + b"000"),
    "increment": SMALL | WORDS,
    "decrement": SMALL | WORDS,
    "start": SMALL | WORDS,
    "end": SMALL | WORDS,
    "bit": st.sampled_from([b"0", b"1", b"1", b"2"]),
    "min-match-len": SMALL,
    "encoding": st.sampled_from([b"u8", b"i8", b"u1", b"i64", b"u63", b"i5", b"u64", b"x"]),
    "pattern": st.sampled_from([b"*", b"a*", b"?", b"[ab]", b"[^a", b""]),
    "db": st.sampled_from([b"0", b"1", b"16", b"x"]),
    "destination-db": st.sampled_from([b"0", b"1", b"16", b"x"]),
    "index1": st.sampled_from([b"0", b"1", b"16", b"x"]),
    "index2": st.sampled_from([b"0", b"1", b"16", b"x"]),
    "offset": BITS,
}
UNKNOWN_TO_THE_ORACLE = {"IFEQ", "IFNE", "IFDEQ", "IFDNE", "DIFF", "DIFF1", "ANDOR", "ONE"}
LEFT_OUT = {
    *("digest", "delex"),  # newer than the oracle
    *("randomkey", "scan"),  # answers that differ from run to run
    *("expire", "pexpire"),  # with GT and LT a millisecond decides; EXPIREAT runs the same code
}
FAMILIES = ("strings", "comparing", "counters", "ranges", "bits", "keys", "expiry", "scanning", "databases")


def _flat(parts: Iterable[list[bytes]]) -> list[bytes]:
    return [argument for part in parts for argument in part]


def drawn(node: Node) -> st.SearchStrategy[list[bytes]]:
    """Arguments that fit the syntax."""
    match node:
        case Placeholder(name):
            return PLACEHOLDERS[name].map(lambda text: [text])
        case Token(text):
            return st.sampled_from([text, text.lower()]).map(lambda word: [word.encode()])
        case Sequence(items):
            return st.tuples(*map(drawn, items)).map(_flat)
        case Choice(alternatives):
            return st.one_of([drawn(item) for item in alternatives if not _is_unknown(item)])
        case Optional(item):
            return st.just([]) | drawn(item)
        case Repeat(item):
            return st.lists(drawn(item), min_size=1, max_size=3).map(_flat)


def _is_unknown(node: Node) -> bool:
    head = node.items[0] if isinstance(node, Sequence) else node
    return isinstance(head, Token) and head.text in UNKNOWN_TO_THE_ORACLE


def _commands() -> st.SearchStrategy[list[bytes]]:
    shapes = []
    for command in REGISTRY.values():
        if command.handler.__module__.rpartition(".")[2] in FAMILIES and command.name not in LEFT_OUT:
            if command.name == "object":
                continue
            shapes.append(drawn(command.arguments).map(lambda args, name=command.name: [name.encode(), *args]))
    return st.one_of(shapes)


@st.composite
def commands(draw: st.DrawFn) -> list[bytes]:
    """A command, one in eight of them damaged."""
    args = list(draw(COMMANDS))
    damage = draw(st.integers(0, 23))
    if damage == 0:
        args.append(draw(DAMAGE))
    elif damage == 1 and len(args) > 1:
        args.pop()
    elif damage == 2 and len(args) > 1:
        args[draw(st.integers(1, len(args) - 1))] = draw(DAMAGE)
    return args


COMMANDS = _commands()


TIMES = frozenset((b"ttl", b"pttl", b"expiretime", b"pexpiretime"))


def comparable(args: list[bytes], reply: Reply) -> Any:
    name = args[0].lower()
    if reply.kind == ":" and name in TIMES and reply.value > 0:
        return "some time"
    if name == b"keys" and reply.kind == "*":
        return Counter(key.value for key in reply.value)
    return reply
