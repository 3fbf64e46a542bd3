"""Every family of commands. Importing this module declares them all; a new family is one line here."""

from keystead.commands import clients, connection, pubsub, transactions
from keystead.commands.declaration import REGISTRY

FAMILIES = (connection, clients, transactions, pubsub)

__all__ = ["FAMILIES", "REGISTRY"]
