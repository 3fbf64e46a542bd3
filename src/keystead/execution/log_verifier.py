"""The process that verifies the files of a store at low priority, and tells how far it has come.

A `Request` comes as one line of JSON on standard input, which then stays open: the process ends when it closes, which
is when its parent ends, however that happens. Each line of its output is a `Report`.
"""

from __future__ import annotations

import os
import sys
import time

import msgspec

from keystead.engine.background_process import end_with_parent
from keystead.engine.files import Directory
from keystead.engine.verifying import verify
from keystead.errors import DamagedData, KeysteadError

REPORT_S = 0.1
NICE = 15


class Request(msgspec.Struct):
    """What is to be read."""

    directory: str
    durable: dict[int, int]
    """Of each segment that is being written, by its number: up to which byte it is durable, at least."""


class Damage(msgspec.Struct):
    """What is wrong in one file."""

    file: str
    """Its path."""
    offset: int
    reason: str


class Report(msgspec.Struct):
    """How far it has come, and the damage found since the last report."""

    done_bytes: int
    total_bytes: int
    files: int
    damage: list[Damage] = []


def main() -> None:
    """Entry point of the process."""
    request = msgspec.json.decode(sys.stdin.buffer.readline(), type=Request)
    end_with_parent()
    os.nice(NICE)
    try:
        _verify(request)
    except KeysteadError as error:
        if not isinstance(error, DamagedData):
            sys.exit(str(error))
        _tell(Report(0, 0, 0, [Damage(error.file, error.offset, error.reason)]))


def _verify(request: Request) -> None:
    told_s = 0.0
    report = Report(0, 0, 0)
    for done, total, files, damage in verify(Directory(request.directory), request.durable):
        found = [Damage(damage.file, damage.offset, damage.reason)] if damage else []
        report = Report(done, total, files, found)
        if found or time.monotonic() - told_s > REPORT_S:
            told_s = time.monotonic()
            _tell(report)
    _tell(msgspec.structs.replace(report, damage=[]))


def _tell(report: Report) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
