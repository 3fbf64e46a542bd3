"""The vocabulary of command cases. Knows nothing of servers or sockets.

A case is a list of steps on fresh databases. A step is a command line as one types it into redis-cli; every reply is
compared, type tags and error texts included,
with the reply of a real redis-server to the same case. Steps that tell most
also state the reply:

    case("SET NX leaves an existing value", "SET k v", ("SET k w NX", None), ("GET k", b"v"))

How a reply is written:  None null · 1 integer · b"v" bulk string · "OK" simple string · "-ERR …" error · 1.5 double ·
[…] array · {…: …} map · {…} set, each in RESP3; RESP2 has fewer shapes and they are matched as it flattens them.

Where values may rightly differ (times, ids), a step names a view: what of the reply is compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from wire import Reply

View = Callable[[Reply], Any]
SAME = object()  # no expectation beyond "what Redis answers"
Act = Literal["call", "send", "receive", "raw", "wait"]


@dataclass(frozen=True, eq=False)
class Step:
    """One move of a case on the connection named `on`; `send` leaves the reply for a later `receive`."""

    line: str
    data: bytes | list[bytes] = b""
    expected: Any = SAME
    view: View | None = None
    on: str = "main"
    act: Act = "call"
    replies: int = 1
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Case:
    """`name` is a sentence about behaviour. `needs` names what a peer must have beyond strings ("collections").

    `oracle` is False where Redis 7.0 cannot answer: the stated replies are recorded ones.
    `cleanup` always runs, uncompared.
    """

    family: str
    name: str
    steps: tuple[Step, ...]
    needs: frozenset[str] = frozenset()
    protocols: tuple[int, ...] = (2, 3)
    oracle: bool = True
    cleanup: tuple[Step, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.family}: {self.name}"


@dataclass
class Family:
    """The cases of one file, in order."""

    name: str
    cases: list[Case] = field(default_factory=list)

    def case(
        self,
        name: str,
        *steps: Step | str | tuple[str, Any],
        needs: str = "",
        protocols: tuple[int, ...] = (2, 3),
        oracle: bool = True,
        cleanup: tuple[Step | str, ...] = (),
    ) -> None:
        if any(case.name == name for case in self.cases):
            raise ValueError(f"two cases of {self.name} are called {name!r}")
        self.cases.append(
            Case(
                family=self.name,
                name=name,
                steps=tuple(as_step(step) for step in steps),
                needs=frozenset(needs.split()),
                protocols=protocols,
                oracle=oracle,
                cleanup=tuple(as_step(line) for line in cleanup),
            )
        )


def as_step(step: Step | str | tuple[str, Any]) -> Step:
    if isinstance(step, Step):
        return step
    line, expected = step if isinstance(step, tuple) else (step, SAME)
    return Step(line, split(line), expected)


def on(connection: str, line: str, expected: Any = SAME, view: View | None = None) -> Step:
    """The same as a plain step, on another connection (opened when first named)."""
    return Step(line, split(line), expected, view, on=connection)


def seen(line: str, view: View, expected: Any = SAME, on: str = "main") -> Step:
    """A step of whose reply only `view(reply)` is compared."""
    return Step(line, split(line), expected, view, on=on)


def send(connection: str, line: str) -> Step:
    """Send without waiting for the reply."""
    return Step(f"(send) {line}", split(line), on=connection, act="send")


def receive(connection: str, expected: Any = SAME, view: View | None = None) -> Step:
    return Step("(receive)", expected=expected, view=view, on=connection, act="receive")


def raw(data: bytes, replies: int = 1, expected: Any = SAME, on: str = "main", view: View | None = None) -> Step:
    """Bytes as they are, then so many replies, compared as one list (an end of the connection is a reply too)."""
    return Step(f"(raw) {data[:80]!r}", data, expected, view, on, "raw", replies)


def wait(seconds: float) -> Step:
    """Let time pass; only for what can be waited too long for, never too short (expiry)."""
    return Step(f"(wait {seconds} s)", act="wait", seconds=seconds)


# ---- views: what of a reply is compared ------------------------------------------------------------------------------


class Near:
    """A number compared within a tolerance; zero and less (-1 no expiry, -2 no key) only with themselves."""

    def __init__(self, value: int, tolerance: int) -> None:
        self.value, self.tolerance = value, tolerance

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Near):
            return NotImplemented
        if self.value <= 0 or other.value <= 0:
            return self.value == other.value
        return abs(self.value - other.value) <= self.tolerance

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"about {self.value}"


def near(tolerance: int) -> View:
    def view(reply: Reply) -> Any:
        return Near(reply.value, tolerance) if reply.kind == ":" else reply

    return view


def shape(reply: Reply) -> Any:
    """Types and the sizes of arrays, without the values; errors stay whole."""
    if reply.kind in "*~>%" and reply.value is not None:
        return reply.kind, [shape(item) for item in reply.value]
    return reply if reply.kind == "-" else (reply.kind, reply.value is None)


def kind(reply: Reply) -> Any:
    """The outermost type alone; errors stay whole."""
    return reply if reply.kind == "-" else (reply.kind, reply.value is None)


def unordered(reply: Reply) -> Any:
    """An array whose order means nothing (KEYS)."""
    return reply if reply.value is None or reply.kind not in "*~" else (reply.kind, sorted(reply.value))


def scanned(reply: Reply) -> Any:
    """A SCAN reply with its keys in any order; the cursor only as finished or not."""
    if reply.kind != "*":
        return reply
    cursor, keys = reply.value
    return cursor.kind, cursor.value == b"0", unordered(keys)


def help_text(reply: Reply) -> Any:
    """A HELP reply: an array of simple strings under Redis' headline; the wording of the rest is ours."""
    if reply.kind != "*":
        return reply
    return reply.value[0], {line.kind for line in reply.value}, Reply("+", b"HELP") in reply.value


