"""Every family of commands. Importing this module declares them all; a new family is one line here."""

from keystead.commands import (
    bits,
    clients,
    comparing,
    configuration,
    connection,
    counters,
    databases,
    debug,
    durability,
    expiry,
    info,
    introspection,
    keys,
    latency,
    memory,
    pubsub,
    ranges,
    scanning,
    server,
    slow_log,
    strings,
    transactions,
)
from keystead.commands.declaration import REGISTRY

FAMILIES = (
    strings,
    comparing,
    counters,
    ranges,
    bits,
    keys,
    expiry,
    scanning,
    databases,
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
