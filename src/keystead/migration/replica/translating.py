"""Replicated commands as facts.

What says a string or a time in absolute words becomes that fact; of everything else (INCR, LPUSH, SETRANGE, EXPIRE of
servers before 7.0, scripts) the keys are touched. So a command may be told twice without harm, and one that is not
known here is not lost. Must not know: where commands come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from keystead.migration.source import Change, Delete, Expire, Flush, Gap, PositionLost, Put, SourceFailed, Touched

KeysOf = Callable[[Sequence[bytes]], Iterable[bytes]]

_IGNORED: Final = frozenset({b"PING", b"REPLCONF", b"PUBLISH", b"SPUBLISH", b"SCRIPT", b"FUNCTION"})
"""What is no change of a key."""
_SET_CONDITIONS: Final = frozenset({b"NX", b"XX", b"GET"})
"""Only a SET that came true is replicated."""
_SET_TIMES: Final = {b"PXAT": 1, b"EXAT": 1000}


class Translator:
    """The commands of one primary, in order."""

    def __init__(self, keys_of: KeysOf, databases: int = 16, *, alone: bool = True) -> None:
        """*databases*: how many the server has. *alone*: it has all keys, so a flush of its database is one of all."""
        self._keys_of = keys_of
        self._databases = databases
        self._alone = alone
        self.database = 0
        """The one that commands are about now."""
        self.in_transaction = False
        """Between MULTI and EXEC: no place to begin at again."""
        self.ack_wanted = False
        """The primary asked how far its replica is; whoever tells it resets this."""

    def changes(self, command: Sequence[bytes]) -> Sequence[Change]:
        """What the command did. SourceFailed, PositionLost."""
        name = command[0].upper()
        known = _KNOWN.get(name)
        try:
            if known is not None:
                return known(self, command)
            if name in _IGNORED:
                self.ack_wanted |= name == b"REPLCONF" and command[1].upper() == b"GETACK"
                return ()
            return self._touched(command)
        except (ValueError, IndexError) as error:
            shown = b" ".join(command[:3])[:80]
            raise SourceFailed(f"the server replicates what makes no sense: {shown!r}") from error

    def _touched(self, command: Sequence[bytes]) -> Sequence[Change]:
        return [Touched(self.database, key) for key in self._keys_of(command)]

    # --- The place in the stream ------------------------------------------------------------------------------------

    def _select(self, command: Sequence[bytes]) -> Sequence[Change]:
        self.database = int(command[1])
        return ()

    def _multi(self, _: Sequence[bytes]) -> Sequence[Change]:
        self.in_transaction = True
        return ()

    def _exec(self, _: Sequence[bytes]) -> Sequence[Change]:
        self.in_transaction = False
        return ()

    # --- Strings ----------------------------------------------------------------------------------------------------

    def _set(self, command: Sequence[bytes]) -> Sequence[Change]:
        expires_at_ms, words = 0, iter(command[3:])
        for word in words:
            option = word.upper()
            if option in _SET_TIMES:
                expires_at_ms = int(next(words, b"")) * _SET_TIMES[option]
            elif option not in _SET_CONDITIONS:  # KEEPTTL, EX …
                return self._touched(command)
        return (Put(self.database, command[1], command[2], expires_at_ms),)

    def _put(self, command: Sequence[bytes]) -> Sequence[Change]:
        return (Put(self.database, command[1], command[2], 0),)

    def _put_all(self, command: Sequence[bytes]) -> Sequence[Change]:
        return [Put(self.database, key, value, 0) for key, value in zip(command[1::2], command[2::2], strict=True)]

    # --- Keys -------------------------------------------------------------------------------------------------------

    def _delete(self, command: Sequence[bytes]) -> Sequence[Change]:
        return [Delete(self.database, key) for key in command[1:]]

    def _expire_at(self, command: Sequence[bytes]) -> Sequence[Change]:
        return (Expire(self.database, command[1], int(command[2]) * 1000),)

    def _expire_at_ms(self, command: Sequence[bytes]) -> Sequence[Change]:
        return (Expire(self.database, command[1], int(command[2])),)

    def _persist(self, command: Sequence[bytes]) -> Sequence[Change]:
        return (Expire(self.database, command[1], 0),)

    def _move(self, command: Sequence[bytes]) -> Sequence[Change]:
        return Delete(self.database, command[1]), Touched(int(command[2]), command[1])

    def _rename(self, command: Sequence[bytes]) -> Sequence[Change]:
        return Delete(self.database, command[1]), Touched(self.database, command[2])

    def _copy(self, command: Sequence[bytes]) -> Sequence[Change]:
        options = [word.upper() for word in command[3:]]
        database = int(options[options.index(b"DB") + 1]) if b"DB" in options else self.database
        return (Touched(database, command[2]),)

    # --- Databases --------------------------------------------------------------------------------------------------

    def _flush(self, _: Sequence[bytes]) -> Sequence[Change]:
        return (self._flushed(self.database),)

    def _flush_all(self, _: Sequence[bytes]) -> Sequence[Change]:
        return [self._flushed(database) for database in range(max(self._databases, self.database + 1))]

    def _flushed(self, database: int) -> Change:
        if self._alone:
            return Flush(database)
        return Gap(database, "one node of the cluster was flushed")

    def _swap(self, command: Sequence[bytes]) -> Sequence[Change]:
        first, second = int(command[1]), int(command[2])
        return [Gap(database, f"databases {first} and {second} were swapped") for database in (first, second)]

    def _slots(self, _: Sequence[bytes]) -> Sequence[Change]:
        raise PositionLost(
            "slots are being moved between nodes of the cluster; wait until that is done, and copy again"
        )


_KNOWN: Final[dict[bytes, Callable[[Translator, Sequence[bytes]], Sequence[Change]]]] = {
    b"SELECT": Translator._select,
    b"MULTI": Translator._multi,
    b"EXEC": Translator._exec,
    b"SET": Translator._set,
    b"SETNX": Translator._put,
    b"GETSET": Translator._put,
    b"MSET": Translator._put_all,
    b"MSETNX": Translator._put_all,
    b"DEL": Translator._delete,
    b"UNLINK": Translator._delete,
    b"EXPIREAT": Translator._expire_at,
    b"PEXPIREAT": Translator._expire_at_ms,
    b"PERSIST": Translator._persist,
    b"MOVE": Translator._move,
    b"RENAME": Translator._rename,
    b"RENAMENX": Translator._rename,
    b"COPY": Translator._copy,
    b"FLUSHDB": Translator._flush,
    b"FLUSHALL": Translator._flush_all,
    b"SWAPDB": Translator._swap,
    b"CLUSTER": Translator._slots,
}
