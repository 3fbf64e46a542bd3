"""The file that says how far a migration has come."""

from __future__ import annotations

from pathlib import Path

import pytest

from keystead.migration.state import OtherMigration, Phase, State, StateFile


def test_what_was_saved_is_loaded_by_the_next_run(tmp_path: Path) -> None:
    state = State(1, "source", "target", 3, True, Phase.FOLLOWING, "place:7", 5, True)
    StateFile(tmp_path / "new" / "state.json").save(state)
    assert StateFile(tmp_path / "new" / "state.json").load() == state
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["state.json"]


def test_where_there_is_no_file_nothing_was_begun(tmp_path: Path) -> None:
    assert StateFile(tmp_path / "state.json").load() is None


def test_one_process_at_a_time_is_at_a_migration(tmp_path: Path) -> None:
    first = StateFile(tmp_path / "state.json")
    first.lock()
    with pytest.raises(OtherMigration, match="another process is at it"):
        StateFile(tmp_path / "state.json").lock()
    StateFile(tmp_path / "other.json").lock()


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"not JSON", b'{"version": 2, "source": "", "target": "", "database": 0}']
)
def test_what_is_no_state_is_refused_and_left_alone(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(data)
    with pytest.raises(OtherMigration, match=r"state\.json"):
        StateFile(path).load()
    assert path.read_bytes() == data
