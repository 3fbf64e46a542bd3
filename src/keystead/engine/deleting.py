"""Every key of a prefix deleted at once, however many there are.

They are gathered and written to the log by slices, as a staged transaction, and go within one turn, if they are still
the ones that were gathered. A generator: it yields where others may go on. Must not know: protocols, who drives it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Final, NamedTuple

from keystead.engine.restoring import Restoration

if TYPE_CHECKING:
    from keystead.engine.bindings import Database
    from keystead.engine.engine import Engine
    from keystead.engine.operations import Author
    from keystead.engine.staging import Staged

SLICE_KEYS: Final = 1_000
ATTEMPTS: Final = 5
"""How often it is begun anew when keys come, go or are changed meanwhile."""


class Deleted(NamedTuple):
    """What came of it."""

    keys: int
    sequence: int | None
    """Of the transaction; None when there was no key."""


class CannotDelete(Exception):
    """Nothing was deleted; the text says why."""


class NotAsExpected(CannotDelete):
    """There is another number of keys than was expected: *count*."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} keys begin with this prefix")
        self.count = count


def delete_prefix(
    engine: Engine,
    database: Database,
    prefix: bytes,
    author: Author,
    expected: int | None = None,
) -> Generator[None, None, Deleted]:
    """Delete the keys of the database that begin with *prefix*, for *author*.

    CannotDelete, NotAsExpected; WriteRefused when there is no room; DiskFailure. There must be a key index; while it
    takes in many changes it is waited for.
    """
    for _ in range(ATTEMPTS):
        staged = engine.stage()
        try:
            keyspace = database.keyspace
            deletion = Restoration(keyspace, staged)
            counted = yield from _gather(engine, database, deletion, prefix)
            if database.keyspace is not keyspace:
                continue  # it was flushed or swapped meanwhile
            if expected is not None and counted != expected:
                raise NotAsExpected(counted)
            yield from staged.write(deletion.operations(), len(deletion))
            engine.clock.refresh()
            if database.keyspace is keyspace and _commit(engine, staged, deletion, author):
                keys = len(deletion)
                return Deleted(keys, engine.log.next_sequence - 1 if keys else None)
        finally:
            staged.give_up()
    raise CannotDelete("keys of this prefix are being changed all the time: try again")


def _gather(engine: Engine, database: Database, deletion: Restoration, prefix: bytes) -> Generator[None, None, int]:
    """Put the keys into *deletion*; how many there are, those included whose time is up but that are still counted.

    Ends early when the database shows another keyspace.
    """
    keyspace, index = deletion.keyspace, deletion.keyspace.index
    assert index is not None
    counted = 0
    after: bytes | None = None
    while database.keyspace is keyspace:
        if not index.ready:
            yield  # others have changed many keys at once: what it does not know yet must not be left out
            continue
        keys = index.range(prefix, after, SLICE_KEYS)
        if not keys:
            break
        engine.clock.refresh()
        after = keys[-1]
        counted += len(keys)
        for key in keys:
            value, expires_at_ms = keyspace.get_with_expiry(key)
            if value is not None:
                deletion.add(key, (bytes(value), expires_at_ms), None)
        yield
    return counted


def _commit(engine: Engine, staged: Staged, deletion: Restoration, author: Author) -> bool:
    """Let it take effect; False, and nothing has happened, when it is not any more what it was. (A key that came since
    is not among them: it was made after this was asked for.)"""
    deletion.expire_due()
    if next(deletion.conflicts(), None) is not None:
        engine.end_turn()  # what has expired
        return False
    if len(deletion):
        engine.author = author
        deletion.apply()
        staged.commit()
    return True
