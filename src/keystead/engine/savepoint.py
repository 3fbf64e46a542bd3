"""Savepoints: changes of the open turn that are taken back, as if they had never been made.

A savepoint gives every database a generation of before-images of its own (see `before_images`). Whatever is changed
while it holds leaves the way back there: rolling back walks it and cuts the recorded operations off, releasing joins it
to the images that the open turn had before. So neither costs more than the keys that were changed, and a string patched
in place is not copied for it.

Owns: what has to be put back, and what must happen only once it is kept (watchers are told at the release). Must not
know: commands, who decides. Nothing may end the turn, bind a database to another keyspace, or peek from another thread
between a savepoint and its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from keystead.engine.before_images import BeforeImages, Unpatch, joined

if TYPE_CHECKING:
    from keystead.engine.bindings import Database
    from keystead.engine.engine import Engine
    from keystead.engine.keyspace import Keyspace, Watcher


class _Before(NamedTuple):
    """What a database had when the savepoint was set."""

    database: Database
    keyspace: Keyspace
    images: BeforeImages
    watched: dict[bytes, set[Watcher]]
    payload_bytes: int
    expired_keys: int


class Savepoint:
    """A moment of the open turn; call `release` or `roll_back`, once."""

    __slots__ = ("_before", "_start", "_turn")

    def __init__(self, engine: Engine) -> None:
        self._turn = engine.turn
        self._start = len(engine.ops)
        self._before = [_set(database) for database in engine.databases]

    def release(self) -> None:
        """Keep the changes: they are as if no savepoint had been set."""
        for before in self._before:
            keyspace, images = before.keyspace, before.images
            assert before.database.keyspace is keyspace, "a database was bound to another keyspace"
            for key, image in keyspace.open_before.items():
                images[key] = joined(images.get(key), image)
            keyspace.open_before, keyspace.watched = images, before.watched
            if keyspace.watched:
                for _, keyspace_id, key, *_ in self._turn.ops[self._start :]:
                    if keyspace_id == keyspace.id:
                        keyspace.touch(key)

    def roll_back(self) -> None:
        """Take the changes back, in memory and from what has been recorded; no watcher ever hears of them."""
        for before in self._before:
            keyspace, images = before.keyspace, before.images
            assert before.database.keyspace is keyspace, "a database was bound to another keyspace"
            for key, image in keyspace.open_before.items():
                keyspace.restore(key, image, patched=isinstance(images.get(key), Unpatch))
            keyspace.open_before, keyspace.watched = images, before.watched
            keyspace.payload_bytes = before.payload_bytes
            keyspace.expired_keys = before.expired_keys
        self._turn.cut(self._start)


def _set(database: Database) -> _Before:
    keyspace = database.keyspace
    before = _Before(
        database, keyspace, keyspace.open_before, keyspace.watched, keyspace.payload_bytes, keyspace.expired_keys
    )
    keyspace.open_before, keyspace.watched = {}, {}
    return before
