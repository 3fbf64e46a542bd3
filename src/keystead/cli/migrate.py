"""keystead migrate: all keys from one store to another, while the first one goes on serving."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from xxhash import xxh3_64_hexdigest

from keystead.backup.cutting import written
from keystead.cli import UsageError
from keystead.cli.options import CommandLine
from keystead.cli.progress import Progress, duration, many
from keystead.engine.clock import wall_clock_ms
from keystead.errors import KeysteadError
from keystead.migration.addresses import Tls, address_of
from keystead.migration.moving import Choices, CutOver, Lag, Moving, NotTheSame
from keystead.migration.opening import (
    End,
    open_source,
    open_target,
    refuse_other_databases,
    refuse_other_types,
    refuse_same,
)
from keystead.migration.source import FollowingRefused, Source
from keystead.migration.state import StateFile
from keystead.migration.target import Target
from keystead.migration.verification import Difference, Verification

_DESCRIPTION: Final = """\
Move all keys from SOURCE to TARGET while SOURCE goes on serving: copy them,
follow what changes, compare, and cut over when told. What was interrupted is
gone on with by the same command. SOURCE and TARGET are each one of

  a path                 a data directory; as SOURCE a server may have it open
  redis://host:port[/N]  a Redis, Valkey or Keystead server (rediss:// with TLS)
  cluster://host:port,…  a Redis or Valkey Cluster (clusters:// with TLS)"""

_EPILOG: Final = """\
To cut over, type "cut over", or send SIGUSR1, or begin with --cut-over."""

_CUT_OVER: Final = "cut over"
_LINE_EVERY_S: Final = 60.0
_DIFFERENCES_SHOWN: Final = 100
_SHOWN_BYTES: Final = 100
_MOST_PAUSE_S: Final = 86_400
_DROPPED_BEFORE_MS: Final = 500
_LOOKS_ON_MS: Final = 1000


def run_migrate(arguments: list[str]) -> int:
    """Move, or only compare."""
    line = CommandLine("migrate", _DESCRIPTION, [], _EPILOG)
    line.usage = "keystead migrate --from SOURCE --to TARGET [OPTIONS]"
    add = line.own.add_argument
    add("--from", dest="source", metavar="SOURCE", help="where the keys are")
    add("--to", dest="target", metavar="TARGET", help="where they are to be; it must be empty")
    add("--database", metavar="N", type=int, help="move this numbered database of SOURCE [the only one with keys]")
    add("--cut-over", action="store_true", help="cut over as soon as everything is copied and compared")
    line.add_figure("--pause", 60, "at the cut-over let SOURCE's writers wait for N seconds at most")
    add("--then", metavar="COMMAND", help="run this in a shell once it is cut over, while the writers wait")
    add("--into-non-empty", action="store_true", help="TARGET may have keys; those of the same name are replaced")
    add("--copy", action="store_true", help="do not follow changes: copy by SCAN, compare and repair, pause, again")
    add("--compare", action="store_true", help="move nothing: compare all keys, and list those that differ")
    add("--source-server", metavar="ADDRESS", help="the server that has SOURCE, a directory, open: redis://host:port")
    add("--acknowledge", choices=("replicated", "async"), default="replicated",
        help="when a cluster's write counts as done: on a replica too, or not [replicated]")  # fmt: skip
    add("--spool", metavar="DIR", help="let changes of a server that wait their turn wait here [the system's]")
    add("--state", metavar="FILE", help="keep here how far it has come [a file in ~/.local/state/keystead]")
    for end, name in (("from", "SOURCE"), ("to", "TARGET")):
        add(f"--{end}-password-file", metavar="FILE", help=f"the password of {name} is in this file")
        add(f"--{end}-ca", metavar="FILE", default="", help=f"trust these certificates for {name} [the system's]")
        add(f"--{end}-cert", metavar="FILE", default="", help=f"show this certificate to {name}")
        add(f"--{end}-key", metavar="FILE", default="", help=f"the key of --{end}-cert")
    parsed, _ = line.parse(arguments)
    if not parsed.source or not parsed.target:
        raise UsageError("migrate needs --from SOURCE and --to TARGET; keystead migrate --help tells the options")
    if parsed.pause > _MOST_PAUSE_S:
        raise UsageError(f"--pause {parsed.pause}: that is more than a day")
    given = vars(parsed)
    origin, destination = (_end(given[kind], given, end) for kind, end in (("source", "from"), ("target", "to")))
    refuse_same(origin, destination)
    control = address_of(parsed.source_server, _password(given, "from")) if parsed.source_server else None
    chosen = parsed.database
    if chosen is None and origin.server is not None and origin.server.database:
        chosen = origin.server.database
    database = chosen or 0
    with contextlib.ExitStack() as closing:
        source = open_source(
            origin, database, follow=not (parsed.copy or parsed.compare), spool=parsed.spool, controlled_by=control
        )
        closing.callback(source.close)
        refuse_other_databases(source, chosen, destination.server is not None and destination.server.cluster)
        target = open_target(destination, parsed.acknowledge)
        closing.callback(target.close)
        if parsed.compare:
            return _compare(source, target, parsed.into_non_empty)
        refuse_other_types(source, target)
        choices = Choices(database, parsed.into_non_empty, parsed.pause * 1000)
        state = StateFile(Path(parsed.state) if parsed.state else _state_path(source, target, database))
        state.lock()
        return _Run(source, target, state, choices, parsed.then).run(at_once=parsed.cut_over)


