"""All keys of a database: KEYS, SCAN, RANDOMKEY, DBSIZE.

KEYS looks at every key of the database, as in Redis, and the server does nothing else meanwhile: 0.3 to 0.9 s a
million keys. With a pattern that begins with plain bytes it asks the ordered index, once that is there, and looks only
at the keys that begin so. SCAN is the command for programs.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from keystead.commands.declaration import command
from keystead.commands.glob import compile_glob, literal_prefix
from keystead.commands.grammar import SYNTAX_ERROR
from keystead.commands.numbers import cursor, integer
from keystead.commands.value_types import type_name
from keystead.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keystead.engine.keyspace import Keyspace
    from keystead.execution.session import Session

scan_command = partial(command, flags="readonly")


@scan_command(
    "KEYS pattern",
    group="generic",
    since="1.0.0",
    acl="keyspace dangerous",
    complexity="O(N) with N being the number of keys in the database, under the assumption that the key names in the "
    "database and the given pattern have limited length.",
    hints="request_policy:all_shards nondeterministic_output_order",
    summary="Returns all key names that match a pattern.",
)
def keys(session: Session, pattern: bytes) -> list[bytes]:
    return list(filter(compile_glob(pattern), _candidates(session.db.keyspace, literal_prefix(pattern))))


def _candidates(keyspace: Keyspace, prefix: bytes) -> Iterable[bytes]:
    """All live keys, or by the index those that begin with the prefix."""
    index = keyspace.index
    if not prefix or index is None or not index.ready:
        return keyspace.keys()
    return [key for key in index.range(prefix, limit=len(keyspace)) if key in keyspace]


@scan_command(
    "SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]",
    group="generic",
    since="2.8.0",
    takes="args",
    complexity="O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to "
    "return back to 0. N is the number of elements inside the collection.",
    history=(("6.0.0", "Added the `TYPE` subcommand."),),
    hints="nondeterministic_output request_policy:special",
    cluster="own",
    summary="Iterates over the key names in the database.",
)
def scan(session: Session, args: list[bytes]) -> list[bytes | list[bytes]]:
    position = cursor(args[1])
    count, pattern, wanted_type = 10, b"*", ""
    for name, value in _options(args[2:]):
        if name == b"COUNT":
            count = integer(value)
            if count < 1:
                raise CommandError(SYNTAX_ERROR)
        elif name == b"MATCH":
            pattern = value
        else:
            wanted_type = value.decode("latin-1").lower()
    keyspace = session.db.keyspace
    following, found = keyspace.scan(position, count)
    if pattern != b"*":
        found = list(filter(compile_glob(pattern), found))
    if wanted_type:
        found = [key for key in found if type_name(keyspace.get(key)) == wanted_type]
    return [b"%d" % following, found]


def _options(args: list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    for at in range(0, len(args), 2):
        name = args[at].upper()
        if name not in (b"MATCH", b"COUNT", b"TYPE") or at + 1 == len(args):
            raise CommandError(SYNTAX_ERROR)
        yield name, args[at + 1]


@scan_command(
    "RANDOMKEY",
    group="generic",
    since="1.0.0",
    hints="request_policy:all_shards nondeterministic_output",
    cluster="own",
    summary="Returns a random key name from the database.",
)
def randomkey(session: Session) -> bytes | None:
    return session.db.keyspace.random_key()


@scan_command(
    "DBSIZE",
    group="server",
    since="1.0.0",
    flags="readonly fast",
    acl="keyspace",
    hints="request_policy:all_shards response_policy:agg_sum",
    summary="Returns the number of keys in the database.",
)
def dbsize(session: Session) -> int:
    return len(session.db.keyspace)
