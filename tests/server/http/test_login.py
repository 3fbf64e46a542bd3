"""Logging in by a cookie: who gets one, what it is good for, when it ends, and that no other site can use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from http_client import Answer, HttpConnection
from server.encrypted import TlsServer
from servers import HttpServer, running, start_keystead_http

if TYPE_CHECKING:
    from wire import SocketConnection

SESSION = "/v1/session"


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """A server on which everybody must log in; ada may read some keys only."""
    with running(start_keystead_http(tmp_path_factory.mktemp("login") / "data", "--requirepass", "master")) as server:
        yield server


@pytest.fixture
def master(closed: HttpServer) -> Iterator[SocketConnection]:
    connection = closed.connect()
    connection.call("AUTH", "master")
    connection.call("ACL", "SETUSER", "ada", "reset", "on", ">secret", "+@read", "~public:*")
    connection.call("SET", "public:1", "one")
    connection.call("SET", "private", "two")
    yield connection
    connection.close()


@pytest.fixture
def visitor(closed: HttpServer, master: SocketConnection) -> Iterator[HttpConnection]:
    assert master
    connection = HttpConnection(closed.http_address)
    yield connection
    connection.close()


def log_in(visitor: HttpConnection, user: str = "ada", password: str = "secret") -> Answer:
    return visitor.ask("POST", SESSION, {"user": user, "password": password})


def cookie_of(answer: Answer) -> dict[str, str]:
    """As a browser would send it back."""
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


def test_a_login_is_told_who_came_in_and_what_he_may_do(visitor: HttpConnection) -> None:
    answer = log_in(visitor)
    assert answer.status == 200
    ada = {
        "mode": "store",
        "user": "ada",
        "login_required": True,
        "may_write": False,
        "may_admin": False,
        "reads_all_keys": False,
    }
    assert answer.json == ada
    assert visitor.ask("GET", SESSION, headers=cookie_of(answer)).json == ada
    master = log_in(visitor, "default", "master")
    assert master.json == dict.fromkeys(("login_required", "may_write", "may_admin", "reads_all_keys"), True) | {
        "mode": "store",
        "user": "default",
    }


def test_what_a_user_may_follows_from_his_rules(visitor: HttpConnection, master: SocketConnection) -> None:
    told = []
    for rules in ("role:read ~*", "role:write ~a*", "role:write %R~*", "role:admin ~*", "+@all -shutdown ~*"):
        master.call("ACL", "SETUSER", "bob", "reset", "on", ">pw", *rules.split())
        said = log_in(visitor, "bob", "pw").json
        told.append((said["may_write"], said["may_admin"], said["reads_all_keys"]))
    assert told == [
        (False, False, True),
        (True, False, False),
        (False, False, False),
        (True, True, True),
        (True, False, True),
    ]


def test_nobody_is_logged_in_to_begin_with(visitor: HttpConnection, http: HttpConnection) -> None:
    said = visitor.ask("GET", SESSION)
    assert (said.status, said.json["user"], said.json["login_required"]) == (200, None, True)
    said = http.ask("GET", SESSION)
    assert (said.json["user"], said.json["login_required"], said.json["may_admin"]) == ("default", False, True)


def test_the_cookie_is_kept_from_scripts_and_other_sites(visitor: HttpConnection, closed: HttpServer) -> None:
    cookie = log_in(visitor).headers["set-cookie"]
    name, *attributes = cookie.split("; ")
    assert name.startswith(f"keystead-session-{closed.http_port}=")
    assert len(name.partition("=")[2]) == 43
    assert attributes == ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict"]


def test_the_cookie_lets_its_user_in_and_no_further(visitor: HttpConnection) -> None:
    cookie = cookie_of(log_in(visitor))
    assert visitor.ask("GET", "/v1/keys/public:1", headers=cookie).body == b"one"
    assert visitor.ask("GET", "/v1/keys/private", headers=cookie).status == 403
    assert visitor.ask("PUT", "/v1/keys/public:1", b"x", cookie).status == 403
    assert visitor.ask("POST", "/v1/commands", ["ACL", "WHOAMI"], cookie).status == 403
    assert visitor.ask("GET", "/get/public:1", headers=cookie).json == {"result": "one"}
    assert visitor.ask("GET", "/v1/keys/public:1").status == 401  # each request says anew who asks


def test_other_cookies_say_nothing(visitor: HttpConnection) -> None:
    cookie = cookie_of(log_in(visitor))["Cookie"]
    assert visitor.ask("GET", "/v1/keys/public:1", Cookie=f"a=b; {cookie}; c=d").status == 200
    assert visitor.ask("GET", "/v1/keys/public:1", Cookie="a=b; keystead-session-1=x").status == 401
    assert visitor.ask("GET", "/v1/keys/public:1", Cookie=cookie[:-1]).status == 401


@pytest.mark.parametrize(
    "foreign",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://127.0.0.1:1"}],
    ids=str,
)
@pytest.mark.parametrize("target", ["/v1/keys/public:1", "/v1/keys", SESSION, "/get/public:1", "/v1/changes", "/docs"])
def test_a_page_of_another_site_reads_nothing_by_the_cookie(
    visitor: HttpConnection, foreign: dict[str, str], target: str
) -> None:
    cookie = cookie_of(log_in(visitor))
    assert visitor.ask("GET", target, headers=cookie | foreign).status == 403


def test_a_page_of_another_site_logs_nobody_in_or_out(visitor: HttpConnection) -> None:
    cookie = cookie_of(log_in(visitor))
    foreign = {"Sec-Fetch-Site": "cross-site"}
    credentials = {"user": "ada", "password": "secret"}
    assert visitor.ask("POST", SESSION, credentials, foreign).status == 403
    assert visitor.ask("DELETE", SESSION, headers=cookie | foreign).status == 403
    assert visitor.ask("GET", SESSION, headers=cookie).json["user"] == "ada"


def test_a_name_that_is_not_ours_is_not_logged_in_to(visitor: HttpConnection) -> None:
    answer = visitor.ask("POST", SESSION, {"user": "ada", "password": "secret"}, Host="evil.example")
    assert answer.status == 421


def test_logging_out_ends_the_login(visitor: HttpConnection) -> None:
    cookie = cookie_of(log_in(visitor))
    out = visitor.ask("DELETE", SESSION, headers=cookie)
    assert (out.status, "Max-Age=0" in out.headers["set-cookie"]) == (204, True)
    assert visitor.ask("GET", "/v1/keys/public:1", headers=cookie).status == 401


def test_a_new_login_ends_the_one_before_it_in_that_browser(visitor: HttpConnection) -> None:
    first = cookie_of(log_in(visitor))
    second = cookie_of(visitor.ask("POST", SESSION, {"user": "ada", "password": "secret"}, first))
    assert visitor.ask("GET", "/v1/keys/public:1", headers=first).status == 401
    assert visitor.ask("GET", "/v1/keys/public:1", headers=second).status == 200


@pytest.mark.parametrize(
    "change",
    [("DELUSER", "ada"), ("SETUSER", "ada", "off"), ("SETUSER", "ada", "resetpass", ">other")],
    ids=" ".join,
)
def test_a_login_ends_when_its_user_could_not_log_in_any_more(
    visitor: HttpConnection, master: SocketConnection, change: tuple[str, ...]
) -> None:
    cookie = cookie_of(log_in(visitor))
    master.call("ACL", *change)
    assert visitor.ask("GET", "/v1/keys/public:1", headers=cookie).status == 401
    master.call("ACL", "SETUSER", "ada", "reset", "on", ">secret", "+@read", "~public:*")
    if change[0] == "DELUSER":  # another user of that name
        assert visitor.ask("GET", "/v1/keys/public:1", headers=cookie).status == 401


def test_a_further_password_and_other_rules_end_no_login(visitor: HttpConnection, master: SocketConnection) -> None:
    cookie = cookie_of(log_in(visitor))
    master.call("ACL", "SETUSER", "ada", ">another", "~private")
    assert visitor.ask("GET", "/v1/keys/private", headers=cookie).body == b"two"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"user": "ada", "password": "guess"}, 401),
        ({"user": "nobody", "password": "secret"}, 401),
        ({"password": "master"}, 200),
        ({"user": "ada"}, 400),
        ({"user": "ada", "password": "secret", "admin": True}, 400),
        (["ada", "secret"], 400),
    ],
    ids=str,
)
def test_only_the_right_password_lets_in(closed: HttpServer, body: object, status: int) -> None:
    visitor = HttpConnection(closed.http_address)
    answer = visitor.ask("POST", SESSION, body)
    assert (answer.status, "set-cookie" in answer.headers) == (status, status == 200)
    visitor.close()


def test_a_page_is_not_challenged_by_basic(visitor: HttpConnection) -> None:
    by_script = visitor.ask("GET", "/v1/keys", headers={"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"})
    assert (by_script.status, "Basic" in by_script.headers["www-authenticate"]) == (401, False)
    assert "Basic" in visitor.ask("GET", "/docs", headers={"Sec-Fetch-Mode": "navigate"}).headers["www-authenticate"]


def test_who_guesses_has_to_wait(tmp_path: Path) -> None:
    with running(start_keystead_http(tmp_path / "data", "--requirepass", "master")) as server:
        visitor = HttpConnection(server.http_address)
        seen = [visitor.ask("POST", SESSION, {"password": f"guess{n}"}).status for n in range(11)]
        assert seen == [401] * 10 + [429]
        assert visitor.ask("POST", SESSION, {"password": "master"}).status == 429
        visitor.close()


def test_the_cookie_crosses_the_network_encrypted_only_when_it_was_given_so(tls: TlsServer) -> None:
    connection = tls.connect_http()
    cookie = connection.ask("POST", SESSION, {"password": "any"}).headers["set-cookie"]
    connection.close()
    assert cookie.endswith("; Secure")
