"""Tests of backups use the small stores of the engine's tests, and an S3 of their own."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from engine.conftest import few_shards, seeded, small_sizes

__all__ = ["few_shards", "seeded", "small_sizes"]
