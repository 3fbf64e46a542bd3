"""Views of a mapping's keys, values and items, all or those of a prefix. Live, as a dictionary's are."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from keystead.embedded.methods import Methods

K = TypeVar("K")
V = TypeVar("V")


class Keys(KeysView[K]):
    """The keys; a set that answers `in` without going through them."""

    __slots__ = ("_methods", "_prefix")

    def __init__(self, methods: Methods[K, V], prefix: bytes | None) -> None:
        super().__init__(methods)
        self._methods = methods
        self._prefix = prefix

    def __len__(self) -> int:
        return self._methods._count(self._prefix)

    def __contains__(self, key: object) -> bool:
        return self._methods._has_prefix(key, self._prefix) and key in self._methods

    def __iter__(self) -> Iterator[K]:
        decoded_key = self._methods._coding.decoded_key
        for page in self._methods._pages(self._prefix):
            for key, _ in page:
                yield decoded_key(key)


class Items(ItemsView[K, V]):
    """The pairs."""

    __slots__ = ("_methods", "_prefix")

    def __init__(self, methods: Methods[K, V], prefix: bytes | None) -> None:
        super().__init__(methods)
        self._methods = methods
        self._prefix = prefix

    def __len__(self) -> int:
        return self._methods._count(self._prefix)

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:
            return False
        key, value = item
        return self._methods._has_prefix(key, self._prefix) and self._methods.get(key) == value

    def __iter__(self) -> Iterator[tuple[K, V]]:
        coding = self._methods._coding
        for page in self._methods._pages(self._prefix):
            for key, value in page:
                yield coding.decoded_key(key), coding.decoded(value)


class Values(ValuesView[V]):
    """The values."""

    __slots__ = ("_items",)

    def __init__(self, items: Items[K, V]) -> None:
        super().__init__(items._methods)
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, value: object) -> bool:
        return any(found == value for found in self)

    def __iter__(self) -> Iterator[V]:
        for _, value in self._items:
            yield value
