"""Forgetting a key in stores of older releases, and by a process on a real disk."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from stores import opened
from test_forgetting import damage_in, forgotten
from test_golden import STORES, content

from keystead.engine import background as backgrounds
from keystead.engine.background import ThreadBackground
from keystead.engine.engine import Engine, Options


@pytest.mark.parametrize("store", STORES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_key_can_be_forgotten_in_a_store_of_an_older_release(store: Path, tmp_path: Path) -> None:
    """Which is of the newest version from then on."""
    path = tmp_path / "data"
    shutil.copytree(store, path)
    engine = opened(None, path=str(path))
    expected = content(engine)
    forgotten(engine, b"key:2")
    forgotten(engine, b"large")
    for key in (b"key:2", b"large"):
        expected["0"].pop(key.hex(), None)
    assert content(engine) == expected
    engine.close()
    assert damage_in(None, str(path)) == []
    assert (path / "MANIFEST").read_bytes().startswith(b"keystead manifest 3 ")
    assert not [file for file in path.iterdir() if b"0123456789" * 20 in file.read_bytes()]
    again = opened(None, path=str(path))
    assert content(again) == expected
    again.close()


def test_the_work_is_done_by_another_process_and_the_key_is_in_no_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads, a process, files; a checkpoint afterwards, and a start."""
    commands = []
    real = backgrounds.subprocess.Popen

    def noted(command: list[str], **pipes: object) -> object:
        commands.append(command)
        return real(command, **pipes)  # type: ignore[call-overload]

    monkeypatch.setattr(backgrounds.subprocess, "Popen", noted)
    engine = Engine(str(tmp_path), Options(reserve_bytes=4096), background=ThreadBackground())
    list(engine.load())
    engine.databases[0].keyspace.put(b"forget-me", b"secret")
    engine.databases[0].keyspace.put(b"other", b"kept")
    engine.end_turn()
    engine.sync()
    forgetting = engine.forget(engine.databases[0], [b"forget-me"])
    deadline_s = time.monotonic() + 30
    while not forgetting.done:
        assert time.monotonic() < deadline_s
        engine.housekeep(1)
        engine.end_turn()
        engine.sync()
        time.sleep(0.005)
    assert forgetting.rewritten is not None, forgetting.failure
    assert forgetting.rewritten.operations == 2
    assert [file.name for file in tmp_path.iterdir() if b"secret" in file.read_bytes()] == []
    assert sum("keystead.engine.forgetting" in command for command in commands) == 1
    assert not any("forget-me" in word for command in commands for word in command)
    engine.close()
    again = Engine.open(str(tmp_path))
    assert again.info().keys == 1
    again.close()
