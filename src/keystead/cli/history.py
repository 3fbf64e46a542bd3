"""keystead history, diff and log: the past, read from a data directory that is served or not. Nothing is changed."""

from __future__ import annotations

import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from keystead.cli import UsageError
from keystead.cli.moments import moment
from keystead.cli.offline import refuse_missing
from keystead.cli.options import CommandLine
from keystead.cli.progress import size
from keystead.engine.files import Directory
from keystead.engine.history.answering import logged_of
from keystead.engine.history.answers import Difference, KeyChange, Moment
from keystead.engine.history.past import Past
from keystead.engine.history.questions import LoggedTransaction, Operation, Transactions
from keystead.engine.history.transactions import Transaction
from keystead.engine.view import DATABASES
from keystead.execution.past_moments import asking, first_behind, found

_MOMENTS: Final = """\
A moment is a time (2026-11-26T10:15, "yesterday 18:00", 18:00, -10m, now,
@1700000000) or the number of a transaction."""

_HISTORY: Final = """\
Show the changes of a key, newest first: when, by which transaction, what, by
whom, and the value after it. The directory is only read; a server may have it
open."""

_DIFF: Final = f"""\
Show the keys that are not the same at two moments, with both values. The
directory is only read; a server may have it open.

{_MOMENTS}"""

_LOG: Final = f"""\
Print the transactions, oldest first, or with --reverse or --before the newest
first, with times, authors and operations. The directory is only read; a server
may have it open.

{_MOMENTS}"""

_POLL_S: Final = 0.2
_SHOWN_CHARACTERS: Final = 60
_JSON: Final = "write JSON lines: one for each change, nothing shortened"

_encode = msgspec.json.Encoder().encode


# --- history ---------------------------------------------------------------------------------------------------------


def run_history(arguments: list[str]) -> int:
    """Print the changes of one key."""
    line = _command_line("history", _HISTORY, "keystead history KEY [OPTIONS]")
    line.own.add_argument("key", metavar="KEY", help="the key")
    line.add_figure("--count", 100, "changes at most")
    line.add_figure("--before", None, "only changes before the transaction with this number")
    parsed, settings = line.parse(arguments)
    key = os.fsencode(parsed.key)
    with _past(settings.directory) as past, asking(past):
        changes = past.key_changes(_database(parsed), key, parsed.count, parsed.before)
        for change in changes:
            _print(_change_as_json(key, change) if parsed.json else _change_as_text(change))
        if not changes:
            print(_nothing_kept(past, key, _database(parsed), parsed.before), file=sys.stderr)
    return 0


def _nothing_kept(past: Past, key: bytes, database: int, before: int | None) -> str:
    until = f" before transaction {before}" if before is not None else ""
    return f"no change of {_shown(key)} in database {database}{until} is kept; the past begins {_begins(past.floor)}"


def _begins(floor: Moment) -> str:
    return f"behind {_moment_as_text(floor)}" if floor.sequence else "with the store"


def _change_as_text(change: KeyChange) -> str:
    sequence = "" if change.sequence is None else f"#{change.sequence}"
    value = "" if change.value is None else f"{size(len(change.value)):>9}  {_shown(change.value)}"
    expiry = f"  until {_clock(change.expires_at_ms)}" if change.expires_at_ms else ""
    line = f"{_clock(change.time_ms)}  {sequence:>8}  {change.operation:<7}  {_author(change):<24}  {value}{expiry}"
    return line.rstrip()


def _change_as_json(key: bytes, change: KeyChange) -> str:
    fields = {
        "key": _text(key),
        "sequence": change.sequence,
        "time_ms": change.time_ms,
        "operation": change.operation,
        "user": change.user,
        "client": change.client,
        "value": None if change.value is None else _text(change.value),
        "expires_at_ms": change.expires_at_ms or None,
    }
    return _encode(fields).decode()


# --- diff ------------------------------------------------------------------------------------------------------------


