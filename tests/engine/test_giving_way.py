"""A process that computes in the background leaves the cores to others."""

from __future__ import annotations

import importlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from keystead.engine import giving_way
from keystead.engine.giving_way import REST_S, WORK_S, Rests

PROGRAM = """
import os
from keystead.engine.manifest import Manifest
def main(arguments):
    print(os.getpriority(os.PRIO_PROCESS, 0), {policy}, *arguments)
"""


def test_it_rests_when_it_has_worked_long_enough() -> None:
    """After each half millisecond, however many steps that were; the rest itself is no work."""
    now_s = 0.0
    happened: list[str] = []

    def rest(seconds: float) -> None:
        nonlocal now_s
        assert seconds == REST_S
        happened.append("rest")
        now_s += 100.0

    def steps() -> Iterator[None]:
        nonlocal now_s
        for length in (0.5, 0.4, 0.3, 5, 0.1, 0.1):
            happened.append("work")
            now_s += length * WORK_S
            yield

    Rests(lambda: now_s, rest).between(steps())
    assert happened == ["work", "work", "work", "rest", "work", "rest", "work", "work"]


def program(tmp_path: Path, policy: str = "0") -> list[str]:
    """A module that tells how it is run."""
    Path(tmp_path, "telling.py").write_text(PROGRAM.format(policy=policy), encoding="utf-8")
    return [sys.executable, "-P", giving_way.__file__, "telling", "one", "2"]


def run(command: list[str], path: Path) -> list[str]:
    """What it says."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout.split()


def test_the_program_has_a_lower_priority_than_who_started_it(tmp_path: Path) -> None:
    """And gets its arguments."""
    expected = min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)
    assert run(program(tmp_path), tmp_path) == [str(expected), "0", "one", "2"]


def test_it_rests_between_two_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are a good part of a short piece of work."""
    Path(tmp_path, "one.py").write_text("import two\n", encoding="utf-8")
    Path(tmp_path, "two.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    slow_clock = itertools.count()
    rests: list[float] = []
    monkeypatch.setattr(sys, "meta_path", [Rests(lambda: next(slow_clock), rests.append), *sys.meta_path])
    importlib.import_module("one")
    assert rests == [REST_S] * 2


def test_it_may_run_though_no_core_is_idle(tmp_path: Path) -> None:
    """Or it would not end where every core is busy."""
    policy = run(program(tmp_path, "os.sched_getscheduler(0) if hasattr(os, 'sched_getscheduler') else 0"), tmp_path)[1]
    assert int(policy) == 0  # SCHED_OTHER


def test_a_module_that_cannot_be_imported_is_told_by_who_uses_it(tmp_path: Path) -> None:
    """With the traceback of the main thread, and a status that is not 0."""
    command = [sys.executable, "-P", giving_way.__file__, "no_such_module"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("ModuleNotFoundError") == 1


def test_the_package_is_found_however_the_parent_found_it(tmp_path: Path) -> None:
    """By a path that the interpreter itself does not know, say."""
    root = Path(giving_way.__file__).parents[2]
    assert Path(root, "keystead", "engine", "giving_way.py") == Path(giving_way.__file__)
    code = "import runpy, sys; sys.argv = ['x', 'telling']; runpy.run_path({!r}, run_name='__main__')"
    program(tmp_path)
    script = f"import sys; sys.path = [p for p in sys.path if p != {str(root)!r}]; " + code.format(giving_way.__file__)
    assert run([sys.executable, "-c", script], tmp_path)[1:] == ["0"]
