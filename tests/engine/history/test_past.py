"""Questions about the past of one store."""

from __future__ import annotations

import pytest
from simulated_disk import SimulatedDisk
from stores import PATH, HandClock, opened
from workload import EMPTY_DISK

from keystead.engine.files import Directory
from keystead.engine.history.past import Past

pytestmark = pytest.mark.usefixtures("small_sizes")


def test_a_key_has_its_changes_newest_first() -> None:
    disk, clock = SimulatedDisk(EMPTY_DISK), HandClock()
    engine = opened(disk, wall_ms=clock)
    database = engine.databases[0]
    database.keyspace.put(b"k", b"one")
    engine.end_turn()
    database.keyspace.patch(b"k", 1, b"NN")
    engine.end_turn()
    engine.flush(database)
    engine.end_turn()
    engine.sync()
    with Past(Directory(PATH, disk)) as past:
        changes = past.key_changes(0, b"k", 10)
        assert [(each.sequence, each.operation, each.value) for each in changes] == [
            (3, "flush", None),
            (2, "patch", b"oNN"),
            (1, "put", b"one"),
        ]
        assert past.values_at(0, [b"k", b"no"], past.moment(2)) == {b"k": (b"oNN", 0)}
        assert [each.key for each in past.removed(0, b"", None, 10, 1e18)[0]] == [b"k"]
        assert [each.key for each in past.differences(0, past.moment(2), past.newest)] == [b"k"]
