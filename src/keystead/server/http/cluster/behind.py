"""A cluster behind the doors of an HTTP server: what its routes share, beside the executor.

Must not know: connections, what routes do.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

from keystead.server.cluster_samples import ClusterSamples
from keystead.server.http.cluster import together
from keystead.server.http.problems import Problem
from keystead.server.http.server import READY, Mode, Readiness

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keystead.cluster.client import ClusterClient
    from keystead.cluster.status import Status
    from keystead.execution.batches import Failure, Step
    from keystead.execution.cluster.executor import ClusterExecutor
    from keystead.server.cluster_nodes import NodeFigures
    from keystead.server.http.requests import Request
    from keystead.server.http.responses import Response
    from keystead.server.http.transactions import Respond
    from keystead.server.meters import Meters

log = logging.getLogger("keystead.cluster")


class Cluster:
    """Implements `Behind`."""

    mode: Mode = "cluster"

    def __init__(
        self, client: ClusterClient, executor: ClusterExecutor, nodes: NodeFigures, meters: Meters, now_s: float
    ) -> None:
        self.client = client
        self.executor = executor
        self.nodes = nodes
        self.samples = ClusterSamples(executor, nodes, meters, now_s)
        self._was_ready = True

    def note(self, status: Status) -> None:
        """The log tells when the cluster goes down, and when it is back."""
        if status.ready is not self._was_ready:
            self._was_ready = status.ready
            if status.ready:
                log.info("the cluster is well again")
            else:
                log.error("the cluster is down: %s", status.detail)

    def readiness(self) -> Readiness:
        """Whether every slot is served."""
        status = self.client.status
        return READY if status.ready else Readiness(status.code, status.detail)

    def choose_database(self, request: Request, number: int) -> None:
        """There is only one."""
        if number:
            raise Problem(400, "A cluster has one database: leave 'db' out, and put what is to be apart into the keys.")
        request.session.db = self.executor.first_database

    def execute_together(
        self,
        request: Request,
        steps: Sequence[Step],
        respond: Respond,
        *,
        all_or_nothing: bool,
        fail: Callable[[Failure], Problem],
    ) -> Response | None:
        """In one piece on one node."""
        return together.execute(self.executor, request, steps, respond, all_or_nothing=all_or_nothing, fail=fail)


def cluster_of(request: Request) -> Cluster:
    """The cluster that a request is about."""
    return cast("Cluster", request.connection.server.behind)
