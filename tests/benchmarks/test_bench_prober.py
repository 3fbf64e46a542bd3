"""The prober's bookkeeping: what a request's latency counts from. The server is the other end of a socket pair."""

import socket
from collections.abc import Iterator

import pytest

from benchmarks.prober import Client, Prober, Record


@pytest.fixture
def prober_and_client() -> Iterator[tuple[Prober, Client, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        prober = Prober(listener.getsockname()[1], clients=1, requests_per_s=100, keys=10)
        server, _ = listener.accept()
        with server:
            client = prober._clients[0]
            yield prober, client, server
            client.socket.close()


def test_a_request_that_waits_for_the_one_before_counts_from_when_it_was_due(
    prober_and_client: tuple[Prober, Client, socket.socket],
) -> None:
    prober, client, server = prober_and_client
    prober._send_or_queue(client, due=0.0)
    prober._send_or_queue(client, due=10.0)
    assert list(client.waiting) == [10.0]
    assert server.recv(1000).count(b"SET") == 1
    server.sendall(b"+OK\r\n")
    prober._take_reply(client, now=client.counts_from + 0.5)
    assert client.counts_from == 10.0
    assert server.recv(1000).count(b"GET") == 1
    server.sendall(b"$-1\r\n")
    prober._take_reply(client, now=13.0)
    assert list(prober._records[True].latencies) == [500.0]
    assert list(prober._records[False].latencies) == [3000.0]


def test_half_a_reply_is_no_reply(prober_and_client: tuple[Prober, Client, socket.socket]) -> None:
    prober, client, server = prober_and_client
    prober._send_or_queue(client, due=0.0)
    server.sendall(b"+O")
    prober._take_reply(client, now=client.counts_from + 1)
    assert client.busy
    server.sendall(b"K\r\n")
    prober._take_reply(client, now=client.counts_from + 2)
    assert list(prober._records[True].latencies) == [2000.0]


def test_an_error_reply_ends_the_probe_with_its_words(prober_and_client: tuple[Prober, Client, socket.socket]) -> None:
    prober, client, server = prober_and_client
    prober._send_or_queue(client, due=0.0)
    server.sendall(b"-MISCONF disk full\r\n")
    with pytest.raises(SystemExit, match="MISCONF disk full"):
        prober._take_reply(client, now=1.0)


def test_a_pause_that_outlasts_the_probe_is_counted(prober_and_client: tuple[Prober, Client, socket.socket]) -> None:
    prober, client, _ = prober_and_client
    prober._send_or_queue(client, due=0.0)
    prober._count_unanswered(client.counts_from + 7)
    assert list(prober._records[True].latencies) == [7000.0]


def test_latencies_are_summed_up_by_quantile() -> None:
    record = Record()
    record.latencies.extend(float(number) for number in range(1, 1001))
    found = record.summarize()
    assert (found.count, found.p50_ms, found.p99_ms, found.p999_ms, found.max_ms) == (1000, 500.0, 990.0, 999.0, 1000.0)
