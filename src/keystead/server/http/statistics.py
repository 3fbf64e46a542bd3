"""GET /v1/statistics: how the server does now and did in the last ten minutes, by the second.

Column by column, which is a third as long as row by row. Must not know: where the figures come from (see samples).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_type_hints

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
    server = request.connection.server
    kept = server.samples.kept
    columns = list(zip(*server.samples.after(since_ms), strict=True)) or [()] * len(Sample._fields)
    return bodies.answer(
        {
            "now": kept[-1]._asdict() if kept else None,
            "samples": dict(zip(Sample._fields, columns, strict=True)),
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


def _schema(name: str) -> dict[str, Any]:
    kind = get_type_hints(Sample)[name]
    found: dict[str, Any] = {"type": {int: "integer", float: "number"}.get(kind, ["number", "null"])}
    return found | ({"description": _DESCRIPTIONS[name]} if name in _DESCRIPTIONS else {})


def _documentation() -> dict[str, Any]:
    figures = {name: _schema(name) for name in Sample._fields}
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
                        "now": _EXAMPLE._asdict(),
                        "samples": {name: [value] for name, value in _EXAMPLE._asdict().items()},
                    },
                ),
            },
            **{status: FAILURES[status] for status in ("400", "401", "403", "429", "503")},
        },
    }


ROUTE = Route(b"/v1/statistics", {b"GET": Endpoint(statistics, changes_data=False)}, {"get": _documentation()})
