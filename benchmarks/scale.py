"""How much is measured: the full run and the quick one. Every count and duration of a scenario comes from here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Counts and durations of a run. `heavy_rounds` is for scenarios that start servers or load keys in each round."""

    name: str
    results_name: str
    rounds: int
    heavy_rounds: int
    load_seconds: float
    throughput_keys: int
    keys: int
    grow_to_keys: int
    grow_rounds: int
    probe_seconds: float
    cost_keys: tuple[int, ...]
    cost_rounds: int
    embedded_keys: int
    embedded_seconds: float


FULL = Scale(
    name="full",
    results_name="latest",
    rounds=5,
    heavy_rounds=3,
    load_seconds=2.0,
    throughput_keys=100_000,
    keys=1_000_000,
    grow_to_keys=5_000_000,
    grow_rounds=2,
    probe_seconds=8.0,
    cost_keys=(10_000, 100_000, 1_000_000),
    cost_rounds=3,
    embedded_keys=100_000,
    embedded_seconds=0.7,
)

QUICK = Scale(
    name="quick",
    results_name="quick",
    rounds=2,
    heavy_rounds=1,
    load_seconds=0.4,
    throughput_keys=10_000,
    keys=100_000,
    grow_to_keys=200_000,
    grow_rounds=1,
    probe_seconds=2.0,
    cost_keys=(10_000, 100_000),
    cost_rounds=1,
    embedded_keys=10_000,
    embedded_seconds=0.15,
)


def short_count(number: int) -> str:
    """`1_000_000` → `1 M`, `10_000` → `10 k`."""
    for size, suffix in ((1_000_000, "M"), (1_000, "k")):
        if number >= size and number % size == 0:
            return f"{number // size} {suffix}"
    return str(number)
