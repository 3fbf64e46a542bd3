"""compact: a checkpoint here and now."""

from __future__ import annotations

from pathlib import Path

from cli.stores import content, fill, keystead


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
