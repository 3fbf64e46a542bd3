"""Some keys at a moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xxhash import xxh3_64_intdigest as digest

from keystead.engine.history.answers import Moment
from keystead.engine.history.retained_log import alive

if TYPE_CHECKING:
    from keystead.engine.history.retained_log import RetainedLog


def values_at(log: RetainedLog, database: int, keys: Sequence[bytes], moment: Moment) -> dict[bytes, tuple[bytes, int]]:
    """Value and expiry of those of the keys that were there then."""
    keyspace = log.databases_at(moment.sequence)[database]
    there = {}
    for key in sorted(keys, key=lambda key: digest(key, log.seed)):  # shard by shard: the checkpoint's latest is kept
        state = alive(log.find(keyspace, key, moment.sequence), moment.time_ms)
        if state is not None:
            there[key] = state
    return there
