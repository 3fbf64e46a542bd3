"""Tests of backups use the small stores of the engine's tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

# Bound here, for the tests of the command line have a module of the name `stores` too, and its place may come first.
import simulated_disk  # noqa: F401
import stores  # noqa: F401
import workload  # noqa: F401

from engine.conftest import few_shards, seeded, small_sizes

__all__ = ["few_shards", "seeded", "small_sizes"]
