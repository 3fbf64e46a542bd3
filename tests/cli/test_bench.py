"""bench: a small load, checked and honest, that leaves nothing behind."""

from __future__ import annotations

import re
from contextlib import closing

from cli.stores import keystead
from servers import Server, free_port

QUICK = ("--seconds", "1", "--keys", "700", "--clients", "4")


FIGURES = re.compile(r"^(PING|SET|GET) +[\d,]+(?: +\d+\.\d\d){3}$", re.MULTILINE)


def test_it_measures_a_keystead_and_removes_its_keys(keystead_server: Server) -> None:
    with closing(keystead_server.connect()) as connection:
        connection.call(b"SET", b"mine", b"1")
        run = keystead("bench", "--port", str(keystead_server.port), *QUICK, "--pipeline", "3")
        assert (run.status, run.errors) == (0, "")
        assert ": keystead " in run.output
        assert ", fsync always; 4 clients, 3 deep, 64-byte values, 700 keys, 1 s a test\n" in run.output
        assert FIGURES.findall(run.output) == ["PING", "SET", "GET"]
        assert connection.call(b"DBSIZE").value == 1


def test_it_measures_a_redis_and_says_when_that_one_is_not_durable(redis: Server) -> None:
    run = keystead("bench", "--port", str(redis.port), *QUICK)
    assert run.status == 0
    assert re.search(r"redis \d\S*, fsync never \(no append-only file\)", run.output)


def test_without_a_server_it_says_how_to_start_one() -> None:
    port = free_port()
    run = keystead("bench", "--port", str(port))
    assert run.status == 1
    assert (
        run.errors == f"keystead: no server on 127.0.0.1:{port} (Connection refused); start one with: keystead serve\n"
    )


def test_a_server_that_refuses_is_an_error_and_not_a_figure(keystead_server: Server) -> None:
    with closing(keystead_server.connect()) as connection:
        connection.call(b"CONFIG", b"SET", b"requirepass", b"secret")
    run = keystead("bench", "--port", str(keystead_server.port), *QUICK)
    assert (run.status, run.errors) == (1, "keystead: NOAUTH Authentication required.\n")
    assert keystead("bench", "--port", str(keystead_server.port), *QUICK, "--requirepass", "secret").status == 0
