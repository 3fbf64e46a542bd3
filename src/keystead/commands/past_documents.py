"""How the past is told: what an item of each answer looks like in a reply.

Must not know: who asks, how replies are encoded.
"""

from __future__ import annotations

from typing import TypeAlias

from keystead.engine.history.answers import Difference, Moment, Removed
from keystead.engine.history.questions import Change, Item, LoggedTransaction, Operation

Document: TypeAlias = dict[bytes, object]


def moment_of(moment: Moment) -> Document:
    return {b"sequence": moment.sequence, b"time-ms": moment.time_ms}


def nothing_of(_: object) -> None:
    """There is no item to be told of."""


def item_of(item: Item) -> list[object]:
    return [item.key, item.value, item.expires_at_ms or None]


def change_of(change: Change, *, values: bool) -> Document:
    found: Document = {
        b"sequence": change.sequence,
        b"time-ms": change.time_ms,
        b"operation": change.operation.encode(),
        b"user": change.user.encode(),
        b"client": change.client.encode(),
        b"size": change.size,
        b"expires-at-ms": change.expires_at_ms or None,
    }
    if values:
        found[b"value"] = change.value
    return found


def difference_of(difference: Difference) -> Document:
    return {
        b"key": difference.key,
        b"before": difference.before,
        b"before-expires-at-ms": difference.before_expires_at_ms or None,
        b"after": difference.after,
        b"after-expires-at-ms": difference.after_expires_at_ms or None,
    }


def removed_of(removed: Removed) -> Document:
    return {
        b"key": removed.key,
        b"sequence": removed.sequence,
        b"time-ms": removed.time_ms,
        b"operation": removed.operation.encode(),
        b"user": removed.user.encode(),
        b"client": removed.client.encode(),
        b"value": removed.value,
        b"expires-at-ms": removed.expires_at_ms or None,
    }


def transaction_of(logged: LoggedTransaction) -> Document:
    return {
        b"sequence": logged.sequence,
        b"time-ms": logged.time_ms,
        b"user": logged.user.encode(),
        b"client": logged.client.encode(),
        b"operations": list(map(_operation, logged.operations)),
        b"left-out": logged.left_out,
    }


def _operation(operation: Operation) -> Document:
    return {
        b"operation": operation.name.encode(),
        b"db": operation.database,
        b"key": operation.key,
        b"size": operation.size,
        b"offset": operation.offset,
        b"expires-at-ms": operation.expires_at_ms or None,
        b"swapped-with": operation.swapped_with,
    }
