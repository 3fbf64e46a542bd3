"""Where a command runs when the data is in a cluster. Must not know: how a cluster is reached.

Nearly always it follows from what is declared anyway: the positions of the keys and Redis' hints on how a client of a
cluster is to ask. `cluster=` in a declaration says what does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Where: TypeAlias = Literal["here", "slot", "slots", "primaries", "own"]
"""The front door runs the handler itself; or the command goes to the slot of all its keys; or by parts to the slots of
its keys; or to every primary; or there is a way of its own (`keystead.execution.cluster`)."""


@dataclass(frozen=True, slots=True)
class Nowhere:
    """It cannot be in front of a cluster."""

    why: str
    """Goes on from "… is not available in front of a cluster: "."""
    instead: str
    """What to use; a sentence."""


Place: TypeAlias = Where | Nowhere

ONE_DATABASE: Final = Nowhere("it has one database", "Use prefixes of keys instead of numbered databases.")
NODES_SAVE: Final = Nowhere(
    "what is on disk is the nodes' affair", "Ask the nodes themselves, or look at INFO's Persistence section."
)
NODES_REMEMBER: Final = Nowhere(
    "memory is the nodes'", "Use INFO, whose Cluster section has each node's memory, or ask the nodes themselves."
)
NO_PAST: Final = Nowhere(
    "the history of keys is kept by Keystead's own store only",
    "Keep what needs a past in a store of its own: keystead serve without --cluster.",
)


NOT_AVAILABLE: Final = "is not available in front of a cluster"
"""In every refusal of such a command, and in nothing else; HTTP has a status for it."""


def place_of(declared: Place | None, hints: tuple[str, ...], *, has_keys: bool) -> Place:
    """What was declared, or what follows from keys and hints."""
    if declared is not None:
        return declared
    if has_keys:
        return "slots" if "request_policy:multi_shard" in hints else "slot"
    return "primaries" if "request_policy:all_shards" in hints else "here"


def refusal(name: str, nowhere: Nowhere) -> str:
    """The error reply for a command that cannot be there. *name* as it is declared."""
    shown = name.replace("|", " ").upper()
    return f"ERR {shown} {NOT_AVAILABLE}: {nowhere.why}. {nowhere.instead}"
