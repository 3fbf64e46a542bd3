"""A client that writes over HTTP while nodes fail, each change under a condition that only its own last change meets.

So a change that was done although its client was told otherwise, or was silently done again, shows at once: as 412.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from urllib.parse import quote

from failover.clients import ANSWER_SECONDS, COMES_BACK_SECONDS, Address, Outcome
from failover.ledger import Ledger
from http_client import Answer, HttpConnection

DONE, UNKNOWN, REFUSED = (200, 201, 204), 504, 503
KEYS_OF_A_KIND = 6
PAUSE_SECONDS = 0.005  # it is for correctness, and leaves the load to others


class HttpWriter(threading.Thread):
    """Sends one change after the other until `stop` is set; any answer that has no place here ends it with `error`."""

    def __init__(self, address: Address, ledger: Ledger, rng: random.Random) -> None:
        super().__init__(daemon=True)
        self.stop = threading.Event()
        self.error: str | None = None
        self.unknown = self.refused = 0
        self._address, self._ledger, self._rng = address, ledger, rng
        self._connection: HttpConnection | None = None
        self._etags: dict[bytes, str] = {}
        self._pools: dict[str, list[bytes]] = {"value": [], "counter": [], "pair": []}

    def run(self) -> None:
        while self.error is None and not self.stop.wait(PAUSE_SECONDS):
            kind = self._rng.choice(("value", "value", "counter", "pair"))
            {"value": self._put, "counter": self._count, "pair": self._batch}[kind](self._key(kind))
        self._disconnect()

    # ---- changes

    def _put(self, key: bytes) -> None:
        value = self._ledger.value(key, self._ledger.versions[key] + 1)
        condition = {"If-Match": self._etags[key]} if key in self._etags else {"If-None-Match": "*"}
        answer = self._ask("PUT", f"/v1/keys/{quote(key)}", value, condition)
        if self._take([key], answer) and answer:
            self._etags[key] = answer.headers["etag"]

    def _count(self, key: bytes) -> None:
        answer = self._ask("POST", f"/v1/increment/{quote(key)}", None, {})
        reached = self._ledger.versions[key] + 1
        if self._take([key], answer) and answer and answer.json["value"] != reached:
            self.error = f"{self._ledger.name}: {key!r} was incremented to {answer.json['value']}, not to {reached}"

    def _batch(self, one: bytes) -> None:
        """Both keys of a pair, or none."""
        keys = [one, self._ledger.pairs[one]]
        operations = [
            {
                "op": "set",
                "key": key.decode(),
                "value": self._ledger.value(key, self._ledger.versions[key] + 1).decode(),
                **({"if_match": self._etags[key]} if key in self._etags else {"if_absent": True}),
            }
            for key in keys
        ]
        answer = self._ask("POST", "/v1/batch", {"operations": operations}, {})
        if self._take(keys, answer) and answer:
            for key, result in zip(keys, answer.json["results"], strict=True):
                self._etags[key] = result["etag"]

    # ---- how they are sent and what is made of the answer

    def _ask(self, method: str, target: str, body: object, headers: dict[str, str]) -> Answer | None:
        """None when the connection ended before there was an answer."""
        try:
            if self._connection is None:
                self._connection = _connected(self._address)
            return self._connection.ask(method, target, body, headers)
        except TimeoutError:
            self.error = f"{self._ledger.name}: {method} {target} was not answered within {ANSWER_SECONDS:.0f} s"
        except (OSError, http.client.HTTPException):
            pass
        self._disconnect()
        return None

    def _take(self, keys: list[bytes], answer: Answer | None) -> bool:
        """Whether it was done."""
        told = _outcome(answer)
        if told == "done":
            self._ledger.acknowledge(keys)
        elif told == "refused":
            self.refused += 1
        else:
            self._ledger.doubt(keys)
            self.unknown += 1
            if told is None and answer:
                self.error = self.error or f"{self._ledger.name}: {keys} answered {answer.status} {answer.body[:200]!r}"
        return told == "done"

    def _key(self, kind: str) -> bytes:
        """One of which no change is in doubt."""
        pool = self._pools[kind]
        pool[:] = [key for key in pool if self._ledger.usable(key)]
        while len(pool) < KEYS_OF_A_KIND:
            pool.append(self._ledger.new_pair()[0] if kind == "pair" else self._ledger.new_key(kind))
        return self._rng.choice(pool)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _outcome(answer: Answer | None) -> Outcome | None:
    if answer is None or answer.status == UNKNOWN:
        return "unknown"
    if answer.status == REFUSED:
        return "refused"
    return "done" if answer.status in DONE else None


def _connected(address: Address) -> HttpConnection:
    """A connection; a door that was killed is given the time to come back."""
    deadline = time.monotonic() + COMES_BACK_SECONDS
    while True:
        connection = HttpConnection(address, timeout=ANSWER_SECONDS)
        try:
            connection.connect()
        except ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return connection
