"""A Redis or Valkey Cluster as a client sees it.

`slots`, `topology` and `watching` know which node serves what; `request` is what is sent; `links`, `groups` and
`dedicated` are connections; `cutting` takes replies apart without reading them; `redirects` and `router` bring each
request to its node, and again elsewhere where nothing was executed. `client` is all of that as one thing.

Knows no session, no table of commands, no HTTP. `development` starts a cluster of one's own on this machine.
"""

from keystead.cluster.client import ClusterClient
from keystead.cluster.dedicated import Dedicated
from keystead.cluster.options import Acknowledge, Options
from keystead.cluster.request import Request
from keystead.cluster.slots import SLOTS, slot_of
from keystead.cluster.status import Status
from keystead.cluster.topology import Node, Topology

__all__ = [
    "SLOTS",
    "Acknowledge",
    "ClusterClient",
    "Dedicated",
    "Node",
    "Options",
    "Request",
    "Status",
    "Topology",
    "slot_of",
]
