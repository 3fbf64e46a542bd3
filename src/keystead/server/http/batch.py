"""POST /v1/batch: several operations, all or nothing, with conditions.

An operation is a struct below; what it is called, its members and what they may be are declared there once, for
decoding and for the OpenAPI document. Each says which commands it is, and what of their replies is its result.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from keystead.execution.batches import Condition, Failure, Step
from keystead.resp.reading import ReadReply, read_reply
from keystead.server.http import bodies, transactions
from keystead.server.http.commands import check_command
from keystead.server.http.commands_document import BATCH, BATCH_EXAMPLE
from keystead.server.http.etags import etag_of, parse_tags
from keystead.server.http.increments import increment, number
from keystead.server.http.notation import Text, bytes_of, plain, text_of
from keystead.server.http.problems import Problem
from keystead.server.http.routes import Endpoint, Route
from keystead.server.http.schemas import content, schema_of

if TYPE_CHECKING:
    from keystead.engine.values import Value
    from keystead.server.http.requests import Request
    from keystead.server.http.responses import Response

MOST_OPERATIONS = 1000
"""They run in one piece, which takes a few milliseconds."""

Seconds = Annotated[
    float, msgspec.Meta(gt=0, le=1e12, description="Seconds to live, such as 60 or 0.5.", examples=[60])
]
IF_MATCH = "Only if the key has this value: its entity tag, or * for any."
ETag = Annotated[str, msgspec.Meta(description=IF_MATCH, examples=['"8cf2a4d4f8c1dbb1"'])]

Commands = list[list[bytes]]
Results = list[ReadReply]


class Operation(msgspec.Struct, kw_only=True, tag_field="op", forbid_unknown_fields=True):
    """On one key."""

    key: Text
    if_match: ETag | None = None
    if_absent: Annotated[bool, msgspec.Meta(description="Only if there is no such key.")] = False

    def commands(self, key: bytes) -> Commands:
        """What it is."""
        raise NotImplementedError

    def result(self, replies: Results) -> dict[str, Any]:
        """What is told of it."""
        raise NotImplementedError

    def steps(self) -> list[Step]:
        """The commands, the first one under the operation's conditions. ValueError and Problem for what makes none."""
        key = bytes_of(self.key)
        first, *others = self.commands(key)
        return [Step(first, self._condition(key)), *map(Step, others)]

    def _condition(self, key: bytes) -> Condition | None:
        if self.if_absent:
            if self.if_match is not None:
                raise ValueError("an operation takes if_match or if_absent, not both")
            return Condition(key, lambda found: None if found is None else "The key exists.", tells_value=False)
        if self.if_match is None:
            return None
        tags = parse_tags(self.if_match.encode("utf-8", "replace"), "if_match", weak=False)

        def refuse(found: Value | None) -> str | None:
            if found is None:
                return "There is no such key."
            return None if tags.has(etag_of(found)[1:-1]) else "The value is another one than if_match asks for."

        return Condition(key, refuse)


class Get(Operation, tag="get"):
    """The value; null when there is no such key."""

    def commands(self, key: bytes) -> Commands:
        return [[b"GET", key]]

    def result(self, replies: Results) -> dict[str, Any]:
        value = replies[0].value
        return {"value": None} if value is None else {"value": text_of(value), "etag": etag_of(value).decode()}


class Set(Operation, tag="set"):
    """The key gets this value, and no other time to live than is given."""

    value: Text
    ttl: Seconds | None = None
    keep_ttl: Annotated[bool, msgspec.Meta(description="Leave the time to live as it is.")] = False

    def commands(self, key: bytes) -> Commands:
        if self.keep_ttl and self.ttl is not None:
            raise ValueError("set takes ttl or keep_ttl, not both")
        lifetime = [b"KEEPTTL"] if self.keep_ttl else []
        if self.ttl is not None:
            lifetime = [b"PX", milliseconds(self.ttl)]
        return [[b"SET", key, bytes_of(self.value), *lifetime]]

    def result(self, replies: Results) -> dict[str, Any]:  # noqa: ARG002 - SET says no more than OK
        return {"etag": etag_of(bytes_of(self.value)).decode()}