def run_diff(arguments: list[str]) -> int:
    """Print the keys that are not the same."""
    line = _command_line("diff", _DIFF, "keystead diff --from MOMENT [OPTIONS]")
    line.add_time("--from", "the one moment", metavar="MOMENT", dest="earlier")
    line.add_time("--to", "the other one [now]", metavar="MOMENT", dest="later", default="now")
    line.own.add_argument("--prefix", metavar="TEXT", default="", help="only keys that begin so")
    parsed, settings = line.parse(arguments)
    if parsed.earlier is None:
        raise UsageError("diff needs --from MOMENT; keystead diff --help tells the options")
    asked = moment(parsed.earlier), moment(parsed.later)
    with _past(settings.directory) as past:
        earlier, later = (found(past, each) for each in asked)
        if not parsed.json:
            print(f"from {_moment_as_text(earlier)} to {_moment_as_text(later)}")
        for difference in past.differences(_database(parsed), earlier, later, os.fsencode(parsed.prefix)):
            _print(_difference_as_json(difference) if parsed.json else _difference_as_text(difference))
    return 0


def _moment_as_text(moment: Moment) -> str:
    return f"#{moment.sequence} of {_clock(moment.time_ms)}" if moment.sequence else "the beginning"


def _difference_as_text(difference: Difference) -> str:
    key = _shown(difference.key)
    if difference.before is None:
        return f"+ {key}  {_state(difference.after, difference.after_expires_at_ms)}"
    before = _state(difference.before, difference.before_expires_at_ms)
    if difference.after is None:
        return f"- {key}  {before}"
    return f"~ {key}  {before} -> {_state(difference.after, difference.after_expires_at_ms)}"


def _state(value: bytes | None, expires_at_ms: int) -> str:
    return _shown(value or b"") + (f" until {_clock(expires_at_ms)}" if expires_at_ms else "")


def _difference_as_json(difference: Difference) -> str:
    fields = {
        "key": _text(difference.key),
        "before": None if difference.before is None else _text(difference.before),
        "before_expires_at_ms": difference.before_expires_at_ms or None,
        "after": None if difference.after is None else _text(difference.after),
        "after_expires_at_ms": difference.after_expires_at_ms or None,
    }
    return _encode(fields).decode()


# --- log -------------------------------------------------------------------------------------------------------------


def run_log(arguments: list[str]) -> int:
    """Print transactions."""
    line = _command_line("log", _LOG, "keystead log [OPTIONS]", "only this database [all]")
    line.add_time("--since", "begin there, or end there if the newest is first [the oldest kept]", metavar="MOMENT")
    line.own.add_argument("--reverse", action="store_true", help="the newest first")
    line.add_time("--before", "the newest first, from there back", metavar="MOMENT")
    line.add_figure("--count", None, "transactions at most")
    line.own.add_argument("--prefix", metavar="TEXT", default="", help="only operations on keys that begin so")
    line.own.add_argument("--author", metavar="NAME", help="only of this user, or of this client's name or address")
    line.own.add_argument("--follow", action="store_true", help="go on with what is committed from now on")
    parsed, settings = line.parse(arguments)
    database = None if parsed.db is None else _database(parsed)
    is_back = parsed.reverse or parsed.before is not None
    if parsed.follow and (is_back or parsed.count is not None):
        raise UsageError("log --follow goes on for ever, the oldest first: not with --reverse, --before or --count")
    asked = Transactions(None, parsed.count or 0, os.fsencode(parsed.prefix), parsed.author, database)
    since = None if parsed.since is None else moment(parsed.since)
    before = None if parsed.before is None else moment(parsed.before)
    with _past(settings.directory) as past:
        first = past.floor.sequence + 1 if since is None else first_behind(past, since)
        if parsed.follow:
            _follow_log(past, first, asked, as_json=parsed.json)
            return 0
        until = past.newest.sequence + 1 if before is None else first_behind(past, before)
        with asking(past):
            walk = past.transactions_back(until, first) if is_back else past.transactions(first, until)
            _print_log(walk, asked, as_json=parsed.json)
    return 0


