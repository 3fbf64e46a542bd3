"""A program that dies keeps what it was told is done, and transactions whole."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

import keystead

if TYPE_CHECKING:
    from pathlib import Path

PRELUDE = """
import os, sys, threading, keystead
db = keystead.open(sys.argv[1], fsync=sys.argv[2])
def say(word):
    os.write(1, f"{word}\\n".encode())
"""


def die(program: str, path: Path, fsync: str = "always") -> list[str]:
    """What the program said before it ended without any clean-up."""
    text = PRELUDE + textwrap.dedent(program) + "\nos._exit(9)"
    ended = subprocess.run(
        [sys.executable, "-c", text, str(path), fsync], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 9, ended.stderr
    return ended.stdout.split()


@pytest.mark.parametrize("fsync", ["always", "interval", "never"])
def test_what_was_acknowledged_outlives_the_program(tmp_path: Path, fsync: str) -> None:
    die('db["a"] = b"1"; db.update(b=b"2", c=b"3"); del db["c"]; db.set("d", b"4", ttl=1000)', tmp_path, fsync)
    with keystead.open(tmp_path) as db:
        assert dict(db) == {"a": b"1", "b": b"2", "d": b"4"}
        assert (db.ttl("d") or 0) > 900


def test_a_transaction_that_did_not_end_has_not_happened(tmp_path: Path) -> None:
    die(
        """
        db["a"] = b"1"
        with db.transaction() as tx:
            tx["a"] = b"2"
            tx["b"] = b"2"
            os._exit(9)
        """,
        tmp_path,
    )
    with keystead.open(tmp_path) as db:
        assert dict(db) == {"a": b"1"}


def test_a_transaction_that_ended_is_there_as_a_whole(tmp_path: Path) -> None:
    die(
        """
        db.update({f"old{i}": b"" for i in range(100)})
        with db.transaction() as tx:
            tx.clear()
            tx.update({f"k{i}": os.urandom(50_000) for i in range(50)})  # travels in parts
            tx["sum"] = b"50"
        """,
        tmp_path,
    )
    with keystead.open(tmp_path) as db:
        assert sorted(db) == sorted(["sum", *(f"k{i}" for i in range(50))])


def test_many_threads_dying_in_the_middle_leave_whole_transactions(tmp_path: Path) -> None:
    program = """
        def work(number):
            for i in range(10**9):
                with db.transaction() as tx:
                    tx.update({f"{number}:{j}": b"%d" % i for j in range(5)})
                say(f"{number}={i}")
                db[f"own{number}"] = b"%d" % i
                say(f"own{number}={i}")
        for number in range(4):
            threading.Thread(target=work, args=(number,), daemon=True).start()
        import time; time.sleep(0.3)
    """
    for _ in range(3):
        said = dict(word.split("=") for word in die(program, tmp_path))
        with keystead.open(tmp_path) as db:
            for number in range(4):
                group = {db[f"{number}:{j}"] for j in range(5)}
                assert len(group) == 1, "half a transaction"
                assert int(group.pop()) >= int(said.get(str(number), 0))
                assert int(db.get(f"own{number}", b"0")) >= int(said.get(f"own{number}", 0))
            db.clear()


def test_tasks_that_were_told_find_their_writes_again(tmp_path: Path) -> None:
    program = """
        import asyncio
        async def work(number):
            for i in range(20):
                await db.aset(f"{number}:{i}", b"v")
                say(f"{number}:{i}")
        async def main():
            await asyncio.gather(*(work(number) for number in range(10)))
        asyncio.run(main())
    """
    said = die(program, tmp_path)
    assert len(said) == 200
    with keystead.open(tmp_path) as db:
        assert set(said) == set(db)
