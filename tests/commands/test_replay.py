"""Rule 10 for commands that touch several keys, databases or earlier values: the log replays to what they did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keystead.commands.debug import replays_to_memory

if TYPE_CHECKING:
    from executors import Stage
    from keystead.engine.engine import Engine

PATCHED = ["SET k abcdef EX 100", "SETRANGE k 2 XY"]
SCRIPTS = {
    "a renamed string is patched on": [*PATCHED, "RENAME k l", "SETRANGE l 9 Z"],
    "a renamed key replaces one that expires": ["SET l v EX 100", "SET k w", "RENAME k l", "APPEND l x"],
    "a copy of a patched string is patched by itself": [*PATCHED, "COPY k l", "SETRANGE l 0 __", "SETBIT k 1 1"],
    "a copy replaces a patched string": ["SET l 123456", "SETRANGE l 1 0", "SET k v", "COPY k l REPLACE", "APPEND l x"],
    "a copy in another database": [*PATCHED, "COPY k k DB 3", "SETRANGE k 0 __", "PERSIST k"],
    "a key moved to another database": [*PATCHED, "MOVE k 2", "SET k new", "SWAPDB 0 2", "SETRANGE k 1 ++"],
    "a key moved to where it has expired": [
        "SELECT 2",
        "SET k v PX 1",
        "SELECT 0",
        "DEBUG SLEEP 0.005",
        "SET k w",
        "MOVE k 2",
    ],
    "a key expires and is patched": ["SET k abc PX 1", "DEBUG SLEEP 0.005", "SETRANGE k 2 x"],
    "a swap, a flush and a swap back": [
        "SET k v EX 100",
        "SWAPDB 0 5",
        "SET k w",
        "FLUSHDB",
        "SWAPDB 5 0",
        "APPEND k x",
    ],
    "a flush of everything and what comes after it": [*PATCHED, "SWAPDB 0 1", "FLUSHALL", "APPEND k x", "SWAPDB 1 0"],
    "an expiry that comes and goes": [
        "SET k v",
        "EXPIRE k 100",
        "PERSIST k",
        "EXPIRE k 200",
        "GETEX k PERSIST",
        "GETDEL k",
    ],
    "bits of several strings": [
        "SETBIT a 7 1",
        "SETBIT b 70 1",
        "BITOP OR c a b",
        "BITFIELD c SET u8 100 255",
        "DEL a b",
    ],
}


def ended(engine: Engine) -> None:
    engine.end_turn()
    engine.sync()


@pytest.mark.parametrize("in_one_turn", [True, False], ids=["in one turn", "in turns"])
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_the_log_replays_to_memory(executor_stage: Stage, script: list[str], in_one_turn: bool) -> None:
    client = executor_stage.client()
    engine = executor_stage.executor.engine
    for line in script:
        engine.clock.refresh()
        assert not client(line).startswith(b"-")
        if not in_one_turn:
            ended(engine)
            assert replays_to_memory(engine)
    ended(engine)
    assert replays_to_memory(engine)
    assert engine.info().keys or script[-1] == "GETDEL k"
