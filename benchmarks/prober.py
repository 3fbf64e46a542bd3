"""A latency prober: many connections, few requests, every latency kept. Run by `probing` as a program; prints JSON.

It shares the cores with the server, so it is light (what it took is reported) and paced: requests are due at fixed
times, one connection after the other, whatever the server does. A request that could not be sent because the one before
it on its connection was unanswered counts from when it was due, else one long pause would count once instead of for all
it delayed. One that was late because the prober itself did not run counts from when it was sent; `lag_ms` is the worst
of those delays.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import select
import socket
import sys
import time
from array import array
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from itertools import cycle

import hiredis

from benchmarks.connection import encode
from benchmarks.datasets import key, value
from benchmarks.figures import quantile
from benchmarks.probing import Latencies, ProbeResult

BUCKET_MS = 20
_REQUESTS = 10_000


class Client:
    """One connection with at most one request unanswered; `waiting` are the due times of those behind it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(
            None
        )  # with one, each send and recv would be a poll as well; whoever runs us has a limit
        self.reader = hiredis.Reader()
        self.busy = False
        self.is_set = False
        self.counts_from = 0.0
        self.waiting: deque[float] = deque()


class Record:
    """Latencies of one command in the order of their replies, with the time each counts from; both in milliseconds."""

    def __init__(self) -> None:
        self.latencies = array("d")
        self.moments = array("d")

    def summarize(self) -> Latencies:
        ordered = sorted(self.latencies)
        p50, p99, p999 = (quantile(ordered, fraction) for fraction in (0.5, 0.99, 0.999))
        return Latencies(len(ordered), p50, p99, p999, ordered[-1])


class Prober:
    def __init__(self, port: int, clients: int, requests_per_s: float, keys: int) -> None:
        self._clients = [Client(port) for _ in range(clients)]
        self._by_descriptor = {client.socket.fileno(): client for client in self._clients}
        self._gap_s = 1 / requests_per_s
        self._requests = _requests(keys)
        self._records = {False: Record(), True: Record()}
        self._started = 0.0
        self._lag_s = 0.0

    def run(self, seconds: float, stop: int | None) -> ProbeResult:
        """Probe for so long, or until the descriptor `stop` can be read (its other end was closed)."""
        watched = [*self._by_descriptor, *([] if stop is None else [stop])]
        cpu = time.process_time()
        now = due = self._started = time.perf_counter()
        end = now + seconds
        turn = 0
        while now < end:
            ready = select.select(watched, (), (), max(0.0, due - now))[0]
            now = time.perf_counter()
            for descriptor in ready:
                if descriptor == stop:
                    end = now
                else:
                    self._take_reply(self._by_descriptor[descriptor], now)
            while due <= now:
                self._send_or_queue(self._clients[turn % len(self._clients)], due)
                turn += 1
                due += self._gap_s
            now = time.perf_counter()
        self._count_unanswered(now)
        elapsed = now - self._started
        return self._result((time.process_time() - cpu) / elapsed, elapsed)

    def _send_or_queue(self, client: Client, due: float) -> None:
        if client.busy:
            client.waiting.append(due)
            return
        now = time.perf_counter()
        self._lag_s = max(self._lag_s, now - due)
        self._send(client, now)

    def _send(self, client: Client, counts_from: float) -> None:
        client.is_set = not client.is_set
        client.busy = True
        client.counts_from = counts_from
        client.socket.send(next(self._requests[client.is_set]))

    def _take_reply(self, client: Client, now: float) -> None:
        data = client.socket.recv(65536)
        if not data:
            raise SystemExit("the server closed a connection")
        client.reader.feed(data)
        reply = client.reader.gets()
        if reply is False:
            return
        if isinstance(reply, hiredis.ReplyError):
            raise SystemExit(f"the server answered {reply}")
        self._note(client.is_set, client.counts_from, now)
        client.busy = False
        if client.waiting:
            self._send(client, client.waiting.popleft())

    def _count_unanswered(self, now: float) -> None:
        """A pause that lasts beyond the end is not forgotten: its requests count with what they have waited so far."""
        for client in self._clients:
            if client.busy:
                self._note(client.is_set, client.counts_from, now)

    def _note(self, is_set: bool, counts_from: float, now: float) -> None:
        record = self._records[is_set]
        record.latencies.append((now - counts_from) * 1000)
        record.moments.append((counts_from - self._started) * 1000)

    def _result(self, cpu_share: float, seconds: float) -> ProbeResult:
        worst: dict[int, float] = {}
        for record in self._records.values():
            for moment, latency in zip(record.moments, record.latencies, strict=True):
                bucket = int(moment // BUCKET_MS) * BUCKET_MS
                worst[bucket] = max(worst.get(bucket, 0.0), round(latency, 3))
        get, set_ = (self._records[is_set].summarize() for is_set in (False, True))
        return ProbeResult(get, set_, self._lag_s * 1000, cpu_share, seconds, sorted(worst.items()))


def _requests(keys: int) -> dict[bool, Iterator[bytes]]:
    """GETs (False) and SETs (True) of random keys without end, encoded beforehand: encoding is not what is measured."""
    numbers = random.Random(os.getpid()).choices(range(keys), k=_REQUESTS)
    gets = [encode(b"GET", key(number)) for number in numbers]
    sets = [encode(b"SET", key(number), value(number)) for number in numbers]
    return {False: cycle(gets), True: cycle(sets)}


def main() -> None:
    options = argparse.ArgumentParser(prog="benchmarks.prober")
    options.add_argument("port", type=int)
    options.add_argument("--clients", type=int, default=50)
    options.add_argument("--requests-per-s", type=float, default=2000)
    options.add_argument("--keys", type=int, required=True)
    options.add_argument("--seconds", type=float, required=True)
    options.add_argument("--until-closed", action="store_true", help="stop earlier, when standard input ends")
    given = options.parse_args()
    # Its own waiting for a core would look like the server's. Without the right to go first, `lag_ms` shows how long.
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    prober = Prober(given.port, given.clients, given.requests_per_s, given.keys)
    gc.disable()
    print("probing", flush=True)
    result = prober.run(given.seconds, sys.stdin.fileno() if given.until_closed else None)
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
