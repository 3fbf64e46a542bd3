"""Errors with which a node says that it did not execute what it was sent, and where or when to try it again.

Owns: reading these errors. Must not know: connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from keystead.cluster.request import unknown_outcome
from keystead.cluster.slots import SLOTS

if TYPE_CHECKING:
    from keystead.cluster.request import Request
    from keystead.cluster.topology import Address

MOVED: Final = "moved"
ASK: Final = "ask"
LATER: Final = "later"

_KINDS: Final = {
    b"-MOVED": MOVED,
    b"-ASK": ASK,
    b"-TRYAGAIN": LATER,  # several keys of a slot that is on its way, and not all of them at one node
    b"-CLUSTERDOWN": LATER,
    b"-LOADING": LATER,
    b"-MASTERDOWN": LATER,
    b"-READONLY": LATER,  # a primary that was made a replica: the topology is not what we think
}
_ABORTED: Final = b"-EXECABORT"


class Redirect(NamedTuple):
    """Where or when to try again."""

    kind: str
    """`moved`: at the address, from now on. `ask`: at the address, this once, with ASKING. `later`: here or elsewhere,
    once the cluster has changed."""
    slot: int
    address: Address | None
    """None where the node does not say it: whoever asks looks it up."""


def read_redirect(reply: bytes, asked_host: str) -> Redirect | None:
    """What the error *reply* says of trying again; None when it is the answer.

    A node that knows no address of another one but its port names no host: it is at *asked_host* then.
    """
    kind = _KINDS.get(reply.partition(b" ")[0])
    if kind is None:
        return None
    if kind == LATER:
        return Redirect(kind, -1, None)
    words = reply.decode(errors="replace").split()
    host, _, port = words[2].rpartition(":") if len(words) > 2 else ("?", "", "")
    if not (port.isdigit() and words[1].isdigit() and int(words[1]) < SLOTS):
        return Redirect(LATER, -1, None)
    address = None if host == "?" else (host or asked_host, int(port))
    return Redirect(kind, int(words[1]), address)


def read_outcome(request: Request, reply: bytes, asked_host: str) -> tuple[bytes, Redirect | None]:
    """What became of *request*, whose last reply is *reply*: what to tell, and where to try it again if it was not
    executed. The reply to ASKING is taken away."""
    if request.asking:
        request.ask_no_more()
        del request.earlier[0]
    if request.replies > 1:
        reply = _outcome_of_transaction(request, reply)
    return reply, read_redirect(reply, asked_host) if reply[:1] == b"-" else None


def _outcome_of_transaction(request: Request, reply: bytes) -> bytes:
    """A command that is refused while it is queued says where to go; EXEC then only says that nothing was executed."""
    if reply.startswith(_ABORTED):
        for earlier in request.earlier:
            if earlier[:1] == b"-" and earlier.partition(b" ")[0] in _KINDS:
                return earlier
    elif reply[:1] == b"-" and request.earlier[0][:1] == b"-":
        # MULTI itself was refused, so what came behind it was executed piece by piece.
        return unknown_outcome(f"MULTI was refused: {request.earlier[0][1:].decode(errors='replace').strip()}")
    return reply
