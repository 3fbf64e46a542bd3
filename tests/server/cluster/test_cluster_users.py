"""Users of a front door: its own, whatever the nodes know; and TLS to its clients."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as redis_py

from clusters import Cluster
from front_doors import start_front_door
from http_client import HttpConnection
from keystead.cli import main
from server import certificates
from servers import HttpServer, free_port, running

READER = {"Authorization": "Basic cmVhZGVyOnJlYWRlci1wYXNz"}  # reader:reader-pass
APP = {"Authorization": "Basic YXBwOmFwcC1wYXNz"}  # app:app-pass


@pytest.fixture(scope="module")
def guarded(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """A front door with users, kept in a file."""
    directory = tmp_path_factory.mktemp("guarded") / "door"
    options = ("--requirepass", "master")
    with running(start_front_door(directory, cluster.addresses, *options)) as server:
        master = redis_py.Redis(port=server.port, password="master")
        master.flushall()
        master.execute_command("ACL", "SETUSER", "reader", "on", ">reader-pass", "~app:*", "+@read", "+@connection")
        master.execute_command("ACL", "SETUSER", "app", "on", ">app-pass", "~app:*", "+@read", "+@write", "+scan")
        master.close()
        yield server


@pytest.fixture
def guarded_http(guarded: HttpServer) -> Iterator[HttpConnection]:
    connection = HttpConnection(guarded.http_address)
    yield connection
    connection.close()


def test_nobody_gets_in_without_logging_in(guarded: HttpServer, guarded_http: HttpConnection) -> None:
    for method, target in (("GET", "/v1/keys/k"), ("GET", "/v1/cluster"), ("GET", "/metrics"), ("GET", "/v1/keys")):
        assert guarded_http.ask(method, target).status == 401
    assert guarded_http.ask("GET", "/readyz").status == 200
    assert guarded_http.ask("GET", "/", headers={"Accept": "text/html"}).status == 200
    client = guarded.connect()
    assert client.call("GET", "k").value.startswith(b"NOAUTH")
    assert client.call("AUTH", "reader", "wrong").value.startswith(b"WRONGPASS")
    client.close()


def test_a_user_does_what_he_may_and_nothing_else(guarded_http: HttpConnection) -> None:
    assert guarded_http.ask("PUT", "/v1/keys/app:1", b"v", headers=APP).status == 201
    assert guarded_http.ask("PUT", "/v1/keys/other", b"v", headers=APP).status == 403
    assert guarded_http.ask("GET", "/v1/keys/app:1", headers=READER).body == b"v"
    for method, target, body in (
        ("PUT", "/v1/keys/app:1", b"w"),
        ("DELETE", "/v1/keys/app:1", None),
        ("GET", "/v1/keys/other", None),
        ("POST", "/v1/increment/app:n", None),
        ("POST", "/v1/import", b'{"key":"app:2","value":"v"}'),
        ("POST", "/v1/batch", {"operations": [{"op": "set", "key": "app:1", "value": "w"}]}),
        ("POST", "/v1/commands", ["FLUSHALL"]),
        ("GET", "/v1/cluster", None),
    ):
        refused = guarded_http.ask(method, target, body, headers=READER)
        assert refused.status == 403, (method, target)
    assert guarded_http.ask("PUT", "/v1/keys/app:1", b"w", headers={**READER, "If-Match": "*"}).status == 403
    condition = {**READER, "If-Match": '"17c1a0f4b3f7a5e2"'}
    assert guarded_http.ask("PUT", "/v1/keys/app:1", b"w", headers=condition).status in (403, 412)
    assert guarded_http.ask("GET", "/v1/keys/app:1", headers=READER).body == b"v"


def test_a_batch_of_which_one_step_is_forbidden_does_nothing(guarded_http: HttpConnection) -> None:
    refused = guarded_http.ask(
        "POST",
        "/v1/batch",
        {
            "operations": [
                {"op": "set", "key": "app:{x}", "value": "1"},
                {"op": "set", "key": "other:{x}", "value": "1"},
            ]
        },
        headers=APP,
    )
    assert (refused.status, refused.json["operation"]) == (403, 1)
    assert guarded_http.ask("GET", "/v1/keys/app:%7Bx%7D", headers=APP).status == 404


def test_a_listing_and_an_export_have_what_the_user_may_read(guarded: HttpServer, guarded_http: HttpConnection) -> None:
    master = redis_py.Redis(port=guarded.port, password="master")
    for name in ("app:a", "app:b", "secret:c"):
        master.set(name, "v")
    master.close()
    listed = guarded_http.ask("GET", "/v1/keys?limit=1000&include=value", headers=APP).json
    names = {item["name"] for item in listed["items"]}
    assert {"app:a", "app:b"} <= names
    assert "secret:c" not in names
    exported = guarded_http.ask("GET", "/v1/export", headers=APP).body
    assert b"app:a" in exported
    assert b"secret" not in exported


def test_users_survive_a_restart_and_are_those_that_the_command_line_makes(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "door"
    assert (
        main(["user", "add", "ada", "--role", "read", "--dir", str(directory), "--password-file", _file(tmp_path)]) == 0
    )
    capsys.readouterr()
    for _ in range(2):
        with running(start_front_door(directory, cluster.addresses)) as door:
            client = redis_py.Redis(port=door.port, username="ada", password="ada-pass")
            assert client.get("no-such-key") is None
            with pytest.raises(redis_py.exceptions.NoPermissionError):
                client.set("k", "v")
            client.close()


def test_a_directory_is_made_when_there_are_users_to_keep_and_not_before(cluster: Cluster, tmp_path: Path) -> None:
    directory = tmp_path / "kept"
    options = ("--aclfile", str(directory / "users.acl"))
    with running(start_front_door(tmp_path / "door", cluster.addresses, *options)) as door:
        assert not directory.exists()
        client = redis_py.Redis(port=door.port)
        client.execute_command("ACL", "SETUSER", "ada", "on", ">ada-pass", "+@read", "~*")
        client.close()
    assert "ada" in (directory / "users.acl").read_text()


def _file(folder: Path) -> str:
    path = folder / "password"
    path.write_text("ada-pass\n")
    return str(path)


def test_clients_are_served_over_tls_in_both_protocols(cluster: Cluster, tmp_path: Path) -> None:
    folder = certificates.make(tmp_path / "certificates", "ada")
    port, http_port = free_port(), free_port()
    options = ("--tls-port", str(port), "--http-tls-port", str(http_port))
    files = ("--tls-cert-file", str(folder / "server.crt"), "--tls-key-file", str(folder / "server.key"))
    with running(start_front_door(tmp_path / "door", cluster.addresses, *options, *files)):
        client = redis_py.Redis("localhost", port, ssl=True, ssl_ca_certs=str(folder / "ca.crt"))
        assert client.set("{tls}k", "v")
        context = ssl.create_default_context(cafile=folder / "ca.crt")
        http = HttpConnection(("localhost", http_port), context=context)
        assert http.ask("GET", "/v1/keys/%7Btls%7Dk").body == b"v"
        assert http.ask("PUT", "/v1/keys/%7Btls%7Dk", b"w").status == 204
        client.close()
        http.close()


def test_a_login_of_a_browser_says_that_a_cluster_is_behind(guarded_http: HttpConnection) -> None:
    said = guarded_http.ask("POST", "/v1/session", {"user": "reader", "password": "reader-pass"})
    assert (said.status, said.json["mode"], said.json["may_write"]) == (200, "cluster", False)
    cookie = {"Cookie": said.headers["set-cookie"].partition(";")[0]}
    assert guarded_http.ask("GET", "/v1/keys/app:1", headers=cookie).status in (200, 404)
