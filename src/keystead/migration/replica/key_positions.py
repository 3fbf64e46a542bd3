"""Which keys a replicated command names, as the server that sent it says: its own table of commands, so that commands
of its modules and of newer versions are among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from keystead.errors import CommandError
from keystead.migration.source import SourceFailed

Ask = Callable[..., Any]
"""The reply to the words of one command. CommandError, ServerUnreachable."""

_FLAGS_WITHOUT_KEYS: Final = frozenset({b"pubsub"})  # a channel of SPUBLISH stands where a key would
_NO_KEYS: Final = "no key arguments"


class _Positions(NamedTuple):
    """Of the keys among the words: the first (0: there is none), the last (from the end if negative), the step."""

    first: int
    last: int
    step: int
    movable: bool
    """Other words say where the keys are."""


class KeyPositions:
    """The commands of one server."""

    def __init__(self, ask: Ask) -> None:
        """CommandError, ServerUnreachable."""
        self._ask = ask
        self._commands: dict[bytes, _Positions] = {}
        for entry in ask(b"COMMAND"):
            self._add(entry)

    def _add(self, entry: Sequence[Any]) -> None:
        name, _, flags, first, last, step, *rest = entry
        named = frozenset(_word(flag) for flag in flags)
        if named & _FLAGS_WITHOUT_KEYS:
            first, named = 0, frozenset()
        self._commands[_word(name).lower()] = _Positions(first, last, step, b"movablekeys" in named)
        for subcommand in rest[3] if len(rest) > 3 else ():
            self._add(subcommand)

    def keys(self, command: Sequence[bytes]) -> list[bytes]:
        """The keys that the command names; some may only be read. SourceFailed for a command that nobody knows."""
        name = command[0].lower()
        positions = self._commands.get(name)
        if len(command) > 1:
            positions = self._commands.get(b"%b|%b" % (name, command[1].lower()), positions)
        if positions is None or positions.movable:
            return self._asked(command)
        first, last, step, _ = positions
        if not first:
            return []
        end = last if last >= 0 else len(command) + last
        return list(command[first : end + 1 : step])

    def _asked(self, command: Sequence[bytes]) -> list[bytes]:
        try:
            return list(self._ask(b"COMMAND", b"GETKEYS", *command))
        except CommandError as error:
            if _NO_KEYS in str(error):
                return []
            raise SourceFailed(f"the server replicates {command[0]!r}, and cannot say its keys: {error}") from error


def _word(reply: Any) -> bytes:
    return reply if isinstance(reply, bytes) else str(reply).encode()