def _end(text: str, given: dict[str, str], end: str) -> End:
    tls = Tls(given[f"{end}_ca"], given[f"{end}_cert"], given[f"{end}_key"])
    return End(text, address_of(text, _password(given, end), tls))


def _password(given: dict[str, str], end: str) -> str:
    file = given[f"{end}_password_file"]
    return Path(file).read_text().rstrip("\r\n") if file else ""


def _state_path(source: Source, target: Target, database: int) -> Path:
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    name = xxh3_64_hexdigest(f"{source.identity()} {target.describe()} {database}".encode())
    return Path(home) / "keystead" / f"migrate-{name}.json"


class _Run:
    """One run of the command."""

    def __init__(self, source: Source, target: Target, state: StateFile, choices: Choices, then: str | None) -> None:
        self._source = source
        self._target = target
        self._state = state
        self._choices = choices
        self._then = then
        self._shown = _Shown(source)

    def run(self, *, at_once: bool) -> int:
        with _told(at_once) as told, self._shown:
            moving = Moving(self._source, self._target, self._state, self._choices, self._shown, told)
            try:
                done = moving.run()
            except NotTheSame as error:
                self._shown.end()
                _list(error.differences)
                raise
            except FollowingRefused as error:
                raise FollowingRefused(
                    f"{error}. --copy moves keys without: it copies, compares and repairs them, and at the cut-over "
                    "once more while writers wait; that takes as long as reading all keys does"
                ) from None
            except KeyboardInterrupt:
                self._shown.say("interrupted; the same command goes on with it")
                raise
            self._shown.end()
            print(self._text(done), flush=True)
            status = subprocess.run(self._then, shell=True).returncode if self._then else 0
            if status:
                print(f"keystead: the command of --then ended with status {status}", file=sys.stderr)
            stray = _watch(moving, done)
        if stray:
            print(f"keystead: {many(stray, 'change')} came to {self._source.describe()} after the cut-over, and "
                  f"are not in {self._target.describe()}", file=sys.stderr)  # fmt: skip
        return 1 if status or stray else 0

    def _text(self, done: CutOver) -> str:
        again = f", {done.changed:,} that had changed since once more" if done.changed else ""
        digest = f" (digest {done.compared.digest})" if done.compared.digest and not done.changed else ""
        text = (
            f"cut over: {self._target.describe()} has everything: {many(done.compared.keys, 'key')} compared{again}, "
            f"none differs{digest}. Let all clients use {self._target.describe()} now."
        )
        if done.paused_until_ms:
            text += (
                f" Writers of {self._source.describe()} wait until {written(done.paused_until_ms)}; its clients are "
                "cut off then, and what comes there later is reported, and not moved."
            )
        return text


