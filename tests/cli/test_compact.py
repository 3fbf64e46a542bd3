"""compact: a checkpoint here and now."""

from __future__ import annotations

import time
from pathlib import Path

from cli.stores import content, fill, keystead
from keystead.engine.engine import Engine


def test_a_checkpoint_is_made_and_the_data_stays(tmp_path: Path) -> None:
    fill(tmp_path / "store", 30)
    run = keystead("compact", "--dir", tmp_path / "store")
    assert run.status == 0
    assert ": checkpoint of 30 keys, " in run.output
    assert len(list((tmp_path / "store").glob("checkpoint-*.ckp"))) == 1
    assert content(tmp_path / "store") == {b"k%d" % number: b"v%d" % number for number in range(30)}


def test_a_second_one_has_nothing_to_do(tmp_path: Path) -> None:
    fill(tmp_path / "store", 30)
    keystead("compact", "--dir", tmp_path / "store")
    assert "nothing to do" in keystead("compact", "--dir", tmp_path / "store").output
    fill(tmp_path / "store", 1, first=30)
    assert ": checkpoint of 31 keys, " in keystead("compact", "--dir", tmp_path / "store").output


def test_history_stays_as_it_is_however_old(tmp_path: Path) -> None:
    """Found by breaking rule 13: compact dropped what was older than a week, or beyond 1 GiB.

    A server that was told on its command line to keep a year would have had a week left.
    """
    a_month_ago_ms = time.time_ns() // 1_000_000 - 30 * 86_400_000
    for number in range(2):
        engine = Engine(str(tmp_path / "store"), wall_ms=lambda: a_month_ago_ms)
        list(engine.load())
        engine.databases[0].keyspace.put(b"k%d" % number, b"v")
        engine.close()
        assert keystead("compact", "--dir", tmp_path / "store").status == 0
    assert "in 3 generations" in keystead("check", "--dir", tmp_path / "store").output
