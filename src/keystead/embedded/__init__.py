"""The store inside a Python program: `open()` in process, `connect()` over a server, one mapping for both.

Stands beside the server, on the engine. Threads are its business; asyncio is imported only by who awaits.
"""

from keystead.embedded.codecs import Codec, json, msgpack, pickle, text
from keystead.embedded.connecting import connect
from keystead.embedded.opening import open_store as open  # noqa: A004 - users write keystead.open
from keystead.embedded.past import Change, Deleted, Difference, PastView
from keystead.embedded.store import Store
from keystead.embedded.transaction import Transaction
from keystead.engine.undone import Undone

__all__ = [
    "Change",
    "Codec",
    "Deleted",
    "Difference",
    "PastView",
    "Store",
    "Transaction",
    "Undone",
    "connect",
    "json",
    "msgpack",
    "open",
    "pickle",
    "text",
]
