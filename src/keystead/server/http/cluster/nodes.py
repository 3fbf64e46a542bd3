"""GET /v1/cluster: the nodes, who serves what, and how each of them does.

Must not know: where the figures come from (see cluster_nodes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keystead.server.cluster_nodes import Figures
from keystead.server.http import bodies
from keystead.server.http.cluster.behind import Cluster, cluster_of
from keystead.server.http.problems import problem_of_redis_error
from keystead.server.http.routes import Endpoint, Route
from keystead.server.http.schemas import FAILURES, content, object_of

if TYPE_CHECKING:
    from keystead.cluster.topology import Node
    from keystead.server.http.requests import Request
    from keystead.server.http.responses import Response

SHOWN: Final = ("keys", "used_memory_bytes", "max_memory_bytes", "clients", "ops_per_second", "replication_offset")


def get_cluster(request: Request) -> Response:
    """The cluster as this front door sees it. For who may run INFO."""
    request.parameters(())
    refusal = request.session.executor.may(request.session.user, [b"INFO"])
    if refusal is not None:
        raise problem_of_redis_error(refusal)
    cluster = cluster_of(request)
    status, topology = cluster.client.status, cluster.client.topology
    return bodies.answer(
        {
            "state": "ok" if status.ready else "down",
            "detail": status.detail,
            "acknowledge": cluster.executor.settings.cluster_acknowledge,
            "slots_covered": topology.slots_covered,
            "nodes": [_told(cluster, node) for node in topology.nodes.values()],
        }
    )


def _told(cluster: Cluster, node: Node) -> dict[str, Any]:
    figures: Figures | None = cluster.nodes.of(node.id)
    return {
        "id": node.id,
        "address": node.shown_address,
        "role": node.role,
        "primary": node.primary_id,
        "health": node.health,
        "slots": [list(span) for span in node.slots],
        **{name: getattr(figures, name) if figures is not None else None for name in SHOWN},
        "lag_bytes": cluster.nodes.lag_bytes(node) if node.primary_id else None,
    }


_STRING = {"type": "string"}
_FIGURE = {"type": ["integer", "null"], "minimum": 0}
_SLOT = {"type": "integer", "minimum": 0, "maximum": 16383}
_NODE = object_of(
    id=_STRING,
    address=_STRING,
    role={"enum": ["primary", "replica"]},
    primary={"type": ["string", "null"], "description": "Of a replica: the id of its primary."},
    health={"enum": ["online", "suspected", "failed"], "description": "As the nodes agree; suspected by some."},
    slots={
        "type": "array",
        "description": "First and last slot of each range that it serves.",
        "items": {"type": "array", "items": _SLOT, "minItems": 2, "maxItems": 2},
    },
    keys=_FIGURE | {"description": "Null, like all figures, of a node that has not answered for five seconds."},
    used_memory_bytes=_FIGURE,
    max_memory_bytes=_FIGURE | {"description": "0: no bound."},
    clients=_FIGURE,
    ops_per_second=_FIGURE,
    replication_offset=_FIGURE | {"description": "In bytes."},
    lag_bytes=_FIGURE | {"description": "Of a replica: how far it is behind its primary, within a second."},
)
_EXAMPLE_NODE = {
    "id": "07c37dfeb235213a872192d90877d0cd55635b91",
    "address": "10.0.0.1:6379",
    "role": "primary",
    "primary": None,
    "health": "online",
    "slots": [[0, 5460]],
    "keys": 120000,
    "used_memory_bytes": 83886080,
    "max_memory_bytes": 0,
    "clients": 12,
    "ops_per_second": 4100,
    "replication_offset": 884736,
    "lag_bytes": None,
}
_ENDPOINT = Endpoint(get_cluster, changes_data=False)

ROUTE = Route(
    b"/v1/cluster",
    {b"GET": _ENDPOINT, b"HEAD": _ENDPOINT},
    {
        "get": {
            "operationId": "cluster",
            "tags": ["health"],
            "summary": "The nodes of the cluster, who serves what, and how each of them does",
            "description": "As this front door sees it; figures are a second old. For who may run INFO.",
            "responses": {
                "200": {
                    "description": "The cluster.",
                    "content": content(
                        object_of(
                            state={"enum": ["ok", "down"]},
                            detail=_STRING | {"description": "Why it is down; else empty."},
                            acknowledge={
                                "enum": ["replicated", "async"],
                                "description": "What an answered write promises: that a replica has it, or its "
                                "primary alone.",
                            },
                            slots_covered={"type": "integer", "minimum": 0, "maximum": 16384},
                            nodes={"type": "array", "items": _NODE},
                        ),
                        {
                            "state": "ok",
                            "detail": "",
                            "acknowledge": "replicated",
                            "slots_covered": 16384,
                            "nodes": [_EXAMPLE_NODE],
                        },
                    ),
                },
                **{status: FAILURES[status] for status in ("400", "401", "403", "429", "503")},
            },
        }
    },
)
