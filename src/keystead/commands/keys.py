"""Keys whatever they hold: DEL, EXISTS, TYPE, RENAME, COPY, MOVE, OBJECT."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from keystead.commands.declaration import command, container
from keystead.commands.encodings import encoding_of
from keystead.commands.grammar import SYNTAX_ERROR
from keystead.commands.lookups import count, read
from keystead.commands.numbers import integer_within
from keystead.commands.placement import ONE_DATABASE
from keystead.commands.value_types import type_name
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.engine.bindings import Database
    from keystead.engine.keyspace import Keyspace
    from keystead.engine.values import Value
    from keystead.execution.session import Session

key_command = partial(command, group="generic")

MULTI_SHARD = "request_policy:multi_shard response_policy:agg_sum"

NO_SUCH_KEY = "ERR no such key"
SAME_OBJECT = "ERR source and destination objects are the same"


# --- there or not ----------------------------------------------------------------------------------------------------


def delete(session: Session, keys: list[bytes]) -> int:
    """How many there were. Memory of strings is given back at once, which takes no time worth another thread."""
    return sum(map(session.db.keyspace.delete, keys))


key_command(
    "DEL key [key ...]",
    since="1.0.0",
    flags="write",
    keys="RM DELETE",
    complexity="O(N) where N is the number of keys that will be removed. When a key to remove holds a value other than "
    "a string, the individual complexity for this key is O(M) where M is the number of elements in the list, set, "
    "sorted set or hash. Removing a single key that holds a string value is O(1).",
    hints=MULTI_SHARD,
    summary="Deletes one or more keys.",
)(delete)

key_command(
    "UNLINK key [key ...]",
    since="4.0.0",
    flags="write fast",
    keys="RM DELETE",
    complexity="O(1) for each key removed regardless of its size. Then the command does O(N) work in a different "
    "thread in order to reclaim memory, where N is the number of allocations the deleted objects where composed of.",
    hints=MULTI_SHARD,
    summary="Asynchronously deletes one or more keys.",
)(delete)


def count_existing(session: Session, keys: list[bytes]) -> int:
    """How many of the keys exist; one that is named twice counts twice."""
    return sum(read(session, key) is not None for key in keys)


key_command(
    "EXISTS key [key ...]",
    since="1.0.0",
    flags="readonly fast",
    keys="RO",
    reads="durable",
    complexity="O(N) where N is the number of keys to check.",
    history=(("3.0.3", "Accepts multiple `key` arguments."),),
    hints=MULTI_SHARD,
    summary="Determines whether one or more keys exist.",
)(count_existing)

key_command(
    "TOUCH key [key ...]",
    since="3.2.1",
    flags="readonly fast",
    keys="RO",
    reads="durable",
    complexity="O(N) where N is the number of keys that will be touched.",
    hints=MULTI_SHARD,
    summary="Returns the number of existing keys out of those specified after updating the time they were last "
    "accessed.",
)(count_existing)


@key_command(
    "TYPE key",
    since="1.0.0",
    flags="readonly fast",
    keys="RO",
    reads="durable",
    summary="Determines the type of value stored at a key.",
)
def type_(session: Session, key: bytes) -> str:
    return type_name(read(session, key))


# --- elsewhere -------------------------------------------------------------------------------------------------------


def _copy(source: Keyspace, key: bytes, target: Keyspace, name: bytes) -> None:
    """Put what *key* holds under *name*, with its expiry."""
    value, expires_at_ms = source.get_with_expiry(key)
    assert value is not None, "the caller has looked"
    target.put(name, bytes(value), expires_at_ms)


def _database(session: Session, number: int) -> Database:
    databases = session.engine.databases
    if not 0 <= number < len(databases):
        raise CommandError("ERR DB index is out of range")
    return databases[number]


def _number(text: bytes) -> int:
    """A number of a database, which Redis keeps in an int of 32 bits."""
    low, high = -(1 << 31), (1 << 31) - 1
    return integer_within(text, low, high, f"ERR value is out of range, value must between {low} and {high}")


def _rename(session: Session, key: bytes, newkey: bytes, *, replace: bool) -> bool:
    keyspace = session.db.keyspace
    if keyspace.get(key) is None:
        raise CommandError(NO_SUCH_KEY)
    if not replace and keyspace.get(newkey) is not None:
        return False
    if key != newkey:
        _copy(keyspace, key, keyspace, newkey)
        keyspace.delete(key)
    return True


@key_command(
    "RENAME key newkey",
    since="1.0.0",
    flags="write",
    keys="RW ACCESS DELETE / OW UPDATE",
    summary="Renames a key and overwrites the destination.",
)
def rename(session: Session, key: bytes, newkey: bytes) -> str:
    _rename(session, key, newkey, replace=True)
    return "OK"


@key_command(
    "RENAMENX key newkey",
    since="1.0.0",
    flags="write fast",
    keys="RW ACCESS DELETE / OW INSERT",
    history=(("3.2.0", "The command no longer returns an error when source and destination names are the same."),),
    summary="Renames a key only when the target key name doesn't exist.",
)
def renamenx(session: Session, key: bytes, newkey: bytes) -> int:
    return int(_rename(session, key, newkey, replace=False))


@key_command(
    "COPY source destination [DB destination-db] [REPLACE]",
    since="6.2.0",
    flags="write denyoom",
    keys="RO ACCESS / OW UPDATE",
    takes="args",
    complexity="O(N) worst case for collections, where N is the number of nested items. O(1) for string values.",
    summary="Copies the value of a key to a new key.",
)
def copy(session: Session, args: list[bytes]) -> int:
    _, source, destination, *options = args
    target, replace = _copy_options(session, options)
    if target is session.db and source == destination:
        raise CommandError(SAME_OBJECT)
    keyspace = session.db.keyspace
    value = keyspace.get(source)
    count(session, value)
    if value is None or (not replace and target.keyspace.get(destination) is not None):
        return 0
    _copy(keyspace, source, target.keyspace, destination)
    return 1


def _copy_options(session: Session, options: list[bytes]) -> tuple[Database, bool]:
    """Where to, and whether over what is there. As in Redis a database is judged before what follows it is read."""
    target, replace = session.db, False
    while options:
        match options[0].upper(), options[1:]:
            case b"REPLACE", rest:
                replace = True
            case b"DB", [number, *rest]:
                target = _database(session, _number(number))
            case _:
                raise CommandError(SYNTAX_ERROR)
        options = rest
    return target, replace


@key_command(
    "MOVE key db",
    since="1.0.0",
    flags="write fast",
    keys="RW ACCESS UPDATE",
    types={"db": _number},
    cluster=ONE_DATABASE,
    summary="Moves a key to another database.",
)
def move(session: Session, key: bytes, db: int) -> int:
    target = _database(session, db)
    if target is session.db:
        raise CommandError(SAME_OBJECT)
    keyspace = session.db.keyspace
    if keyspace.get(key) is None or target.keyspace.get(key) is not None:
        return 0
    _copy(keyspace, key, target.keyspace, key)
    keyspace.delete(key)
    return 1


# --- OBJECT ----------------------------------------------------------------------------------------------------------

container(
    "OBJECT", group="generic", since="2.2.3", acl="keyspace", summary="A container for object introspection commands."
)

object_command = partial(key_command, flags="readonly", keys="RO", acl="keyspace read", hints="nondeterministic_output")

NOT_COUNTED = (
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching "
    "between policies at runtime LRU and LFU data will take some time to adjust."
)
NOT_TIMED = (
    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies "
    "at runtime LRU and LFU data will take some time to adjust."
)


def _looked_up(session: Session, key: bytes) -> Value | None:
    value = session.db.keyspace.get(key)
    count(session, value)
    return value


@object_command(
    "OBJECT ENCODING key",
    since="2.2.3",
    summary="Returns the internal encoding of a Redis object.",
)
def object_encoding(session: Session, key: bytes) -> bytes | None:
    value = _looked_up(session, key)
    return None if value is None else encoding_of(value).encode()


@object_command(
    "OBJECT REFCOUNT key",
    since="2.2.3",
    summary="Returns the reference count of a value of a key.",
)
def object_refcount(session: Session, key: bytes) -> int | None:
    """A value belongs to its key alone. That copies may share immutable bytes in memory is nobody's business."""
    return None if _looked_up(session, key) is None else 1


@object_command(
    "OBJECT FREQ key",
    since="4.0.0",
    summary="Returns the logarithmic access frequency counter of a Redis object.",
)
def object_freq(session: Session, key: bytes) -> None:
    """Nothing is evicted, so accesses are not counted."""
    if _looked_up(session, key) is not None:
        raise CommandError(NOT_COUNTED)


@object_command(
    "OBJECT IDLETIME key",
    since="2.2.3",
    summary="Returns the time since the last access to a Redis object.",
)
def object_idletime(session: Session, key: bytes) -> None:
    """Nothing is evicted, so accesses are not timed: Redis' error for the policy under which it does not, either."""
    if _looked_up(session, key) is not None:
        raise CommandError(NOT_TIMED)