def _follow_log(past: Past, first: int, asked: Transactions, *, as_json: bool) -> None:
    """Print what there is from that transaction on, and what is added, until it is interrupted."""
    with suppress(KeyboardInterrupt):
        while True:
            until = past.newest.sequence + 1
            with asking(past):
                _print_log(past.transactions(first, until), asked, as_json=as_json)
            first = max(first, until)
            sys.stdout.flush()
            time.sleep(_POLL_S)
            past.refresh()


def _print_log(walk: Iterator[Transaction], asked: Transactions, *, as_json: bool) -> None:
    """Print what was asked for of these transactions."""
    found = (logged for transaction in walk if (logged := logged_of(transaction, asked, most=None)) is not None)
    for logged in islice(found, asked.limit or None):
        _print(_logged_as_json(logged) if as_json else _logged_as_text(logged))


def _logged_as_text(logged: LoggedTransaction) -> str:
    head = f"{_clock(logged.time_ms)}  {f'#{logged.sequence}':>8}  {_author(logged):<24}"
    return "\n".join(f"{head}  {_operation_as_text(operation)}" for operation in logged.operations)


def _operation_as_text(operation: Operation) -> str:
    words = [f"{operation.name:<7}"]
    if operation.key is not None:
        words.append(_shown(operation.key))
    if operation.database or operation.key is None:
        words.append(f"(db {operation.database})")
    if operation.swapped_with is not None:
        words.append(f"with db {operation.swapped_with}")
    if operation.size is not None:
        words.append(size(operation.size) + (f" at {operation.offset}" if operation.offset is not None else ""))
    if operation.expires_at_ms:
        words.append(f"until {_clock(operation.expires_at_ms)}")
    return " ".join(words)


def _logged_as_json(logged: LoggedTransaction) -> str:
    operations = []
    for operation in logged.operations:
        fields = {
            "operation": operation.name,
            "db": operation.database,
            "key": None if operation.key is None else _text(operation.key),
            "size": operation.size,
            "offset": operation.offset,
            "expires_at_ms": operation.expires_at_ms or None,
            "swapped_with": operation.swapped_with,
        }
        operations.append({name: value for name, value in fields.items() if value is not None})
    fields = {
        "sequence": logged.sequence,
        "time_ms": logged.time_ms,
        "user": logged.user,
        "client": logged.client,
        "operations": operations,
    }
    return _encode(fields).decode()


# --- What they share -------------------------------------------------------------------------------------------------


def _command_line(name: str, description: str, usage: str, db: str = "the database [0]") -> CommandLine:
    line = CommandLine(name, description, ["dir"])
    line.usage = usage
    line.own.add_argument("--db", type=int, metavar="N", help=db)
    line.own.add_argument("--json", action="store_true", help=_JSON)
    return line


def _database(parsed: Namespace) -> int:
    number: int = parsed.db or 0
    if not 0 <= number < DATABASES:
        raise UsageError(f"there are databases 0 to {DATABASES - 1}")
    return number


@contextmanager
def _past(path: Path) -> Iterator[Past]:
    refuse_missing(path)
    with Past(Directory(str(path))) as past:
        yield past


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")


def _author(entry: KeyChange | LoggedTransaction) -> str:
    return " ".join(word for word in (entry.user, entry.client) if word)


def _clock(time_ms: int) -> str:
    """Local time, to the millisecond."""
    try:
        return datetime.fromtimestamp(time_ms / 1000).isoformat(" ", "milliseconds")
    except (ValueError, OverflowError, OSError):
        return f"@{time_ms / 1000}"


def _shown(data: bytes) -> str:
    """For a terminal: on one line, without anything that could move its cursor, and not too long."""
    text = data[: 4 * _SHOWN_CHARACTERS].decode("utf-8", "backslashreplace")
    shown = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    is_short = len(shown) <= _SHOWN_CHARACTERS and len(data) <= 4 * _SHOWN_CHARACTERS
    return shown if is_short else shown[: _SHOWN_CHARACTERS - 1] + "…"


def _text(data: bytes) -> Any:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": data}
