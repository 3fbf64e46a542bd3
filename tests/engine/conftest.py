"""What the engine's tests share: a store small enough that thousands of them can be opened in a second."""

from __future__ import annotations

import secrets
import sys
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from keystead.engine import reserve, turns

if TYPE_CHECKING:
    from collections.abc import Callable

FEW_SHARDS = 8

settings.register_profile("engine", deadline=None)  # how long an example takes says nothing of what it shows
settings.load_profile("engine")


@pytest.fixture
def few_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight shards a keyspace instead of 1024: opening a store takes a tenth of a millisecond instead of four.

    Nothing in the engine depends on how many there are.
    """
    for name, module in list(sys.modules.items()):
        if not name.startswith("keystead."):
            continue
        if hasattr(module, "SHARDS"):
            monkeypatch.setattr(module, "SHARDS", FEW_SHARDS)
        if hasattr(module, "SHARD_SHIFT"):
            monkeypatch.setattr(module, "SHARD_SHIFT", 64 - FEW_SHARDS.bit_length() + 1)
        for member in list(vars(module).values()):
            function = member.__init__ if isinstance(member, type) else member
            defaults = getattr(function, "__defaults__", None)
            if defaults and range(1024) in defaults:
                few = tuple(range(FEW_SHARDS) if default == range(1024) else default for default in defaults)
                monkeypatch.setattr(function, "__defaults__", few)


@pytest.fixture
def small_sizes(few_shards: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001  # one asks for the other
    """Transactions travel in parts from a hundred bytes on, and little disk space is kept back."""
    monkeypatch.setattr(turns, "SPLIT_BYTES", 200)
    monkeypatch.setattr(turns, "PART_BYTES", 64)
    monkeypatch.setattr(turns, "LARGE_TRANSACTION_BYTES", 100)
    monkeypatch.setattr(reserve, "LEAST_RESERVE_BYTES", 256)


@pytest.fixture
def seeded(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Random]:
    """A source of random numbers by seed, from which the engine draws its ids and salts too."""

    def seed(number: int) -> Random:
        monkeypatch.setattr(secrets, "randbits", Random(f"engine {number}").getrandbits)
        return Random(number)

    return seed
