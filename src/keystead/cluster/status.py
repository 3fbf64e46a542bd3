"""Whether the cluster can be served from, in a word and a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from keystead.cluster.slots import SLOTS
from keystead.cluster.topology import Topology

CLUSTER_DOWN: Final = "cluster-down"


@dataclass(frozen=True, slots=True)
class Status:
    """Ready, or why not. It recovers by itself: nothing here has to be done but to heal the cluster."""

    ready: bool
    code: str = ""
    """`cluster-down` when it is not ready."""
    detail: str = ""


READY: Final = Status(True)


def down(detail: str) -> Status:
    return Status(False, CLUSTER_DOWN, detail)


def status_of(topology: Topology) -> Status:
    """What a topology allows."""
    if topology.slots_covered < SLOTS:
        return down(f"no node serves {spans(topology.uncovered())}")
    failed = [node for node in topology.primaries if node.health == "failed"]
    if failed:
        served = "; ".join(f"{node.shown_address}, which serves {spans(node.slots)}" for node in failed)
        return down(f"no replica has taken over from {served}")
    return READY


def spans(ranges: list[tuple[int, int]] | tuple[tuple[int, int], ...]) -> str:
    """Ranges of slots as people read them; of many the first."""
    shown = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges[:4])
    return f"slots {shown}" + (f" and {len(ranges) - 4} more ranges" if len(ranges) > 4 else "")
