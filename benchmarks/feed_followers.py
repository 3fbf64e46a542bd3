"""Followers of the change feed, as a program of its own: `python -m benchmarks.feed_followers PORT FOLLOWERS`.

Prints `ready` when all are connected, then, when each has seen the key `feed:end`, one line of JSON. A key says which
change it is and when it was written: `feed:NUMBER:NANOSECONDS`, by the machine's monotonic clock, which all processes
share. Must not know: how an event looks; it counts keys in the bytes that arrive.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import sys
import time

from benchmarks.figures import quantile

END = b"feed:end"
_CHANGE = re.compile(rb"feed:(\d+):(\d+)\D")
_LONGEST_KEY = 64
_PATIENCE_S = 60.0


class Follower:
    """One connection, what it has seen, and how late each change was."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        request = b"GET /v1/changes?prefix=feed: HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
        self.socket.sendall(request)
        head = self.socket.recv(65536)
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"the feed answered {head[:200]!r}")
        self.numbers: list[int] = []
        self.lags_ms: list[float] = []
        self.ended = False
        self._tail = b""

    def read(self) -> None:
        """Take what has arrived."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise SystemExit("the feed was closed")
        now_ns = time.monotonic_ns()
        text = self._tail + data
        end = 0
        for found in _CHANGE.finditer(text):
            self.numbers.append(int(found[1]))
            self.lags_ms.append((now_ns - int(found[2])) / 1e6)
            end = found.end()
        self.ended = END in text[end:]
        self._tail = text[max(end, len(text) - _LONGEST_KEY) :]

    @property
    def complete(self) -> bool:
        """Whether it saw every change, once and in order."""
        return self.numbers == list(range(len(self.numbers)))


def main() -> None:
    port, count = int(sys.argv[1]), int(sys.argv[2])
    followers = [Follower(port) for _ in range(count)]
    print("ready", flush=True)
    follow(followers)
    lags_ms = sorted(lag for follower in followers for lag in follower.lags_ms)
    said = {
        "events": [len(follower.numbers) for follower in followers],
        "complete": all(follower.complete for follower in followers),
        "p50_ms": quantile(lags_ms, 0.5),
        "p99_ms": quantile(lags_ms, 0.99),
        "max_ms": lags_ms[-1],
    }
    print(json.dumps(said), flush=True)


def follow(followers: list[Follower]) -> None:
    """Read until every follower has seen the end, or nothing has come for a minute."""
    with selectors.DefaultSelector() as selector:
        for follower in followers:
            selector.register(follower.socket, selectors.EVENT_READ, follower)
        while not all(follower.ended for follower in followers):
            ready = selector.select(_PATIENCE_S)
            if not ready:
                raise SystemExit("nothing came any more")
            for chosen, _ in ready:
                chosen.data.read()


if __name__ == "__main__":
    main()
