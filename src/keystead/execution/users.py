"""A user as sessions hold one: a name, and what is laid down about it now. Changed in place, so sessions follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystead.execution.acl_rules import Definition

if TYPE_CHECKING:
    from keystead.execution.permissions import Permissions
    from keystead.execution.tables import TableSet

DEFAULT_NAME = b"default"


class User:
    """Who a client is. Only `Access` changes one."""

    __slots__ = ("definition", "key", "name", "tables")

    def __init__(self, key: bytes, definition: Definition) -> None:
        self.key = key
        """The name as bytes, under which it is found."""
        self.name = key.decode("utf-8", "surrogateescape")
        self.definition = definition
        self.tables: TableSet | None = None
        """The commands of these permissions, once somebody has used them (see `Tables.of_user`)."""

    @property
    def permissions(self) -> Permissions:
        return self.definition.permissions

    @property
    def may_read_all(self) -> bool:
        """Whether every key may be read: then none need be asked about."""
        return self.permissions.may_read_all

    def may_read_key(self, key: bytes) -> bool:
        """Whether that key may be read: for what shows many keys at once, such as listings and the change feed."""
        return self.permissions.may_read_key(key)

    def may_read_below(self, prefix: bytes) -> bool:
        """Whether there can be keys beginning so that may be read: False is certain, True is not."""
        return self.permissions.may_read_below(prefix)
