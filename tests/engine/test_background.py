"""Where slow disk work is done: a thread for each job, a process for each checkpoint."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from keystead.engine import background as backgrounds
from keystead.engine.background import CheckpointFailed, InlineBackground, ThreadBackground
from keystead.engine.engine import Engine, Options
from keystead.engine.files import Directory

WAIT_S = 30


def run_until(engine: Engine, done: str) -> None:
    """Housekeep until that many … of `info` are there."""
    deadline = time.monotonic() + WAIT_S
    while not getattr(engine.info(), done):
        assert time.monotonic() < deadline, f"no {done} after {WAIT_S} s"
        engine.housekeep(1)
        engine.end_turn()
        engine.sync()
        time.sleep(0.005)


def test_a_job_runs_in_a_thread_and_its_result_is_kept() -> None:
    """Or its error."""
    background = ThreadBackground()
    task = background.start(threading.current_thread)
    background.stop()
    assert task.done
    assert task.result() is not threading.current_thread()
    failing = InlineBackground().start(lambda: 1 // 0)
    assert failing.done
    with pytest.raises(ZeroDivisionError):
        failing.result()


def test_a_thread_that_cannot_be_had_is_a_job_that_failed_for_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by reading: the RuntimeError ended housekeeping for good."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    task = ThreadBackground().start(lambda: 1)
    assert task.done
    with pytest.raises(OSError, match="can't start new thread") as caught:
        task.result()
    assert caught.value.errno == errno.EAGAIN


def test_a_checkpoint_is_made_by_another_process_while_this_one_goes_on(tmp_path: Path) -> None:
    """The real thing: threads, a process, files, and a restart from the checkpoint."""
    engine = Engine.open(str(tmp_path), Options(reserve_bytes=4096))
    for i in range(1000):
        engine.databases[i % 3].keyspace.put(b"%d" % i, b"v" * 20, (i % 2) * (engine.clock.now_ms + 10**7))
    engine.end_turn()
    engine.sync()
    engine.request_checkpoint()
    engine.databases[0].keyspace.put(b"while", b"it runs")
    run_until(engine, "checkpoints")
    info = engine.info()
    assert (info.checkpoints, info.checkpoint_failed, info.generations) == (1, False, 2)
    engine.databases[0].keyspace.put(b"after", b"it")
    engine.close()
    again = Engine.open(str(tmp_path))
    assert again.info().keys == 1002
    assert again.databases[1].keyspace.expiring_count() == engine.databases[1].keyspace.expiring_count() > 100
    again.close()


def test_stopping_ends_a_checkpoint_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop does not wait for it, and the next start is not disturbed by what it left."""
    sleeping = [sys.executable, "-c", "import time; time.sleep(600)"]
    popen = subprocess.Popen
    started: list[subprocess.Popen[bytes]] = []

    def instead(_: list[str], **pipes: int) -> subprocess.Popen[bytes]:
        started.append(popen(sleeping, **pipes))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(backgrounds.subprocess, "Popen", instead)
    engine = Engine.open(str(tmp_path), Options(reserve_bytes=4096))
    engine.databases[0].keyspace.put(b"k", b"v")
    engine.end_turn()
    engine.sync()
    engine.request_checkpoint()
    run_until(engine, "checkpoint_running")
    engine.close()
    assert started[0].poll() is not None
    monkeypatch.undo()
    again = Engine.open(str(tmp_path))
    assert again.databases[0].keyspace.get(b"k") == b"v"
    again.close()


SERVER = """
import os, subprocess, sys
from keystead.engine import background
from keystead.engine.files import Directory
popen = subprocess.Popen
def instead(command, **pipes):
    endless = "import time; from keystead.engine import compaction; "
    endless += "compaction.compact = lambda *_: time.sleep(600); compaction.main(['/nowhere', '1'])"
    process = popen([sys.executable, "-c", endless], pass_fds=[os.dup(1)], **pipes)
    print(process.pid, flush=True)
    return process
background.subprocess.Popen = instead
background.ThreadBackground().compact(Directory("/nowhere"), 1)
"""


def test_a_killed_server_takes_its_checkpoint_along() -> None:
    """Rule 11: it holds the only other end of the pipe that the process listens to."""
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        checkpoint = int(server.stdout.readline())
        os.kill(checkpoint, 0)
        server.kill()
        assert server.stdout.read() == b""  # both have let go of it


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("import sys; sys.exit('out of luck')", "out of luck"),
        ("print('{}')", "its process said"),
        ("print('nonsense')", "its process said"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "exit status -9"),
    ],
    ids=["fails", "says something else", "says nonsense", "is killed"],
)
def test_a_process_that_makes_no_checkpoint_is_no_disk_failure(
    program: str, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost: the log has everything."""
    popen = subprocess.Popen
    monkeypatch.setattr(
        backgrounds.subprocess, "Popen", lambda _, **pipes: popen([sys.executable, "-c", program], **pipes)
    )
    with pytest.raises(CheckpointFailed, match=error):
        ThreadBackground().compact(Directory("/nowhere"), 1)


def test_a_full_disk_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """For that there is a reserve."""
    popen = subprocess.Popen
    program = [sys.executable, "-c", "import sys; sys.exit(28)"]
    monkeypatch.setattr(backgrounds.subprocess, "Popen", lambda _, **pipes: popen(program, **pipes))
    with pytest.raises(OSError, match="no space") as caught:
        ThreadBackground().compact(Directory("/nowhere"), 1)
    assert caught.value.errno == errno.ENOSPC


def test_a_process_that_cannot_be_started_is_no_disk_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by reading: for want of a process the server stopped with status 74."""

    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(backgrounds.subprocess, "Popen", refuse)
    with pytest.raises(CheckpointFailed, match="temporarily unavailable"):
        ThreadBackground().compact(Directory("/nowhere"), 1)
