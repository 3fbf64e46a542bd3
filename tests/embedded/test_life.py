"""The life of a handle: opening, locks, forks, the end of the program."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING

import pytest

import keystead

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WAIT_S = 60


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a Python program to its end, with all warnings shown."""
    command = [sys.executable, "-W", "always", "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)


# --- Opening --------------------------------------------------------------------------------------------------------


def test_a_directory_is_created_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "some" / "data"
    with keystead.open(path) as db:
        db["a"] = b"1"
    with keystead.open(str(path)) as db:
        assert dict(db) == {"a": b"1"}


def test_numbered_databases_are_apart(tmp_path: Path) -> None:
    with keystead.open(tmp_path, db=3) as db:
        db["a"] = b"3"
    with keystead.open(tmp_path) as db:
        assert "a" not in db
    with keystead.open(tmp_path, db=3) as db:
        assert db["a"] == b"3"


@pytest.mark.parametrize(
    "options",
    [
        {"fsync": "sometimes"},
        {"db": 16},
        {"db": -1},
        {"db": "0"},
        {"maxmemory": -1},
        {"maxmemory": "1gb"},
        {"history_max_bytes": 1.5},
        {"maxmemroy": 5},
    ],
)
def test_an_option_that_makes_no_sense_is_named_and_nothing_is_created(tmp_path: Path, options: dict) -> None:
    with pytest.raises(keystead.ConfigurationError, match=next(iter(options))):
        keystead.open(tmp_path / "data", **options)
    assert not (tmp_path / "data").exists()


def test_every_option_reaches_the_engine(tmp_path: Path) -> None:
    with keystead.open(
        tmp_path, fsync="interval", maxmemory=1 << 30, history_max_age=1.5, history_max_bytes=12_345
    ) as db:
        options = db._shared.engine.options  # type: ignore[attr-defined]
    assert (options.fsync, options.maxmemory) == ("interval", 1 << 30)
    assert (options.history_max_age_ms, options.history_max_bytes) == (1_500, 12_345)


def test_housekeeping_holds_nobody_up_for_more_than_a_few_milliseconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with keystead.open(tmp_path) as db:
        budgets: list[float] = []
        with db._shared.lock:  # type: ignore[attr-defined]
            monkeypatch.setattr(db._shared.engine, "housekeep", budgets.append)  # type: ignore[attr-defined]
        db._shared.housekeep()  # type: ignore[attr-defined]
    assert budgets
    assert max(budgets) <= 5


def test_kinds_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    for kinds in ({"keys": "int"}, {"keys": int}, {"values": str}, {"values": "json"}, {"values": None}):
        with pytest.raises(keystead.ValueRefused, match=next(iter(kinds))):
            keystead.open(tmp_path / "data", **kinds)  # type: ignore[call-overload]


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(keystead.DirectoryUnusable, match="file"):
        keystead.open(tmp_path / "file")


def test_a_second_process_is_told_who_holds_the_directory_and_what_to_do(tmp_path: Path) -> None:
    with keystead.open(tmp_path):
        ended = run("import sys, keystead\nkeystead.open(sys.argv[1])", tmp_path)
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("keystead.errors.StoreLocked: another process")
    assert f"pid {os.getpid()}" in last
    assert "keystead.connect(" in last


def test_opening_twice_in_one_process_says_so(tmp_path: Path) -> None:
    with keystead.open(tmp_path) as db:
        with pytest.raises(keystead.StoreLocked, match="this very process"):
            keystead.open(str(tmp_path) + "/.")
        db["a"] = b"1"
    keystead.open(tmp_path).close()


def test_the_program_is_named_as_the_author(tmp_path: Path) -> None:
    with keystead.open(tmp_path, client="billing") as db:
        assert db._shared.engine.author.client == "billing"  # type: ignore[attr-defined]


# --- Forks ----------------------------------------------------------------------------------------------------------


def in_child(action: Callable[[], None]) -> str:
    """What *action* raised in a forked child: "Type: message", or "" for nothing."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = ""
        try:
            action()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(pid, 0)
    return said


@pytest.mark.parametrize(
    "use",
    [
        lambda db: db["a"],
        lambda db: db.get("a"),
        lambda db: "a" in db,
        lambda db: db.__setitem__("a", b"2"),
        lambda db: db.set("a", b"2"),
        lambda db: db.pop("a"),
        lambda db: db.ttl("a"),
        lambda db: len(db),
        lambda db: list(db),
        lambda db: list(db.items(prefix="")),
        lambda db: db.clear(),
        lambda db: db.sync(),
        lambda db: db.transaction().__enter__(),
        lambda db: db.close(),
    ],
)
def test_in_a_forked_child_the_handle_refuses_with_the_reason(tmp_path: Path, use) -> None:
    with keystead.open(tmp_path) as db:
        db["a"] = b"1"
        said = in_child(lambda: use(db))
        assert said.startswith("ForkedHandle:")
        assert f"process {os.getpid()}" in said
        assert "fork" in said
        db["a"] = b"parent"
        assert db["a"] == b"parent"
    with keystead.open(tmp_path) as db:
        assert dict(db) == {"a": b"parent"}


def test_a_fork_beside_a_writing_thread_does_not_hang_or_harm(tmp_path: Path) -> None:
    with keystead.open(tmp_path) as db:
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                db.increment("n")

        writers = [threading.Thread(target=write) for _ in range(2)]
        for writer in writers:
            writer.start()
        for _ in range(20):
            assert in_child(lambda: db.get("n")).startswith("ForkedHandle:")
            assert in_child(lambda: db.set("n", b"0")).startswith("ForkedHandle:")
        stop.set()
        for writer in writers:
            writer.join()
        count = int(db["n"])
    with keystead.open(tmp_path) as db:
        assert int(db["n"]) == count


def test_a_transaction_that_a_fork_took_along_changes_nothing(tmp_path: Path) -> None:
    with keystead.open(tmp_path) as db:
        context = db.transaction()
        tx = context.__enter__()
        tx["a"] = b"1"
        assert in_child(lambda: tx.get("a") and context.__exit__(None, None, None)).startswith("ForkedHandle:")
        tx["b"] = b"2"
        context.__exit__(None, None, None)
        assert dict(db) == {"a": b"1", "b": b"2"}


def test_a_child_neither_keeps_nor_releases_the_lock_of_its_parent(tmp_path: Path) -> None:
    program = """
        import os, sys, time, keystead
        db = keystead.open(sys.argv[1])
        db["a"] = b"1"
        child = os.fork()
        if child == 0:
            os.close(1), os.close(2)
            time.sleep(5)  # outlives the parent, and would keep its lock
            os._exit(0)
        locked = os.fork()
        if locked == 0:
            try:
                keystead.open(sys.argv[1])
            except keystead.StoreLocked:
                os._exit(3)
            os._exit(4)
        print(os.waitstatus_to_exitcode(os.waitpid(locked, 0)[1]), flush=True)
        os._exit(0)
    """
    ended = run(program, tmp_path)
    assert ended.stdout == "3\n"
    keystead.open(tmp_path).close()


def test_a_child_may_open_a_store_of_its_own(tmp_path: Path) -> None:
    with keystead.open(tmp_path / "parent") as db:

        def work() -> None:
            with keystead.open(tmp_path / "child") as own:
                own["a"] = b"1"

        assert in_child(work) == ""
        db["a"] = b"1"
    with keystead.open(tmp_path / "child") as db:
        assert db["a"] == b"1"


# --- The end --------------------------------------------------------------------------------------------------------


def test_a_collected_handle_is_closed_with_a_warning(tmp_path: Path) -> None:
    db = keystead.open(tmp_path)
    db["a"] = b"1"
    handles = [db]
    del db
    with pytest.warns(ResourceWarning, match="unclosed store"):
        handles.clear()
    with keystead.open(tmp_path) as db:
        assert db["a"] == b"1"


def test_a_handle_left_open_at_exit_is_closed_cleanly_with_a_warning(tmp_path: Path) -> None:
    ended = run('import sys, keystead\ndb = keystead.open(sys.argv[1], fsync="never")\ndb["a"] = b"1"', tmp_path)
    assert ended.returncode == 0
    assert "ResourceWarning: unclosed store" in ended.stderr
    assert "Traceback" not in ended.stderr
    with keystead.open(tmp_path) as db:
        assert db["a"] == b"1"
        assert db._shared.engine.torn_bytes == 0  # type: ignore[attr-defined]


def test_a_closed_handle_gives_no_warning(tmp_path: Path) -> None:
    ended = run("import sys, keystead\nwith keystead.open(sys.argv[1]) as db: db['a'] = b'1'", tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_close_waits_for_a_transaction_of_another_thread(tmp_path: Path) -> None:
    db = keystead.open(tmp_path)
    begun, closing = threading.Event(), threading.Event()

    def transact() -> None:
        with db.transaction() as tx:
            begun.set()
            closing.wait()
            time.sleep(0.05)
            tx["a"] = b"1"

    thread = threading.Thread(target=transact)
    thread.start()
    begun.wait()
    closing.set()
    db.close()
    thread.join()
    with keystead.open(tmp_path) as db:
        assert db["a"] == b"1"


def test_close_inside_a_transaction_is_an_error(tmp_path: Path) -> None:
    with keystead.open(tmp_path) as db:
        with db.transaction() as tx:
            tx["a"] = b"1"
            with pytest.raises(keystead.TransactionError):
                db.close()
        assert db["a"] == b"1"


def test_closing_beside_busy_threads_ends_them_with_store_closed(tmp_path: Path) -> None:
    db = keystead.open(tmp_path)
    ends: list[str] = []
    acknowledged = [0] * 4

    def work(number: int) -> None:
        try:
            for i in range(1_000_000):
                db[f"{number}"] = b"%d" % i
                acknowledged[number] = i
                db.get(f"{number}")
        except BaseException as error:
            ends.append(type(error).__name__)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    db.close()
    for thread in threads:
        thread.join(WAIT_S)
    assert ends == ["StoreClosed"] * 4
    with keystead.open(tmp_path) as db:
        assert [int(db[f"{number}"]) >= acknowledged[number] for number in range(4)] == [True] * 4
