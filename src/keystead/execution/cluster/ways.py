"""Commands whose way in a cluster is their own: a registry that their modules fill, as declarations fill theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from keystead.commands.declaration import Command
    from keystead.commands.table import Run
    from keystead.execution.cluster.executor import ClusterExecutor

MakeWay: TypeAlias = "Callable[[ClusterExecutor, Command], Run]"


class Way(NamedTuple):
    """How one command runs."""

    make: MakeWay
    waits: bool
    """It begins once all that its batch has sent before is answered."""
    in_transaction: bool
    """It asks no node, so it may stand between MULTI and EXEC."""
    goes: str
    """Where, for docs/cluster-commands.md."""


WAYS: dict[str, Way] = {}
"""By name in small letters."""


def way(name: str, goes: str, *, waits: bool = False, in_transaction: bool = False) -> Callable[[MakeWay], MakeWay]:
    """Declare the decorated function as what makes the runner of the command that is declared as `cluster="own"`."""

    def declare(make: MakeWay) -> MakeWay:
        WAYS[name.lower()] = Way(make, waits, in_transaction, goes)
        return make

    return declare
