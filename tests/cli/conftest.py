"""A server of its own for tests that change its configuration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from servers import Server, running, start_keystead


@pytest.fixture
def keystead_server(tmp_path: Path) -> Iterator[Server]:
    with running(start_keystead(tmp_path / "data")) as server:
        yield server
