"""Who may ask for what over HTTP: hosts, other sites' pages, users, passwords, tokens, those who guess."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from http_client import HttpConnection
from servers import HttpServer, running, start_keystead_http

if TYPE_CHECKING:
    from wire import SocketConnection

KEY = "/v1/keys/k"


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


# --- hosts and sites --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:1", "127.9.9.9", "[::1]:7380", "localhost."])
def test_names_of_this_machine_are_served(http: HttpConnection, host: str) -> None:
    assert http.ask("PUT", KEY, b"v", Host=host).status == 201


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.1.2.3", ""])
def test_a_name_that_is_not_ours_is_refused_before_anything_is_done(http: HttpConnection, host: str) -> None:
    assert http.ask("PUT", KEY, b"v", Host=host).status == 421
    assert http.ask("GET", "/v1/keys/" + "k").status == 404


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_probes_may_ask_by_any_address(http: HttpConnection, path: str) -> None:
    assert http.ask("GET", path, Host="10.1.2.3:7380").status == 200


FOREIGN = [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}]
FOREIGN += [{"Origin": "null"}, {"Origin": "http://localhost:1"}]
WRITES = [
    ("PUT", KEY, b"v"),
    ("DELETE", KEY, None),
    ("POST", "/v1/batch", {"operations": [{"op": "set", "key": "k", "value": "v"}]}),
    ("POST", "/v1/increment/k", None),
    ("POST", "/v1/commands", ["SET", "k", "v"]),
    ("POST", "/", ["SET", "k", "v"]),
    ("POST", "/pipeline", [["SET", "k", "v"]]),
    ("GET", "/set/k/v", None),
    ("GET", "/SeT/k/v", None),
    ("GET", "/del/k", None),
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize(
    ("method", "target", "body"), WRITES, ids=[f"{method} {target}" for method, target, _ in WRITES]
)
def test_pages_of_other_sites_change_nothing(
    http: HttpConnection, headers: dict[str, str], method: str, target: str, body: object
) -> None:
    answer = http.ask(method, target, body, headers)
    assert answer.status == 403
    assert http.ask("GET", KEY).status == 404


def test_pages_of_this_server_and_programs_may_write(http_server: HttpServer, http: HttpConnection) -> None:
    own = f"http://127.0.0.1:{http_server.http_address[1]}"
    assert http.ask("PUT", KEY, b"v", {"Origin": own, "Sec-Fetch-Site": "same-origin"}).status == 201
    assert http.ask("PUT", KEY, b"v", {"Sec-Fetch-Site": "none"}).status == 204
    assert http.ask("GET", KEY, None, {"Sec-Fetch-Site": "cross-site"}).status == 200


# --- users ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """A server that asks for a password, with a user who may read some keys, and allows another host and site."""
    directory: Path = tmp_path_factory.mktemp("closed") / "data"
    options = ("--requirepass", "master", "--http-allowed-hosts", "db.example")
    with running(start_keystead_http(directory, *options, "--http-allowed-origins", "https://app.example")) as server:
        redis = server.connect()
        redis.call("AUTH", "master")
        redis.call("ACL", "SETUSER", "ada", "on", ">secret", "+@read", "~public:*")
        redis.call("SET", "public:1", "one")
        redis.call("SET", "private", "two")
        redis.close()
        yield server


@pytest.fixture
def visitor(closed: HttpServer) -> Iterator[HttpConnection]:
    connection = HttpConnection(closed.http_address)
    yield connection
    connection.close()


@pytest.fixture
def master(closed: HttpServer) -> Iterator[SocketConnection]:
    connection = closed.connect()
    connection.call("AUTH", "master")
    yield connection
    connection.close()


@pytest.mark.parametrize("target", [KEY, "/v1/keys", "/metrics", "/openapi.json", "/docs", "/get/k"])
def test_who_has_not_logged_in_is_asked_to(visitor: HttpConnection, target: str) -> None:
    answer = visitor.ask("GET", target)
    assert answer.status == 401
    assert "Basic" in answer.headers["www-authenticate"]
    assert "Bearer" in answer.headers["www-authenticate"]


def test_probes_are_answered_without_login(visitor: HttpConnection) -> None:
    assert [visitor.ask("GET", path).status for path in ("/livez", "/readyz")] == [200, 200]


def test_a_user_may_what_a_user_may(visitor: HttpConnection) -> None:
    ada = basic("ada", "secret")
    assert visitor.ask("GET", "/v1/keys/public:1", None, ada).body == b"one"
    for method, target, body in [("GET", "/v1/keys/private", None), ("PUT", "/v1/keys/public:1", b"x")]:
        answer = visitor.ask(method, target, body, ada)
        assert (answer.status, answer.json["redis_error"].split()[0]) == (403, "NOPERM")
    assert visitor.ask("POST", "/v1/commands", ["ACL", "WHOAMI"], basic("", "master")).json == {"reply": "default"}


def test_each_request_says_anew_who_asks(visitor: HttpConnection) -> None:
    assert visitor.ask("GET", "/v1/keys/private", None, basic("default", "master")).status == 200
    assert visitor.ask("GET", "/v1/keys/private", None, basic("ada", "secret")).status == 403
    assert visitor.ask("GET", "/v1/keys/private").status == 401


def test_a_token_is_as_good_as_a_password(visitor: HttpConnection, closed: HttpServer, tmp_path: Path) -> None:
    from cli.stores import keystead

    assert tmp_path.exists()
    made = keystead("user", "token", "ada", "--dir", str(closed.directory))
    token = made.output.split()[-1]
    bearer = {"Authorization": f"Bearer {token}"}
    for _ in range(100):  # the server takes the change a moment later
        if visitor.ask("GET", "/v1/keys/public:1", None, bearer).status == 200:
            break
    assert visitor.ask("GET", "/v1/keys/private", None, bearer).status == 403


@pytest.mark.parametrize(
    ("authorization", "says"),
    [
        ("Basic ***", "not base64"),
        ("Digest x", "Basic and Bearer"),
        ("Basic", "wrong"),
        (basic("ada", "guess")["Authorization"], "wrong"),
        (basic("nobody", "secret")["Authorization"], "wrong"),
        ("Bearer guess", "wrong"),
    ],
)
def test_wrong_credentials_are_refused(closed: HttpServer, authorization: str, says: str) -> None:
    visitor = HttpConnection(closed.http_address)
    answer = visitor.ask("GET", KEY, None, {"Authorization": authorization})
    visitor.close()
    assert answer.status == 401
    assert says in answer.json["detail"]


def test_another_host_and_another_site_may_be_allowed(visitor: HttpConnection) -> None:
    headers = basic("default", "master") | {"Host": "db.example:80", "Origin": "https://app.example"}
    assert visitor.ask("PUT", "/v1/keys/x", b"v", headers | {"Sec-Fetch-Site": "cross-site"}).status in (201, 204)


def test_changes_carry_the_user_who_made_them(visitor: HttpConnection, master: SocketConnection) -> None:
    assert visitor.ask("PUT", "/v1/keys/x", b"v", basic("default", "master")).status in (201, 204)
    clients = master.call("CLIENT", "LIST").value.decode()
    assert "user=default" in clients


def test_a_deleted_user_is_out_at_once(visitor: HttpConnection, master: SocketConnection, closed: HttpServer) -> None:
    master.call("ACL", "SETUSER", "eve", "on", ">pw", "+@read", "~*")
    assert visitor.ask("GET", "/v1/keys/private", None, basic("eve", "pw")).status == 200
    master.call("ACL", "DELUSER", "eve")
    again = HttpConnection(closed.http_address)
    assert again.ask("GET", "/v1/keys/private", None, basic("eve", "pw")).status == 401
    again.close()


def test_who_guesses_has_to_wait(tmp_path: Path) -> None:
    with running(start_keystead_http(tmp_path / "data", "--requirepass", "master")) as server:
        connection = HttpConnection(server.http_address)
        seen = [connection.ask("GET", KEY, None, basic("default", f"guess{i}")).status for i in range(12)]
        assert seen[:10] == [401] * 10
        waiting = connection.ask("GET", KEY, None, basic("default", "master"))
        assert waiting.status == 429
        assert int(waiting.headers["retry-after"]) > 0
        connection.close()
