"""Every family of commands. Importing this module declares them all; a new family is one line here."""

from keystead.commands import (
    clients,
    configuration,
    connection,
    debug,
    durability,
    info,
    introspection,
    latency,
    memory,
    pubsub,
    server,
    slow_log,
    transactions,
)
from keystead.commands.declaration import REGISTRY

FAMILIES = (
    connection,
    clients,
    transactions,
    pubsub,
    introspection,
    info,
    configuration,
    server,
    durability,
    slow_log,
    latency,
    memory,
    debug,
)

__all__ = ["FAMILIES", "REGISTRY"]
