"""TLS over real sockets: who is let in as whom, what clients find, reload under traffic, handshakes that never end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import redis as redis_py
import uvloop

import keystead
from keystead.config import load
from keystead.server.certificates import Certificates
from keystead.server.tls import Handshake, Handshakes
from server import certificates
from server.encrypted import TlsClient, TlsServer, copied, serving
from wire import CLOSED, TIMEOUT_SECONDS, Reply, SocketConnection, encode

OK = Reply("+", b"OK")
PONG = Reply("+", b"PONG")
NO_AUTH = Reply("-", b"NOAUTH Authentication required.")


# --- clients --------------------------------------------------------------------------------------------------------


def test_redis_cli_is_served(tls: TlsServer) -> None:
    words = ["redis-cli", "--tls", "-p", str(tls.port), "--cacert", str(tls.folder / "ca.crt"), "SET", "k", "v"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    assert done.stdout == "OK\n"


def test_redis_py_is_served(tls: TlsServer) -> None:
    client = redis_py.Redis.from_url(f"rediss://localhost:{tls.port}", ssl_ca_certs=str(tls.folder / "ca.crt"))
    pipeline = client.pipeline()
    pipeline.set("k", "v")
    pipeline.get("k")
    assert pipeline.execute() == [True, b"v"]
    client.close()


def test_the_mapping_over_a_server_is_served(tls: TlsServer) -> None:
    with keystead.connect(f"rediss://localhost:{tls.port}?ssl_ca_certs={tls.folder}/ca.crt") as store:
        store["k"] = b"v"
        assert dict(store) == {"k": b"v"}


def test_the_plain_port_beside_it_shows_the_same_store(tls: TlsServer) -> None:
    plain, encrypted = tls.server.connect(), tls.connect()
    assert encrypted.call("SET", "k", "v") == OK
    assert plain.call("GET", "k") == Reply("$", b"v")
    plain.close()
    encrypted.close()


def test_a_client_without_tls_gets_no_answer_on_the_tls_port(tls: TlsServer) -> None:
    client = SocketConnection(("127.0.0.1", tls.port))
    client.send(encode(("PING",)))
    client.socket.shutdown(socket.SHUT_WR)
    with contextlib.suppress(ConnectionError):
        assert not client.socket.recv(1000).startswith(b"+PONG")
    client.close()


@pytest.mark.parametrize(("version", "served"), [("tls1_1", False), ("tls1_2", True), ("tls1_3", True)])
def test_versions_from_1_2_on_are_spoken(tls: TlsServer, version: str, served: bool) -> None:
    words = ["openssl", "s_client", "-connect", f"localhost:{tls.port}", "-CAfile", str(tls.folder / "ca.crt")]
    words += [f"-{version}", "-cipher", "ALL:@SECLEVEL=0", "-quiet", "-ign_eof"]
    done = subprocess.run(words, input=b"PING\r\nQUIT\r\n", capture_output=True, timeout=TIMEOUT_SECONDS)
    assert (b"+PONG" in done.stdout) is served


# --- client certificates ---------------------------------------------------------------------------------------------


def test_a_certificate_logs_its_user_in(mutual: TlsServer) -> None:
    client = mutual.connect("default")
    assert client.call("PING") == PONG
    client.close()


def test_a_certificate_that_names_no_user_leaves_the_client_logged_out(mutual: TlsServer) -> None:
    client = mutual.connect("nobody")
    assert client.call("PING") == NO_AUTH
    assert client.call("AUTH", "x") == OK
    client.close()


def test_without_a_certificate_the_password_is_needed(mutual: TlsServer) -> None:
    client = mutual.connect()
    assert client.call("PING") == NO_AUTH
    assert client.call("AUTH", "x") == OK
    assert client.call("PING") == PONG
    client.close()


def is_refused(server: TlsServer, user: str | None, of: Path | None = None) -> bool:
    """With TLS 1.3 a client has finished before the server looks at its certificate; it learns when it reads."""
    try:
        client = server.connect(user, of)
    except (ssl.SSLError, ConnectionError):
        return True
    try:
        return client.call("PING") == CLOSED
    except (ssl.SSLError, ConnectionError):
        return True
    finally:
        client.close()


def test_certificates_of_another_authority_are_refused(mutual: TlsServer, foreign: Path) -> None:
    assert is_refused(mutual, "default", of=foreign)
    assert not is_refused(mutual, "default")


def test_an_expired_certificate_is_refused(mutual: TlsServer, tmp_path: Path) -> None:
    for name in ("ca.crt", "ca.key", "default.crt", "default.key"):
        (tmp_path / name).write_bytes((mutual.folder / name).read_bytes())
    assert not is_refused(mutual, "default", of=tmp_path)
    certificates.make_expired(tmp_path, "default")
    assert is_refused(mutual, "default", of=tmp_path)


def test_a_server_certificate_is_no_client_certificate(mutual: TlsServer) -> None:
    assert is_refused(mutual, "server")


def test_with_an_authority_and_nothing_else_set_a_certificate_is_required(tmp_path: Path, folder: Path) -> None:
    with serving(tmp_path / "data", folder, "--tls-ca-cert-file", str(folder / "ca.crt")) as server:
        assert is_refused(server, None)
        assert not is_refused(server, "nobody")


# --- flow ------------------------------------------------------------------------------------------------------------


def test_a_long_pipeline_is_answered_in_order(tls: TlsServer) -> None:
    client = tls.connect()
    commands = [
        encode(("SET", f"k{number % 100}", b"%d" % number)) + encode(("GET", f"k{number % 100}"))
        for number in range(5000)
    ]
    # All of it before anything is read: a socket of Python's ssl must not be read and written by two threads at once.
    client.send(b"".join(commands))
    for number in range(5000):
        assert client.receive() == OK
        assert client.receive() == Reply("$", b"%d" % number)
    client.close()


def test_values_larger_than_any_buffer_go_both_ways(tls: TlsServer) -> None:
    client = tls.connect()
    value = os.urandom(20_000_000)
    assert client.call("SET", "big", value) == OK
    assert client.call("GET", "big") == Reply("$", value)
    client.close()


def resident_bytes(server: TlsServer) -> int:
    pages = int(Path(f"/proc/{server.server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.linux
def test_a_client_that_never_reads_costs_no_more_than_its_limit(tls: TlsServer) -> None:
    client, other = tls.connect(), tls.connect()
    other.call("SET", "big", b"x" * 20_000_000)
    before = resident_bytes(tls)
    client.send(encode(("GET", "big")) * 100)
    for _ in range(50):
        assert other.call("PING") == PONG
    assert resident_bytes(tls) - before < (64 + 40) << 20
    client.close()
    other.close()


def test_a_client_that_reads_late_gets_everything(tls: TlsServer) -> None:
    client = tls.connect()
    value = b"y" * 1_000_000
    assert client.call("SET", "big", value) == OK
    client.send(encode(("GET", "big")) * 40 + encode(("PING",)))
    time.sleep(0.3)
    assert [client.receive().value == value for _ in range(40)] == [True] * 40
    assert client.receive() == PONG
    client.close()


def test_what_was_replied_is_written_before_a_client_that_says_goodbye_is_closed(tls: TlsServer) -> None:
    client = tls.connect()
    context, incoming, outgoing = tls.context(), ssl.MemoryBIO(), ssl.MemoryBIO()
    plain = socket.create_connection(("127.0.0.1", tls.port), TIMEOUT_SECONDS)
    speaker = context.wrap_bio(incoming, outgoing, server_hostname="localhost")

    def talk(step: Callable[[], Any]) -> Any:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                plain.sendall(outgoing.read())
                incoming.write(plain.recv(65536))

    talk(speaker.do_handshake)
    speaker.write(b"PING\r\n" * 100)
    with contextlib.suppress(ssl.SSLWantReadError):
        speaker.unwrap()  # close_notify, in the same packet
    plain.sendall(outgoing.read())
    received = b""
    while data := plain.recv(65536):
        incoming.write(data)
    with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError, ssl.SSLEOFError):
        while piece := speaker.read(65536):
            received += piece
    assert received == b"+PONG\r\n" * 100
    plain.close()
    assert client.call("PING") == PONG
    client.close()
    assert "eof_received" not in tls.server.log.read_text()


def test_quit_closes_after_the_last_reply(tls: TlsServer) -> None:
    client = tls.connect()
    client.send(b"SET k v\r\nQUIT\r\nSET k w\r\n")
    assert [client.receive() for _ in range(3)] == [OK, OK, CLOSED]
    client.close()


def test_a_stop_does_not_wait_for_clients_that_send_no_goodbye(tls: TlsServer) -> None:
    clients = [tls.connect() for _ in range(5)]
    assert [client.call("PING") for client in clients] == [PONG] * 5
    assert tls.server.stop() == 0
    for client in clients:
        client.close()


# --- handshakes that do not end --------------------------------------------------------------------------------------


def test_more_than_a_thousand_handshakes_that_never_end_leave_others_alone(tls: TlsServer) -> None:
    with contextlib.ExitStack() as open_sockets:
        for number in range(1200):
            silent = open_sockets.enter_context(socket.create_connection(("127.0.0.1", tls.port), TIMEOUT_SECONDS))
            if number % 2:
                silent.sendall(b"\x16\x03\x01\x02\x00\x01")  # the first bytes of a handshake
        for _ in range(20):
            client = tls.connect()
            assert client.call("SET", "k", "v") == OK
            client.close()
        plain = tls.server.connect()
        assert plain.call("GET", "k") == Reply("$", b"v")
        plain.close()


def test_a_client_that_goes_away_within_the_handshake_is_forgotten(tls: TlsServer) -> None:
    for _ in range(50):
        socket.create_connection(("127.0.0.1", tls.port)).close()
    client = tls.connect()
    assert client.call("PING") == PONG
    client.close()
    assert "Traceback" not in tls.server.log.read_text()


# --- reload ----------------------------------------------------------------------------------------------------------


def serial_number(client: TlsClient) -> str:
    return cast("dict[str, str]", client.socket.getpeercert())["serialNumber"]


def test_new_certificates_are_taken_under_traffic_and_no_connection_is_dropped(tmp_path: Path, folder: Path) -> None:
    own = copied(folder, tmp_path / "tls")
    with serving(tmp_path / "data", own) as server:
        stopped = threading.Event()
        counts: list[int] = []

        def traffic() -> None:
            client, count = server.connect(), 0
            while not stopped.is_set():
                assert client.call("INCR", "n").kind == ":"
                count += 1
            client.close()
            counts.append(count)

        threads = [threading.Thread(target=traffic) for _ in range(4)]
        for thread in threads:
            thread.start()
        old = server.connect()
        first = serial_number(old)
        (own / "server.crt").unlink()
        certificates.make(own)
        server.hang_up("read the certificates anew")
        new = server.connect()
        assert serial_number(new) != first
        assert old.call("PING") == PONG
        stopped.set()
        for thread in threads:
            thread.join()
        assert len(counts) == 4
        assert new.call("GET", "n") == Reply("$", b"%d" % sum(counts))
        old.close()
        new.close()


def test_a_bad_new_certificate_is_logged_and_the_old_one_stays(tmp_path: Path, folder: Path) -> None:
    own = copied(folder, tmp_path / "tls")
    with serving(tmp_path / "data", own) as server:
        client = server.connect()
        (own / "server.crt").write_text("no certificate")
        server.hang_up("the certificates in use stay")
        again = server.connect()
        assert serial_number(again) == serial_number(client)
        client.close()
        again.close()


def test_an_authority_that_is_taken_off_is_not_believed_any_more(tmp_path: Path, folder: Path, foreign: Path) -> None:
    own = copied(folder, tmp_path / "tls")
    (own / "believed.crt").write_bytes((folder / "ca.crt").read_bytes())
    with serving(tmp_path / "data", own, "--tls-ca-cert-file", str(own / "believed.crt")) as server:
        assert not is_refused(server, "default")
        assert is_refused(server, "default", of=foreign)
        (own / "believed.crt").write_bytes((foreign / "ca.crt").read_bytes())
        server.hang_up("read the certificates anew")
        assert is_refused(server, "default")
        assert not is_refused(server, "default", of=foreign)


# --- one handshake, on a loop of its own ------------------------------------------------------------------------------


def test_a_handshake_that_takes_too_long_is_closed_and_counted(folder: Path) -> None:
    async def play() -> None:
        loop = asyncio.get_running_loop()
        settings = load(
            {
                "tls-port": "7443",
                "tls-cert-file": str(folder / "server.crt"),
                "tls-key-file": str(folder / "server.key"),
            },
            {},
        )
        handshakes = Handshakes(loop, Certificates(settings), seconds=0.05, most=3)
        server = await loop.create_server(lambda: Handshake(handshakes, lambda _: asyncio.Protocol()), "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        clients = [await asyncio.open_connection(*address) for _ in range(5)]
        assert [await reader.read() for reader, _ in clients] == [b""] * 5
        for _, writer in clients:
            writer.close()
        server.close()
        while len(handshakes):
            await asyncio.sleep(0.01)
        assert handshakes.failures == {"timeout": 3, "crowded": 2}

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play())
