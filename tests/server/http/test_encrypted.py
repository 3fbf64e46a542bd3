"""HTTP over TLS: the same routes, who a certificate makes somebody, reload under traffic, clients that end early."""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from http_client import HttpConnection
from server import certificates
from server.encrypted import TlsServer, copied, serving
from wire import TIMEOUT_SECONDS, Reply

BASIC = {"Authorization": "Basic " + base64.b64encode(b"default:x").decode()}
OK = Reply("+", b"OK")


def test_a_value_of_any_size_goes_in_and_out_and_is_the_same_for_redis_clients(tls: TlsServer) -> None:
    client, redis = tls.connect_http(), tls.connect()
    for size in (1, 100, 70_000, 5_000_000):
        value = bytes(range(256)) * (size // 256 + 1)
        assert client.ask("PUT", "/v1/keys/k", value).status in (201, 204)
        assert client.ask("GET", "/v1/keys/k").body == value
        assert redis.call("GET", "k").value == value
    client.close()
    redis.close()


def test_curl_is_served(tls: TlsServer) -> None:
    words = ["curl", "--silent", "--fail", "--cacert", str(tls.folder / "ca.crt")]
    done = subprocess.run([*words, f"https://localhost:{tls.http_port}/readyz"], capture_output=True, timeout=60)
    assert done.stdout == b'{"status":"ready"}'


def test_many_requests_on_one_connection_are_answered_in_order(tls: TlsServer) -> None:
    with tls.raw_http() as client:
        head = b"PUT /v1/keys/%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n%b\r\nv"
        client.sendall(b"".join(head % (number, b"") for number in range(500)) + head % (0, b"Connection: close\r\n"))
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert (answer.count(b"HTTP/1.1 201 "), answer.count(b"HTTP/1.1 204 ")) == (500, 1)
    assert answer.rindex(b"204") > answer.rindex(b"201")


@pytest.mark.parametrize(("version", "served"), [("tls1", False), ("tls1_1", False), ("tls1_2", True)])
def test_versions_from_1_2_on_are_spoken(tls: TlsServer, version: str, served: bool) -> None:
    words = ["openssl", "s_client", "-connect", f"localhost:{tls.http_port}", "-CAfile", str(tls.folder / "ca.crt")]
    words += [f"-{version}", "-cipher", "ALL:@SECLEVEL=0", "-quiet", "-ign_eof"]
    request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    done = subprocess.run(words, input=request, capture_output=True, timeout=TIMEOUT_SECONDS)
    assert (b"200 OK" in done.stdout) is served


def test_a_request_without_tls_is_not_answered(tls: TlsServer) -> None:
    with socket.create_connection(("127.0.0.1", tls.http_port), TIMEOUT_SECONDS) as plain:
        plain.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"200" not in plain.recv(1000)


# --- client certificates ---------------------------------------------------------------------------------------------


def status(client: HttpConnection, headers: dict[str, str] | None = None) -> int:
    found = client.ask("PUT", "/v1/keys/k", b"v", headers).status
    client.close()
    return found


def test_a_certificate_makes_the_requests_of_its_user(mutual: TlsServer) -> None:
    assert status(mutual.connect_http("default")) == 201


def test_a_certificate_that_names_no_user_is_as_good_as_none(mutual: TlsServer) -> None:
    assert status(mutual.connect_http("nobody")) == 401
    assert status(mutual.connect_http("nobody"), BASIC) == 201


def test_without_a_certificate_a_password_is_needed(mutual: TlsServer) -> None:
    assert status(mutual.connect_http()) == 401
    assert status(mutual.connect_http(), BASIC) == 201


def test_wrong_credentials_are_refused_although_the_certificate_is_good(mutual: TlsServer) -> None:
    wrong = {"Authorization": "Basic " + base64.b64encode(b"default:y").decode()}
    assert status(mutual.connect_http("default"), wrong) == 401


def test_a_certificate_gives_the_rights_of_its_user_as_they_are_now(mutual: TlsServer) -> None:
    admin = mutual.connect("default")
    client = mutual.connect_http("nobody")
    assert admin.call("ACL", "SETUSER", "nobody", "on", "+get", "~*") == OK
    assert client.ask("GET", "/v1/keys/k").status == 404
    assert client.ask("PUT", "/v1/keys/k", b"v").status == 403
    assert admin.call("ACL", "SETUSER", "nobody", "off") == OK
    assert client.ask("GET", "/v1/keys/k").status == 401
    admin.close()
    client.close()


def is_refused(server: TlsServer, user: str | None, of: Path | None = None) -> bool:
    client = server.connect_http(user, of)
    try:
        return client.ask("GET", "/livez").status != 200
    except (ssl.SSLError, ConnectionError, http.client.BadStatusLine):
        return True
    finally:
        client.close()


def test_foreign_and_expired_certificates_and_those_of_servers_are_refused(
    mutual: TlsServer, foreign: Path, tmp_path: Path
) -> None:
    own = copied(mutual.folder, tmp_path / "tls")
    assert not is_refused(mutual, "default", own)
    assert is_refused(mutual, "default", foreign)
    assert is_refused(mutual, "server")
    certificates.make_expired(own, "default")
    assert is_refused(mutual, "default", own)


# --- reload and ends -------------------------------------------------------------------------------------------------


def test_new_certificates_are_taken_under_traffic_and_no_connection_is_dropped(tmp_path: Path, folder: Path) -> None:
    own = copied(folder, tmp_path / "tls")
    with serving(tmp_path / "data", own) as server:
        stopped = threading.Event()
        counts: list[int] = []

        def traffic() -> None:
            client, count = server.connect_http(), 0
            while not stopped.is_set():
                assert client.ask("POST", "/v1/increment/n").status == 200
                count += 1
            client.close()
            counts.append(count)

        threads = [threading.Thread(target=traffic) for _ in range(3)]
        for thread in threads:
            thread.start()
        old = server.connect_http()
        assert old.ask("GET", "/livez").status == 200
        first = serial_number(server)
        (own / "server.crt").unlink()
        certificates.make(own)
        server.hang_up("read the certificates anew")
        assert serial_number(server) != first
        assert old.ask("GET", "/livez").status == 200
        stopped.set()
        for thread in threads:
            thread.join()
        assert len(counts) == 3
        assert old.ask("GET", "/v1/keys/n").body == b"%d" % sum(counts)
        old.close()


def serial_number(server: TlsServer) -> object:
    with server.raw_http() as client:
        certificate = client.getpeercert()
        assert certificate is not None
        return certificate["serialNumber"]


def test_a_thousand_handshakes_that_never_end_leave_others_alone(tls: TlsServer) -> None:
    with contextlib.ExitStack() as silent:
        for number in range(1100):
            client = silent.enter_context(socket.create_connection(("127.0.0.1", tls.http_port), TIMEOUT_SECONDS))
            if number % 2:
                client.sendall(b"\x16\x03\x01\x02\x00\x01")
        for _ in range(10):
            other = tls.connect_http()
            assert other.ask("PUT", "/v1/keys/k", b"v").status in (201, 204)
            other.close()
        page = tls.connect_http()
        text = page.ask("GET", "/metrics").body.decode()
        page.close()
    assert 'keystead_tls_failed_handshakes_total{reason="crowded"}' in text


def test_a_client_that_goes_away_at_any_moment_is_forgotten(tls: TlsServer) -> None:
    for sent in (b"", b"GET /v1/keys/k HTTP/1.1\r\nHo", b"PUT /v1/keys/k HTTP/1.1\r\nContent-Length: 10\r\n\r\nx"):
        for politely in (True, False):
            client = tls.raw_http()
            client.sendall(sent)
            if politely:
                with contextlib.suppress(OSError):
                    client.unwrap()
            client.close()
    other = tls.connect_http()
    assert other.ask("GET", "/livez").status == 200
    other.close()
    assert "Traceback" not in tls.server.log.read_text()


def test_a_stop_does_not_wait_for_clients_that_send_no_goodbye(tls: TlsServer) -> None:
    clients = [tls.connect_http() for _ in range(5)]
    assert [client.ask("GET", "/livez").status for client in clients] == [200] * 5
    assert tls.server.stop() == 0
    for client in clients:
        client.close()