def first_words(count: int) -> View:
    """The first words of an error or text: where Redis goes on with what differs (argument lists, ids)."""

    def view(reply: Reply) -> Any:
        return reply.kind, b" ".join(reply.value.split()[:count]) if isinstance(reply.value, bytes) else reply.value

    return view


def lines_with(*names: str) -> View:
    """Of a text of `name:value` lines or `name=value` words: which of `names` it has, in any order."""

    def view(reply: Reply) -> Any:
        text = reply.value.removeprefix(b"txt:")
        found = {part.replace(b"=", b":").split(b":", 1)[0].decode() for part in text.split()}
        return reply.kind, {name: name in found for name in names}

    return view


def sections(reply: Reply) -> Any:
    """The headings of an INFO text."""
    return reply.kind, [line for line in reply.value.split(b"\r\n") if line.startswith(b"# ")]


def values_of(*names: str) -> View:
    """Of a text of `name:value` lines or `name=value` words: the values of `names`."""

    def view(reply: Reply) -> Any:
        text = reply.value.removeprefix(b"txt:")
        pairs = [re.split(b"[:=]", part, maxsplit=1) for part in text.split() if b":" in part or b"=" in part]
        found = {name.decode(): value for name, value in pairs}
        return reply.kind, {name: found.get(name) for name in names}

    return view


def nothing(_: Reply) -> None:
    """For a step whose reply depends on the moment; state what it may be."""


TTL_VIEWS: dict[bytes, View] = {
    b"TTL": near(2),
    b"PTTL": near(2000),
    b"EXPIRETIME": near(2),
    b"PEXPIRETIME": near(2000),
}


def view_of(step: Step) -> View:
    """The step's own view; times to live are near by themselves; else the whole reply."""
    if step.view is not None:
        return step.view
    name = step.data[0].upper() if isinstance(step.data, list) and step.data else b""
    return TTL_VIEWS.get(name, whole)


def whole(reply: Reply) -> Any:
    return reply


# ---- stated replies --------------------------------------------------------------------------------------------------


def matches(reply: Reply, expected: Any) -> bool:
    """Whether a reply is what a case states (see the head of this module)."""
    tag, value = reply
    if callable(expected):
        return bool(expected(reply))
    if expected is None:
        return tag in "$*_" and value is None
    if isinstance(expected, bool):
        return (tag, value) in (("#", expected), (":", int(expected)))
    if isinstance(expected, int):
        return (tag, value) == (":", expected)
    if isinstance(expected, float):
        return (tag == "," and value == expected) or (tag == "$" and float(value) == expected)
    if isinstance(expected, bytes):
        return tag in "$=" and (value == expected or (tag == "=" and value[4:] == expected))
    if isinstance(expected, str):
        tagged = expected if expected.startswith("-") else "+" + expected
        return (tag, value) == (tagged[0], tagged[1:].encode())
    return tag in "*%~>" and value is not None and _matches_items(reply, expected)


def _matches_items(reply: Reply, expected: Any) -> bool:
    if isinstance(expected, set | frozenset):
        return len(reply.value) == len(expected) and all(any(matches(r, e) for e in expected) for r in reply.value)
    if isinstance(expected, dict):
        expected = [part for pair in expected.items() for part in pair]
    return len(reply.value) == len(expected) and all(map(matches, reply.value, expected))


# ---- command lines ---------------------------------------------------------------------------------------------------

ESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", "b": b"\b", "a": b"\a"}


def split(line: str) -> list[bytes]:
    r"""A command line as redis-cli splits it: words, "double quotes" with \n \r \t \xHH \" \\, 'single quotes'."""
    args: list[bytes] = []
    at = 0
    while at < len(line):
        if line[at] == " ":
            at += 1
        elif line[at] in "\"'":
            arg, at = _quoted(line, at + 1, line[at])
            args.append(arg)
        else:
            end = line.find(" ", at)
            end = len(line) if end < 0 else end
            args.append(line[at:end].encode())
            at = end
    return args


def _quoted(line: str, at: int, quote: str) -> tuple[bytes, int]:
    out = bytearray()
    while line[at] != quote:
        if line[at] == "\\" and quote == '"':
            at += 1
            if line[at] == "x":
                out.append(int(line[at + 1 : at + 3], 16))
                at += 2
            else:
                out += ESCAPES.get(line[at], line[at].encode())
        else:
            out += line[at].encode()
        at += 1
    return bytes(out), at + 1
