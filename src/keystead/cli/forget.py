"""keystead forget: erases keys and their past for good, by the running server or in a directory that nobody serves."""

from __future__ import annotations

import os
import sys
import time
from argparse import Namespace
from typing import Any, Final

from keystead.cli import UsageError
from keystead.cli.asking import holder_of
from keystead.cli.offline import changing, refuse_missing
from keystead.cli.options import CommandLine
from keystead.cli.progress import many, size
from keystead.config import Settings
from keystead.engine.background import InlineBackground
from keystead.engine.engine import Engine
from keystead.engine.view import DATABASES
from keystead.errors import DiskFull, StoreLocked
from keystead.execution.forgetting import Forgotten, begin_at_once, report

_DESCRIPTION: Final = """\
Delete keys and erase them, their names and their past, from every file of a
data directory; say what may have them all the same. KEY may be "-": then keys
are read from standard input, one a line, and stand in no command line, which
others can see. When a server has the directory open, it is asked to do it: the
one that --host, --port or --unix name, with the password --requirepass-file."""

_PATIENCE_S: Final = 10.0


def run_forget(arguments: list[str]) -> int:
    """Forget the keys and say what came of it."""
    line = CommandLine("forget", _DESCRIPTION, ["dir", "host", "port", "unix", "requirepass"])
    line.usage = "keystead forget KEY [KEY ...] [OPTIONS]"
    line.own.add_argument("keys", metavar="KEY", nargs="+", help="a key; - for keys on standard input, one a line")
    line.own.add_argument("--db", type=int, default=0, metavar="N", help="the database that has them [0]")
    line.own.add_argument("--user", default="", metavar="NAME", help="whom the password is of [default]")
    parsed, settings = line.parse(arguments)
    if not 0 <= parsed.db < DATABASES:
        raise UsageError(f"there are databases 0 to {DATABASES - 1}")
    keys = _keys(parsed.keys)
    refuse_missing(settings.directory)
    try:
        with changing(settings, InlineBackground()) as engine:
            forgotten = _forget(engine, parsed.db, keys)
    except StoreLocked as locked:
        forgotten = _ask(settings, parsed, keys, locked)
    _say(forgotten, len(keys))
    return 0


def _keys(words: list[str]) -> list[bytes]:
    if words != ["-"]:
        return [os.fsencode(word) for word in words]
    keys = sys.stdin.buffer.read().splitlines()
    if not keys:
        raise UsageError("no key on standard input")
    return keys


def _forget(engine: Engine, database: int, keys: list[bytes]) -> Forgotten:
    forgetting = begin_at_once(engine, engine.databases[database], keys)
    deadline_s = time.monotonic() + _PATIENCE_S
    while not forgetting.done:
        engine.sync()
        engine.housekeep(1.0)
        engine.end_turn()
        if time.monotonic() > deadline_s:  # the work itself is done within one step
            raise DiskFull("the keys are deleted, but there is no space left to erase their past")
    return report(engine, forgetting)


def _ask(settings: Settings, parsed: Namespace, keys: list[bytes], locked: StoreLocked) -> Forgotten:
    with holder_of(settings, parsed.user, locked) as server:
        if parsed.db:
            server.ask(b"SELECT", b"%d" % parsed.db)
        answer = server.ask(b"KS.FORGET", *keys)
    return Forgotten(**{name.decode(): _plain(value) for name, value in zip(answer[::2], answer[1::2], strict=True)})


def _plain(value: Any) -> Any:
    return tuple(os.fsdecode(text) for text in value) if isinstance(value, list) else value


def _say(forgotten: Forgotten, keys: int) -> None:
    what = "the key is" if keys == 1 else f"the {keys} keys are"
    print(
        f"{what} in no file any more; {many(forgotten.operations, 'operation')} erased, "
        f"{many(forgotten.files, 'file')} rewritten ({size(forgotten.bytes)})"
    )
    places = [
        *((place, "a backup") for place in forgotten.backups),
        *((name, "put aside by a start or a repair") for name in forgotten.broken),
        *((path, "an operation log, which names keys") for path in forgotten.logs),
    ]
    for place, kind in places:
        print(f"MAY STILL HAVE IT  {place}: {kind}")
