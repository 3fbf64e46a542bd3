"""Every key of a prefix at once: what is deleted is what was counted, or nothing."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

import pytest

from http_client import HttpConnection
from servers import HttpServer

if TYPE_CHECKING:
    from wire import SocketConnection


@pytest.fixture
def filled(http: HttpConnection, redis_door: SocketConnection) -> HttpConnection:
    redis_door.call("MSET", "user:1", "a", "user:2", "b", "user;", "c", "user", "d", b"user:\xff", "e")
    return http


def names(http: HttpConnection) -> list[object]:
    return [item["name"] for item in http.ask("GET", "/v1/keys").json["items"]]


def test_every_key_of_a_prefix_is_deleted_and_no_other(filled: HttpConnection) -> None:
    answer = filled.ask("DELETE", "/v1/keys?prefix=user:&expect=3")
    assert (answer.status, answer.json["deleted"]) == (200, 3)
    assert names(filled) == ["user", "user;"]


def test_nothing_is_deleted_when_there_are_more_or_fewer_than_expected(filled: HttpConnection) -> None:
    answer = filled.ask("DELETE", "/v1/keys?prefix=user:&expect=2")
    assert (answer.status, answer.json["keys"]) == (409, 3)
    assert len(names(filled)) == 5


def test_it_is_one_transaction(filled: HttpConnection, redis_door: SocketConnection) -> None:
    def committed() -> float:
        page = filled.ask("GET", "/metrics").body.decode()
        return float(page.split("\nkeystead_commit_transactions_sum ")[1].split()[0])

    before = committed()
    redis_door.call("WATCH", "user:1")
    filled.ask("DELETE", "/v1/keys?prefix=user")
    assert committed() == before + 1
    redis_door.call("MULTI")
    redis_door.call("PING")
    assert redis_door.call("EXEC").value is None


def test_many_keys_go_at_once_and_can_come_back(filled: HttpConnection, redis_door: SocketConnection) -> None:
    for start in range(0, 5000, 500):
        redis_door.call("MSET", *[word for i in range(start, start + 500) for word in (f"many:{i}", "v" * 50)])
    answer = filled.ask("DELETE", "/v1/keys?prefix=many:&expect=5000")
    assert answer.json["deleted"] == 5000
    while filled.ask("GET", "/v1/keys").status == 503:
        time.sleep(0.01)  # the index takes them in
    assert len(names(filled)) == 5
    redis_door.call("KS.UNDO", answer.json["sequence"])
    assert redis_door.call("DBSIZE").value == 5005


def test_without_a_prefix_all_must_be_meant(filled: HttpConnection) -> None:
    for query in ("", "?prefix=", "?all=false", "?all=yes", "?all=true&prefix=user:", "?prefix=user:&expect=-1"):
        assert filled.ask("DELETE", f"/v1/keys{query}").status == 400
    assert len(names(filled)) == 5
    assert filled.ask("DELETE", "/v1/keys?all=true&expect=5").json["deleted"] == 5
    assert names(filled) == []


def test_only_the_named_database_is_touched(filled: HttpConnection) -> None:
    assert filled.ask("DELETE", "/v1/keys?prefix=user:&db=3").json == {"deleted": 0, "sequence": None}
    assert len(names(filled)) == 5


def test_pages_of_other_sites_delete_nothing(filled: HttpConnection) -> None:
    assert filled.ask("DELETE", "/v1/keys?prefix=user:", Sec_Fetch_Site="cross-site").status == 403
    assert len(names(filled)) == 5


def test_while_clients_are_paused_nothing_is_counted(filled: HttpConnection, redis_door: SocketConnection) -> None:
    redis_door.call("CLIENT", "PAUSE", 60_000, "WRITE")
    answer = filled.ask("DELETE", "/v1/keys?prefix=user:")
    redis_door.call("CLIENT", "UNPAUSE")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert len(names(filled)) == 5


@pytest.mark.parametrize(
    ("rules", "status", "left"),
    [
        ("+@read ~*", 403, 5),
        ("+@read +del ~user:*", 200, 2),
        ("+@read +del ~user:1", 200, 4),
        ("+@read +del %R~user:* ~user:1", 403, 5),
        ("+@read +set ~*", 403, 5),
        ("+del ~*", 200, 5),
    ],
)
def test_a_user_deletes_what_he_may(
    filled: HttpConnection,
    redis_door: SocketConnection,
    http_server: HttpServer,
    rules: str,
    status: int,
    left: int,
) -> None:
    redis_door.call("ACL", "SETUSER", "ada", "reset", "on", ">secret", *rules.split())
    ada = HttpConnection(
        http_server.http_address, {"Authorization": "Basic " + base64.b64encode(b"ada:secret").decode()}
    )
    answer = ada.ask("DELETE", "/v1/keys?prefix=user:")
    ada.close()
    redis_door.call("ACL", "DELUSER", "ada")
    assert answer.status == status
    assert len(names(filled)) == left