class Append(Operation, tag="append"):
    """The value goes on with this; the result is its length in bytes."""

    value: Text

    def commands(self, key: bytes) -> Commands:
        return [[b"APPEND", key, bytes_of(self.value)]]

    def result(self, replies: Results) -> dict[str, Any]:
        return {"length": replies[0].value}


class Delete(Operation, tag="delete"):
    """The key goes; the result says whether it was there."""

    def commands(self, key: bytes) -> Commands:
        return [[b"DEL", key]]

    def result(self, replies: Results) -> dict[str, Any]:
        return {"deleted": replies[0].value == 1}


class Increment(Operation, tag="increment"):
    """The number grows; an absent key counts as 0. A ttl is given to a key that has none."""

    by: int | float = 1
    ttl: Seconds | None = None

    def commands(self, key: bytes) -> Commands:
        return increment(key, b"%a" % self.by, ttl_ms=None if self.ttl is None else int(milliseconds(self.ttl)))

    def result(self, replies: Results) -> dict[str, Any]:
        return {"value": number(replies[0])}


class Expire(Operation, tag="expire"):
    """The key lives so long from now; the result says whether it is there."""

    ttl: Seconds

    def commands(self, key: bytes) -> Commands:
        return [[b"PEXPIRE", key, milliseconds(self.ttl)]]

    def result(self, replies: Results) -> dict[str, Any]:
        return {"applied": replies[0].value == 1}


class Persist(Operation, tag="persist"):
    """The key lives on for ever; the result says whether it had a time to live."""

    def commands(self, key: bytes) -> Commands:
        return [[b"PERSIST", key]]

    def result(self, replies: Results) -> dict[str, Any]:
        return {"applied": replies[0].value == 1}


class Command(msgspec.Struct, tag_field="op", tag="command", forbid_unknown_fields=True):
    """Any command that names the keys which it reads and changes."""

    command: Annotated[list[Text | int], msgspec.Meta(min_length=1, examples=[["SETBIT", "k", 7, 1]])]

    def steps(self) -> list[Step]:
        args = [b"%d" % item if isinstance(item, int) else bytes_of(item) for item in self.command]
        check_command(args)
        return [Step(args)]

    def result(self, replies: Results) -> dict[str, Any]:
        return {"reply": plain(replies[0])}


class BatchRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be done, in order."""

    operations: Annotated[
        list[Get | Set | Append | Delete | Increment | Expire | Persist | Command],
        msgspec.Meta(min_length=1, max_length=MOST_OPERATIONS),
    ]


_decode = msgspec.json.Decoder(BatchRequest).decode


def milliseconds(seconds: float) -> bytes:
    """As commands take them; at least one."""
    return b"%d" % max(1, round(seconds * 1000))


def post_batch(request: Request) -> Response | None:
    """Run the operations of the body, all or none."""
    request.parameters(("db",))
    operations = bodies.decoded(request, _decode).operations
    steps: list[Step] = []
    ends: list[int] = []
    for index, operation in enumerate(operations):
        with _naming(index):
            steps += operation.steps()
        ends.append(len(steps))

    def respond(replies: list[bytes]) -> Response:
        read = [read_reply(reply) for reply in replies]
        starts = [0, *ends[:-1]]
        results = [
            operation.result(read[start:end]) for operation, start, end in zip(operations, starts, ends, strict=True)
        ]
        return bodies.answer({"results": results})

    def fail(failure: Failure) -> Problem:
        index = next(index for index, end in enumerate(ends) if failure.step < end)
        return _named(transactions.problem_of_failure(failure), index)

    return transactions.execute(request, steps, respond, all_or_nothing=True, fail=fail)


@contextmanager
def _naming(index: int) -> Iterator[None]:
    """What goes wrong within is told with the operation's index."""
    try:
        yield
    except Problem as problem:
        raise _named(problem, index) from None
    except ValueError as error:
        raise _named(bodies.unreadable(error), index) from None


def _named(problem: Problem, index: int) -> Problem:
    problem.detail = f"Operation {index}: {problem.detail} Nothing was changed."
    problem.members["operation"] = index
    return problem


def _documentation() -> dict[str, Any]:
    body = {"required": True, "content": content(schema_of(BatchRequest), BATCH_EXAMPLE)}
    return {"post": BATCH | {"requestBody": body}}


ROUTE = Route(b"/v1/batch", {b"POST": Endpoint(post_batch, changes_data=True)}, _documentation())
