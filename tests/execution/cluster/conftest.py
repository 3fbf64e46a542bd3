"""An executor in front of a cluster that says what the test wants."""

from __future__ import annotations

import pytest

from scripted_cluster import FrontStage, front_stage


@pytest.fixture
def front() -> FrontStage:
    return front_stage()
