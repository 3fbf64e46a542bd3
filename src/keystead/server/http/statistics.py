"""GET /v1/statistics: how the server does now and did in the last ten minutes, by the second.

Column by column, which is a third as long as row by row. Must not know: where the figures come from (see samples).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from keystead.server.http import bodies
from keystead.server.http.requests import whole_number
from keystead.server.http.routes import Endpoint, Route
from keystead.server.http.schemas import FAILURES, content, object_of
from keystead.server.samples import KEPT, Sample

if TYPE_CHECKING:
    from keystead.server.http.requests import Request
    from keystead.server.http.responses import Response

MAX_TIME_MS = (1 << 53) - 1


def statistics(request: Request) -> Response:
    """The samples, newest last."""
    since_ms = whole_number(request.raw_parameters(("since",)), "since", 0, 0, MAX_TIME_MS)
    samples = request.connection.server.behind.samples
    kept, fields = samples.kept, samples.fields
    columns = list(zip(*samples.after(since_ms), strict=True)) or [()] * len(fields)
    return bodies.answer(
        {
            "now": kept[-1]._asdict() if kept else None,
            "samples": dict(zip(fields, columns, strict=True)),
        }
    )


_DESCRIPTIONS = {
    "time_ms": "End of the second, in milliseconds of Unix time.",
    "stored_bytes": "Of the log and the checkpoints on disk, history included.",
    "history_bytes": "Of what is kept on disk only as history.",
    "commit_p50_ms": "From the end of a turn of the loop until its changes were on disk.",
    "durable_lag_ms": "Age of the oldest change not on disk, the longest seen.",
    "loop_lag_ms": "How long input waited for its turn, the longest seen.",
}
_EXAMPLE = Sample(
    1700000000250, 1200.0, 990.0, 10.0, 0.0, 48000.0, 6000.0, 3, 2, 180, 4096, 0, 0.4, 1.2, 0.3, 1.1, 0.0, 0.2
)


def _schema(kind: object, description: str) -> dict[str, Any]:
    types: dict[object, str] = {int: "integer", float: "number"}
    found: dict[str, Any] = {"type": types.get(kind, ["number", "null"])}
    return found | ({"description": description} if description else {})


def route_of(example: NamedTuple, descriptions: Mapping[str, str]) -> Route:
    """The route of a server whose samples are like *example*."""
    document = _documentation(example, descriptions)
    return Route(b"/v1/statistics", {b"GET": Endpoint(statistics, changes_data=False)}, {"get": document})


def _documentation(example: NamedTuple, descriptions: Mapping[str, str]) -> dict[str, Any]:
    kinds = get_type_hints(type(example))
    figures = {name: _schema(kinds[name], descriptions.get(name, "")) for name in example._fields}
    now = object_of((), **figures)
    columns = object_of((), **{name: {"type": "array", "items": schema} for name, schema in figures.items()})
    return {
        "operationId": "statistics",
        "tags": ["health"],
        "summary": "How the server does, by the second",
        "description": (
            f"The last {KEPT} seconds, oldest first, a column a figure; null where nothing was observed. "
            "Quantiles come from histograms whose bounds double, and are as exact as these."
        ),
        "parameters": [
            {
                "name": "since",
                "in": "query",
                "description": "Only seconds that ended after this `time_ms`.",
                "schema": {"type": "integer", "minimum": 0},
            }
        ],
        "responses": {
            "200": {
                "description": "The figures; `now` is the newest, null in the first second.",
                "content": content(
                    object_of(now={"anyOf": [now, {"type": "null"}]}, samples=columns),
                    {
                        "now": example._asdict(),
                        "samples": {name: [value] for name, value in example._asdict().items()},
                    },
                ),
            },
            **{status: FAILURES[status] for status in ("400", "401", "403", "429", "503")},
        },
    }


ROUTE = route_of(_EXAMPLE, _DESCRIPTIONS)
