"""What tests share: one redis-server and one Keystead a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from servers import Server, running, start_keystead, start_redis

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real redis-server: the oracle."""
    with running(start_redis(tmp_path_factory.mktemp("redis") / "data")) as server:
        yield server


@pytest.fixture(scope="session")
def keystead(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Keystead with its defaults."""
    with running(start_keystead(tmp_path_factory.mktemp("keystead") / "data")) as server:
        yield server
