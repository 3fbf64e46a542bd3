"""All keys at a moment, in order."""

from __future__ import annotations

from random import Random

from keystead.engine.history.view_at import count_of, folders_of, in_order


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


def test_folders_are_those_of_the_keys_whatever_they_and_the_delimiter_are() -> None:
    random = Random(7)
    for _ in range(300):
        keys = sorted({bytes(random.choices(b"ab:\xff", k=random.randrange(6))) for _ in range(random.randrange(30))})
        prefix = bytes(random.choices(b"ab:\xff", k=random.randrange(3)))
        delimiter = random.choice([b":", b"a:", b"\xff"])
        inside = [key for key in keys if key.startswith(prefix)]
        cuts = [key.find(delimiter, len(prefix)) for key in inside]
        names = [key if cut < 0 else key[: cut + len(delimiter)] for key, cut in zip(inside, cuts, strict=True)]
        expected: dict[bytes, int | None] = {}
        for name, cut in zip(names, cuts, strict=True):
            expected[name] = None if cut < 0 else (expected.get(name) or 0) + 1
        found = list(folders_of(keys, prefix, delimiter, None))
        assert found == list(expected.items())
        for place, (name, _) in enumerate(found):
            assert list(folders_of(keys, prefix, delimiter, name)) == found[place + 1 :]
        assert count_of(keys, prefix) == len(inside)