def _watch(moving: Moving, done: CutOver) -> int:
    """How many changes came to the source until shortly after the end of the pause, before which all that still wait
    are cut off."""
    stray, dropped = 0, False
    with contextlib.suppress(KeyboardInterrupt, KeysteadError):
        while (now_ms := wall_clock_ms()) < done.paused_until_ms + _LOOKS_ON_MS:
            if not dropped and now_ms > done.paused_until_ms - _DROPPED_BEFORE_MS:
                moving.drop_writers()
                dropped = True
            stray += moving.stray()
    return stray


def _compare(source: Source, target: Target, others_in_target: bool) -> int:
    verification = Verification(source, target, lambda: None, others_in_target=others_in_target)
    with Progress("comparing", unit="keys") as progress:
        for _ in verification.run():
            progress.update(verification.done, 0)
    verdict = verification.verdict
    _list(verdict.differences)
    if verdict.unsettled:
        print(f"{many(len(verdict.unsettled), 'key')} changed whenever they were looked at")
    if verdict.differences:
        raise NotTheSame(verdict.differences)
    digest = f", digest {verdict.digest}" if verdict.digest else ""
    print(f"{many(verdict.keys, 'key')} compared, none differs{digest}")
    return 0


def _list(differences: list[Difference]) -> None:
    for difference in differences[:_DIFFERENCES_SHOWN]:
        print(f"{difference.key[:_SHOWN_BYTES]!r}: {difference.describe()}")
    if len(differences) > _DIFFERENCES_SHOWN:
        print(f"and {len(differences) - _DIFFERENCES_SHOWN:,} more")


class _Shown:
    """How far it is: bars for what ends, one line for what goes on; elsewhere than on a terminal a line a minute."""

    def __init__(self, source: Source) -> None:
        self._unit = source.unit
        self._terminal = sys.stderr.isatty()
        self._label = ""
        self._progress: Progress | None = None
        self._drawn = False
        self._lag_s = -_LINE_EVERY_S
        self._facts, self._facts_s = 0, time.monotonic()

    def copying(self, done: int, total: int) -> None:
        self._bar("copying", done, total)

    def comparing(self, done: int, total: int) -> None:
        self._bar("comparing", done, total)

    def following(self, lag: Lag) -> None:
        now_s = time.monotonic()
        rate = (lag.facts - self._facts) / max(0.001, now_s - self._facts_s)
        text = f"following: {lag.behind:,} {self._unit} behind, lag {duration(lag.lag_ms / 1000)}, {rate:,.0f} keys/s"
        self._facts, self._facts_s = lag.facts, now_s
        if self._label:
            return  # a bar is there
        if self._terminal:
            sys.stderr.write(f"\r{text}\x1b[K")
            self._drawn = True
        elif now_s - self._lag_s >= _LINE_EVERY_S:
            self._lag_s = now_s
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def say(self, text: str) -> None:
        self.end()
        print(text, file=sys.stderr, flush=True)

    def _bar(self, label: str, done: int, total: int) -> None:
        if self._progress is None or label != self._label:
            self.end()
            self._label, self._progress = label, Progress(label, unit="keys", rate=True)
        self._progress.update(done, total)

    def end(self) -> None:
        """What is under way is over."""
        if self._progress is not None:
            self._progress.__exit__(None, None, None)
            self._label, self._progress = "", None
        if self._drawn:
            sys.stderr.write("\n")
            self._drawn = False

    def __enter__(self) -> _Shown:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class _Told:
    """Whether it is time to cut over: a signal came, or somebody typed so."""

    def __init__(self, at_once: bool) -> None:
        self.signalled = threading.Event()
        if at_once:
            self.signalled.set()
        self._listening = sys.stdin is not None and not sys.stdin.closed

    def __call__(self) -> bool:
        while self._listening and select.select([sys.stdin], [], [], 0)[0]:
            line = sys.stdin.readline()
            if not line:
                self._listening = False
            elif line.strip() == _CUT_OVER:
                self.signalled.set()
            elif line.strip():
                print(f'type "{_CUT_OVER}" to cut over', file=sys.stderr)
        return self.signalled.is_set()


@contextlib.contextmanager
def _told(at_once: bool) -> Iterator[_Told]:
    told = _Told(at_once)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    handlers = {signal.SIGUSR1: lambda *_: told.signalled.set(), signal.SIGTERM: interrupted}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
