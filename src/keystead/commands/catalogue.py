"""Every family of commands. Importing this module declares them all; a new family is one line here."""

from keystead.commands import connection
from keystead.commands.declaration import REGISTRY

FAMILIES = (connection,)

__all__ = ["FAMILIES", "REGISTRY"]
