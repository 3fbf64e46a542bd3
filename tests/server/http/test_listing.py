"""GET /v1/keys: pages, folders, positions, and what is shown of each key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from http_client import HttpConnection
from keystead.server.http.listing import MAX_SCANNED

if TYPE_CHECKING:
    from servers import HttpServer
    from wire import SocketConnection

KEYS = [b"a", b"app:1", b"app:2", b"app:x:1", b"app:x:2", b"app:y:1", b"b", b"\xff:1"]


@pytest.fixture
def filled(http: HttpConnection, redis_door: SocketConnection) -> HttpConnection:
    for key in KEYS:
        redis_door.call("SET", key, b"value of " + key)
    return http


def walked(http: HttpConnection, target: str) -> Iterator[dict[str, Any]]:
    """Every item, page by page."""
    path: str | None = target
    while path is not None:
        page = http.ask("GET", path).json
        yield from page["items"]
        path = page["next"]


def names(items: Iterator[dict[str, Any]]) -> list[Any]:
    return [item["name"] for item in items]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 9])
def test_pages_together_are_all_keys_in_order(filled: HttpConnection, limit: int) -> None:
    found = names(walked(filled, f"/v1/keys?limit={limit}"))
    assert found == ["a", "app:1", "app:2", "app:x:1", "app:x:2", "app:y:1", "b", {"base64": "/zox"}]
    assert names(walked(filled, f"/v1/keys?limit={limit}&offset=0")) == found
    assert filled.ask("GET", f"/v1/keys?limit={limit}").json["total"] == len(KEYS)


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_folders_have_exact_counts(filled: HttpConnection, limit: int) -> None:
    found = [(item["name"], item.get("keys")) for item in walked(filled, f"/v1/keys?delimiter=:&limit={limit}")]
    assert found == [("a", None), ("app:", 5), ("b", None), ({"base64": "/zo="}, 1)]
    inside = [(i["name"], i.get("keys")) for i in walked(filled, f"/v1/keys?delimiter=:&prefix=app:&limit={limit}")]
    assert inside == [("app:1", None), ("app:2", None), ("app:x:", 2), ("app:y:", 1)]


def test_a_prefix_may_be_any_bytes(filled: HttpConnection) -> None:
    assert names(walked(filled, "/v1/keys?prefix=%ff")) == [{"base64": "/zox"}]
    page = filled.ask("GET", "/v1/keys?prefix=app:x:&after=app:x:1").json
    assert (names(page["items"]), page["total"], page["next"]) == (["app:x:2"], 2, None)


def test_what_is_shown_of_a_key_is_asked_for(filled: HttpConnection, redis_door: SocketConnection) -> None:
    redis_door.call("PEXPIRE", "a", 100_000)
    item = filled.ask("GET", "/v1/keys?limit=1&include=value,type,ttl,size").json["items"][0]
    assert 98 < item.pop("ttl") <= 100
    assert item == {"name": "a", "value": "value of a", "type": "string", "size": 10}


def test_long_values_end_a_page_early(http: HttpConnection) -> None:
    for name in "abc":
        http.ask("PUT", f"/v1/keys/{name}", name.encode() * 700_000)
    page = http.ask("GET", "/v1/keys?include=value").json
    assert names(page["items"]) == ["a", "b"]
    assert names(walked(http, "/v1/keys?include=value")) == ["a", "b", "c"]


def test_expired_keys_are_not_shown(http: HttpConnection, redis_door: SocketConnection) -> None:
    redis_door.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    try:
        redis_door.call("SET", "here", "x")
        redis_door.call("SET", "gone", "x", "PX", "20")
        redis_door.call("DEBUG", "SLEEP", "0.04")  # its time is up after the last moment at which the server looked
        assert names(walked(http, "/v1/keys")) == ["here"]
    finally:
        redis_door.call("DEBUG", "SET-ACTIVE-EXPIRE", "1")


@pytest.mark.usefixtures("filled")
def test_a_user_is_shown_the_keys_that_he_may_read(redis_door: SocketConnection, http_server: HttpServer) -> None:
    redis_door.call("ACL", "SETUSER", "ada", "on", ">secret", "+@read", "~app:x*", "~b")
    headers = {"Authorization": "Basic YWRhOnNlY3JldA=="}
    ada = HttpConnection(http_server.http_address, headers)
    try:
        assert names(walked(ada, "/v1/keys?limit=2")) == ["app:x:1", "app:x:2", "b"]
        page = ada.ask("GET", "/v1/keys?delimiter=:").json
        assert page == {
            "items": [{"name": "app:", "folder": True, "keys": 2}, {"name": "b"}],
            "total": None,
            "next": None,
        }
        assert ada.ask("GET", "/v1/keys?offset=0").status == 403
        redis_door.call("ACL", "SETUSER", "ada", "-get")
        page = ada.ask("GET", "/v1/keys?include=value,size&limit=1").json
        assert page["items"] == [{"name": "app:x:1", "size": 16}]
        redis_door.call("ACL", "SETUSER", "ada", "-scan")
        refused = ada.ask("GET", "/v1/keys")
        assert (refused.status, refused.json["redis_error"].split()[0]) == (403, "NOPERM")
    finally:
        ada.close()
        redis_door.call("ACL", "DELUSER", "ada")


def test_a_folder_in_which_there_can_be_nothing_to_read_is_not_named(
    http: HttpConnection, redis_door: SocketConnection, http_server: HttpServer
) -> None:
    """However many keys are in it: more than a page looks at were told of as a folder of at least none."""
    http.ask("PUT", "/v1/keys/open:1", b"x")
    redis_door.call("MSET", *(part for number in range(MAX_SCANNED + 1) for part in (f"a-secret:{number}", "x")))
    redis_door.call("ACL", "SETUSER", "ada", "on", ">secret", "+@read", "~open:*")
    ada = HttpConnection(http_server.http_address, {"Authorization": "Basic YWRhOnNlY3JldA=="})
    try:
        items = list(walked(ada, "/v1/keys?delimiter=:"))
        assert items == [{"name": "open:", "folder": True, "keys": 1}]
    finally:
        ada.close()
        redis_door.call("ACL", "DELUSER", "ada")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("limit=0", "from 1 to 1000"),
        ("limit=1001", "from 1 to 1000"),
        ("limit=x", "from 1 to 1000"),
        ("limit=%d9%a1", "from 1 to 1000"),
        ("offset=-1", "from 0"),
        ("offset=0&after=a", "neither 'after' nor 'delimiter'"),
        ("offset=0&delimiter=:", "neither 'after' nor 'delimiter'"),
        ("delimiter=", "must not be empty"),
        ("include=values", "value, type, ttl, size"),
        ("prefx=a", "Did you mean 'prefix'"),
    ],
)
def test_mistakes_are_explained(http: HttpConnection, query: str, says: str) -> None:
    answer = http.ask("GET", f"/v1/keys?{query}")
    assert answer.status == 400
    assert says in answer.json["detail"]
