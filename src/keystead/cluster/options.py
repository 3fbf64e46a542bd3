"""How to speak to the nodes of a cluster, and what an acknowledgement of a write is to promise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import ssl

Acknowledge = Literal["replicated", "async"]


@dataclass(frozen=True, slots=True)
class Options:
    """Plain values; whoever composes the server takes them from its settings."""

    username: str = ""
    password: str = field(default="", repr=False)
    ssl: ssl.SSLContext | None = None
    acknowledge: Acknowledge = "replicated"
    """`replicated`: a write is told once a replica has it too (`WAIT 1`); `async`: once its primary has it."""
    wait_timeout_ms: int = 1000
    """How long a replica may take."""
    timeout_s: float = 5.0
    """How long a request may take, with all that is tried again; a node that is silent for so long is given up."""
    connect_timeout_s: float = 2.0
    write_links: int = 2
    """Connections to each node over which replicated writes go, a group at a time."""
