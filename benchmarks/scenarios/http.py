"""Requests a second over HTTP: one key read and written, beside webdis and beside the server a student would write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from benchmarks import http_load
from benchmarks.bench import Bench
from benchmarks.connection import Connection
from benchmarks.datasets import key, value
from benchmarks.figures import Aim, Figure, NotMeasured
from benchmarks.http_load import HttpLoad, HttpResult
from benchmarks.http_servers import HttpServer, KeysteadHttp, Student, Webdis, load_cores
from benchmarks.scale import short_count

MANY_KEYS = 10_000
ONE = key(0).decode()


@dataclass(frozen=True)
class Sample(HttpResult):
    """One measurement, with the processor time of all the server's processes a request."""

    server_cpu_us: float


def measure(bench: Bench) -> Iterator[Figure]:
    yield from _beside_webdis(bench)
    yield from _beside_student(bench)


def _beside_webdis(bench: Bench) -> Iterator[Figure]:
    with ExitStack() as stack:
        ours: HttpServer = stack.enter_context(KeysteadHttp(bench.fresh_directory("http"), bench.ours.program))
        peer: HttpServer = stack.enter_context(Webdis(bench.fresh_directory("webdis")))
        for server in (ours, peer):
            _put(server, ONE)
        get = "HTTP: GET one key, 32 connections, one core"
        yield _compare(bench, get, (ours, peer), "GET", ONE, 0, least=1.0)
        put = "HTTP: PUT one key, 32 connections, one core, fsync always"
        yield _compare(bench, put, (ours, peer), "PUT", ONE, 0, least=1.0)


def _beside_student(bench: Bench) -> Iterator[Figure]:
    with ExitStack() as stack:
        ours = stack.enter_context(KeysteadHttp(bench.fresh_directory("http"), bench.ours.program))
        peer: HttpServer = stack.enter_context(Student(bench.fresh_directory("student"), MANY_KEYS))
        with Connection(ours.resp_port) as connection:
            for number in range(MANY_KEYS):
                connection.command("SET", key(number), value(number))
        get = f"HTTP: GET one key of {short_count(MANY_KEYS)}"
        yield _compare(bench, get, (ours, peer), "GET", ONE, 0, least=3.0)
        put = f"HTTP: PUT at {short_count(MANY_KEYS)} keys"
        yield _compare(bench, put, (ours, peer), "PUT", "key:%012d", MANY_KEYS, least=100.0)


def _compare(
    bench: Bench, name: str, servers: tuple[HttpServer, HttpServer], method: str, path: str, keys: int, least: float
) -> Figure:
    def take(server: HttpServer) -> Sample:
        where = server.path(path) if method == "GET" else server.write_path(path)
        body = value(0).decode() if method == "PUT" else ""
        load = HttpLoad(method, where, keys, body)
        cpu_s = server.cpu_seconds()
        result = http_load.run(server.port, load, bench.scale.load_seconds, load_cores())
        requests = result.requests_per_s * max(1, round(bench.scale.load_seconds))
        return Sample(**vars(result), server_cpu_us=(server.cpu_seconds() - cpu_s) / requests * 1e6)

    for server in servers:
        take(server)  # warms up
    ours, peer = bench.interleave(name, bench.scale.rounds, servers, take)
    cpu = (median(sample.server_cpu_us for sample in samples) for samples in (ours, peer))
    p99 = (median(sample.p99_ms for sample in samples) for samples in (ours, peer))
    return Figure(
        "http",
        name,
        "requests/s",
        ours=[sample.requests_per_s for sample in ours],
        peer=[sample.requests_per_s for sample in peer],
        peer_name=servers[1].label,
        aim=Aim("at least", least),
        note="server's processor time a request {:.1f} / {:.1f} µs; ".format(*cpu)
        + "p99 {:.2f} / {:.2f} ms".format(*p99),
    )


def _put(server: HttpServer, name: str) -> None:
    status = server.request("PUT", server.write_path(name), value(0))
    if status >= 300:
        raise NotMeasured(f"{server.label} answered a PUT with {status}")
