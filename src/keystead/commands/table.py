"""Tables: what a client in a given state may say, and the function that runs it.

    table[args[0]](session, args) -> the encoded reply, or a Promise of one

A client's state *is* its table, so that the normal path tests nothing per command: being logged out, in MULTI, watched
by MONITOR, refused for want of memory are other tables. A table is a dictionary from names as clients write them, in
capitals and in small letters; other spellings are found on the second try.

Owns: how a declaration becomes a runner. Must not know: which states there are (`keystead.execution.tables`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from keystead.commands.declaration import Command
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.execution.promise import Promise
    from keystead.execution.session import Session

Run: TypeAlias = "Callable[[Session, list[bytes]], bytes | Promise]"
ColumnRunner: TypeAlias = "Callable[..., bytes | None]"
"""(session, *columns of arguments) -> the encoded replies to all of these commands, joined; or None, and nothing has
happened: run them one by one. Everything in it happens at one moment, so what each command does must depend on nothing
but the data."""
Make: TypeAlias = Callable[[Command], Run]
"""Makes a command's runner; where handlers run, that is `runner`."""
Wrap: TypeAlias = Callable[[Command, Run], Run]
"""Puts something around a runner: a stop-watch, a monitor, a refusal. Returns the runner itself where it has nothing
to do with the command, so that a state costs only the commands it concerns."""


class Table(dict[bytes, Run]):
    """Names to runners. Filled again in place when a state changes: every session that uses it sees that at once."""

    __slots__ = ("by_columns", "unknown")

    def __init__(self, unknown: Run | None = None) -> None:
        super().__init__()
        self.unknown: Run = unknown or refuse_unknown
        self.by_columns: dict[bytes, ColumnRunner] = {}
        """What runs many of a command in one go; only of commands that nothing is wrapped around."""

    def __missing__(self, name: bytes) -> Run:
        return self.get(name.lower(), self.unknown)

    def fill(self, commands: Iterable[Command], make: Make, wrap: Wrap, around: Wrap | None = None) -> None:
        """Replace all entries by the runners of *commands* that *make* makes, each within *wrap* (a container's
        subcommands each for itself), and what the name leads to within *around*."""
        entries: dict[bytes, Run] = {}
        self.by_columns.clear()
        for command in commands:
            name = command.name.encode()
            run = wrapped_runner(command, make, wrap)
            if around:
                run = around(command, run)
            entries[name] = entries[name.upper()] = run
            if command.by_columns is not None and run is command.handler:
                self.by_columns[name] = self.by_columns[name.upper()] = command.by_columns
        self.clear()
        self.update(entries)


def wrapped_runner(command: Command, make: Make, wrap: Wrap) -> Run:
    """The command's runner within *wrap*; of a container, each subcommand's."""
    own = wrap(command, make(command))
    if not command.subcommands:
        return own
    return _dispatcher(command, own, {name: wrap(sub, make(sub)) for name, sub in command.subcommands.items()})


def runner(command: Command) -> Run:
    """The function that checks the number of arguments, parses them, calls the handler and encodes its value."""
    if command.raw:
        return command.handler
    return _writing_runner(command) if "write" in command.flags else _reading_runner(command)


def _reading_runner(command: Command) -> Run:
    handler, parse, encoded = command.handler, command.parse, command.encoded
    waits = command.reads == "latest"
    least, most, arity_error = *_bounds(command), command.arity_error

    def run(session: Session, args: list[bytes]) -> Any:
        if not least <= len(args) <= most:
            raise CommandError(arity_error)
        if waits:
            session.must_wait = True
        positional, options = parse(args)
        value = handler(session, *positional, **options)
        return value if encoded else session.encode(value)

    return run


def _writing_runner(command: Command) -> Run:
    handler, parse, encoded = command.handler, command.parse, command.encoded
    least, most, arity_error = *_bounds(command), command.arity_error

    def run(session: Session, args: list[bytes]) -> Any:
        if not least <= len(args) <= most:
            raise CommandError(arity_error)
        session.must_wait = True
        positional, options = parse(args)
        engine = session.engine
        start = len(engine.ops)
        try:
            value = handler(session, *positional, **options)
        finally:
            # What a command did is one transaction, also when it ends in an error half way: nothing is rolled back.
            if len(engine.ops) - start > 1:
                engine.end_group(start)
        return value if encoded else session.encode(value)

    return run


def _bounds(command: Command) -> tuple[int, int]:
    """The numbers of arguments that the arity check lets pass; the parser may still refuse some of them."""
    return command.minimum, command.minimum if command.arity > 0 else sys.maxsize


def _dispatcher(command: Command, own: Run, subcommands: dict[bytes, Run]) -> Run:
    arity_error, stands_alone = command.arity_error, command.minimum == 1

    def run(session: Session, args: list[bytes]) -> bytes | Promise:
        if len(args) > 1:
            chosen = subcommands.get(args[1].lower())
            if chosen is None:
                raise CommandError(unknown_subcommand(args))
            return chosen(session, args)
        if stands_alone:
            return own(session, args)
        raise CommandError(arity_error)

    return run


def refuse_unknown(session: Session, args: list[bytes]) -> bytes | Promise:
    """The runner of every name that is no command. A web browser may be tricked into sending an HTTP request here;
    like Redis we close on its first words, so that nothing of what follows is executed."""
    if args[0].lower() in (b"post", b"host:"):
        session.peer.kill()
        return session.say_goodbye(b"")
    raise CommandError(unknown_command(args))


_SHOWN_BYTES = 128


def unknown_command(args: list[bytes]) -> str:
    """Redis' error for a name that is no command, with the first arguments up to 128 bytes."""
    shown = b""
    for argument in args[1:]:
        if len(shown) >= _SHOWN_BYTES:
            break
        shown += b"'%b' " % _c_string(argument)[: _SHOWN_BYTES - len(shown)]
    name = _c_string(args[0])[:_SHOWN_BYTES]
    return f"ERR unknown command '{_text(name)}', with args beginning with: {_text(shown)}"


def unknown_subcommand(args: list[bytes]) -> str:
    """Redis' error for a container called with a subcommand that it does not have."""
    sub = _text(_c_string(args[1])[:_SHOWN_BYTES])
    return f"ERR unknown subcommand '{sub}'. Try {_text(args[0].upper())} HELP."


def subcommand_misuse(args: list[bytes]) -> str:
    """Redis' error of a subcommand that finds its arguments wrong by itself."""
    sub = _text(_c_string(args[1])[:_SHOWN_BYTES])
    return f"ERR unknown subcommand or wrong number of arguments for '{sub}'. Try {_text(args[0].upper())} HELP."


def _c_string(text: bytes) -> bytes:
    """As far as C's %s prints it."""
    return text.partition(b"\0")[0]


def _text(text: bytes) -> str:
    """Decoded so that the error encoder gives the same bytes back."""
    return text.decode("utf-8", "surrogateescape")
