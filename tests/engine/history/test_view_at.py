"""All keys at a moment, in order."""

from __future__ import annotations

from random import Random

from keystead.engine.history.view_at import in_order


def test_keys_are_put_in_order_a_part_at_a_time() -> None:
    """However they are distributed over the shards, and however many there are."""
    random = Random(5)
    for count in (0, 1, 7, 300, 20_000):
        keys = {b"%d" % random.randrange(10 * count) for _ in range(count)}
        runs: list[list[bytes]] = [[] for _ in range(16)]
        for key in keys:
            runs[hash(key) % 16].append(key)
        rests: list[None] = []
        assert in_order(runs, lambda rests=rests: rests.append(None)) == sorted(keys)  # type: ignore[misc]
        assert len(rests) > len(keys) // 5_000
