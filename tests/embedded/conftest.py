"""The doors of a store, for behaviours that are the same behind each: in process, behind a Redis, behind our server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

import keystead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class OpenStore(Protocol):
    """Opens an empty store, or connects to one, with any keys and values."""

    def __call__(self, **kinds: Any) -> keystead.Store[Any, Any]: ...


DOORS = ("always", "interval", "never", "redis", "keystead")


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> str:
    """Which one."""
    name: str = request.param
    return name


@pytest.fixture
def open_store(door: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """A store that is empty when first opened; it is closed after the test."""
    opened = []

    def open_one(**kinds: Any) -> keystead.Store[Any, Any]:
        if door in ("always", "interval", "never"):
            store = keystead.open(tmp_path / "data", fsync=door, **kinds)
        else:
            store = keystead.connect(f"redis://127.0.0.1:{request.getfixturevalue(door).port}", **kinds)
            if not opened:
                store.clear()
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def db(open_store: Callable[[], keystead.Store[str, bytes]]) -> keystead.Store[str, bytes]:
    """An empty store of bytes under str."""
    return open_store()
