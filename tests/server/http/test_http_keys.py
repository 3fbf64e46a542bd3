"""/v1/keys/{key}: values byte for byte, lifetimes, conditions, and everything a request can get wrong."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from xxhash import xxh3_64_hexdigest

from http_client import HttpConnection

if TYPE_CHECKING:
    from servers import HttpServer
    from wire import SocketConnection

PATH = "/v1/keys/"


def tag(value: bytes) -> str:
    return f'"{xxh3_64_hexdigest(value)}"'


def test_a_value_comes_back_byte_for_byte(http: HttpConnection) -> None:
    value = bytes(range(256)) * 100
    stored = http.ask("PUT", PATH + "k", value)
    assert (stored.status, stored.headers["etag"], stored.body) == (201, tag(value), b"")
    read = http.ask("GET", PATH + "k")
    assert (read.status, read.body, read.headers["etag"]) == (200, value, tag(value))
    assert read.headers["content-type"] == "application/octet-stream"
    assert "keystead-ttl" not in read.headers
    assert http.ask("PUT", PATH + "k", b"other").status == 204


def test_head_tells_all_but_the_value(http: HttpConnection) -> None:
    http.ask("PUT", PATH + "k?ttl=100", b"value")
    head, read = http.ask("HEAD", PATH + "k"), http.ask("GET", PATH + "k")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "5")
    assert head.headers["etag"] == read.headers["etag"]
    assert 98 < float(head.headers["keystead-ttl"]) <= 100
    assert http.ask("HEAD", PATH + "absent").status == 404


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("a/b%2Fc//", b"a/b/c//"),
        ("%ff%00", b"\xff\0"),
        ("history", b"history"),
        ("%2e%2E/..", b"../.."),
        ("a+b", b"a+b"),
        ("?key=_w", b"\xff"),
        ("?key=YQ%3D%3D", b"a"),
        ("", b""),
        ("%E2%82%AC", "€".encode()),
    ],
)
def test_the_key_is_the_rest_of_the_raw_path_or_in_base64url(
    http: HttpConnection, redis_door: SocketConnection, target: str, key: bytes
) -> None:
    assert http.ask("PUT", PATH + target, b"v").status == 201
    assert redis_door.call("GET", key).value == b"v"
    assert http.ask("GET", PATH + target).body == b"v"
    assert http.ask("DELETE", PATH + target).status == 204


def test_a_missing_key_is_not_found_by_any_method_but_put(http: HttpConnection) -> None:
    for method in ("GET", "DELETE"):
        answer = http.ask(method, PATH + "absent")
        assert (answer.status, answer.json["detail"]) == (404, "There is no such key in this database.")
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_put_without_a_value_is_refused_unless_it_is_meant(http: HttpConnection) -> None:
    refused = http.ask("PUT", PATH + "k")
    assert refused.status == 400
    assert "?empty=true" in refused.json["detail"]
    assert http.ask("GET", PATH + "k").status == 404
    assert http.ask("PUT", PATH + "k?empty=true").status == 201
    assert http.ask("GET", PATH + "k").body == b""


def test_a_lifetime_is_given_kept_or_dropped(http: HttpConnection, redis_door: SocketConnection) -> None:
    http.ask("PUT", PATH + "k?ttl=100.5", b"1")
    assert 98_000 < redis_door.call("PTTL", "k").value <= 100_500
    http.ask("PUT", PATH + "k?ttl=keep", b"2")
    assert redis_door.call("PTTL", "k").value > 98_000
    http.ask("PUT", PATH + "k", b"3")
    assert redis_door.call("PTTL", "k").value == -1


def test_databases_are_apart(http: HttpConnection) -> None:
    http.ask("PUT", PATH + "k?db=3", b"three")
    assert http.ask("GET", PATH + "k").status == 404
    assert http.ask("GET", PATH + "k?db=3").body == b"three"


def test_a_value_of_another_type_says_so(http: HttpConnection, redis_door: SocketConnection) -> None:
    redis_door.call("SETRANGE", "patched", "3", "x")
    assert http.ask("GET", PATH + "patched").body == b"\0\0\0x"


# --- conditions -------------------------------------------------------------------------------------------------------


def test_create_only(http: HttpConnection) -> None:
    assert http.ask("PUT", PATH + "k", b"1", If_None_Match="*").status == 201
    assert http.ask("PUT", PATH + "k", b"2", If_None_Match="*").status == 412
    assert http.ask("GET", PATH + "k").body == b"1"


def test_replace_only_what_was_read(http: HttpConnection) -> None:
    assert http.ask("PUT", PATH + "k", b"1", If_Match="*").status == 412
    http.ask("PUT", PATH + "k", b"1")
    assert http.ask("PUT", PATH + "k", b"2", If_Match=tag(b"other")).status == 412
    assert http.ask("PUT", PATH + "k", b"2", If_Match=f"{tag(b'x')}, {tag(b'1')}").status == 204
    assert http.ask("PUT", PATH + "k", b"3", If_Match="W/" + tag(b"2")).status == 412
    assert http.ask("PUT", PATH + "k", b"3", If_Match="*").status == 204
    assert http.ask("PUT", PATH + "k", b"4", If_None_Match=tag(b"3")).status == 412
    assert http.ask("GET", PATH + "k").body == b"3"


def test_delete_only_what_was_read(http: HttpConnection) -> None:
    http.ask("PUT", PATH + "k", b"1")
    assert http.ask("DELETE", PATH + "k", If_Match=tag(b"2")).status == 412
    assert http.ask("DELETE", PATH + "k", If_Match=tag(b"1")).status == 204
    assert http.ask("DELETE", PATH + "k", If_Match=tag(b"1")).status == 404


def test_a_known_value_is_not_sent_again(http: HttpConnection) -> None:
    http.ask("PUT", PATH + "k", b"1")
    known = http.ask("GET", PATH + "k", If_None_Match=f'"x", W/{tag(b"1")}')
    assert (known.status, known.body, known.headers["etag"]) == (304, b"", tag(b"1"))
    assert http.ask("GET", PATH + "k", If_None_Match=tag(b"2")).status == 200
    assert http.ask("GET", PATH + "k", If_Match=tag(b"2")).status == 412
    assert http.ask("GET", PATH + "k", If_Match=tag(b"1")).status == 200


def test_of_many_who_change_what_they_read_each_change_counts(http_server: HttpServer, http: HttpConnection) -> None:
    http.ask("PUT", PATH + "n", b"0")

    def add(times: int) -> None:
        connection = HttpConnection(http_server.http_address)
        done = 0
        while done < times:
            read = connection.ask("GET", PATH + "n")
            value = b"%d" % (int(read.body) + 1)
            done += connection.ask("PUT", PATH + "n", value, If_Match=read.headers["etag"]).status == 204
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, [10] * 4))
    assert http.ask("GET", PATH + "n").body == b"40"


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "headers", "status", "says"),
    [
        ("PUT", "k?ttl=0", {}, 400, "seconds"),
        ("PUT", "k?ttl=-1", {}, 400, "seconds"),
        ("PUT", "k?ttl=1e3", {}, 400, "seconds"),
        ("PUT", "k?ttl=", {}, 400, "seconds"),
        ("PUT", "k?tll=5", {}, 400, "Did you mean 'ttl'"),
        ("PUT", "k?ttl=1&ttl=2", {}, 400, "more than once"),
        ("GET", "k?ttl=5", {}, 400, "no parameter 'ttl'"),
        ("GET", "k?db=16", {}, 400, "0 to 15"),
        ("GET", "k?db=x", {}, 400, "0 to 15"),
        ("GET", "%f", {}, 400, "percent sign"),
        ("GET", "k?key=YQ", {}, 400, "given twice"),
        ("GET", "?key=a!", {}, 400, "base64url"),
        ("PUT", "k", {"If-Match": "abc"}, 400, "in quotes"),
        ("PUT", "k", {"If-Match": '"a" "b"'}, 400, "in quotes"),
        ("PUT", "k", {"If-Match": ""}, 400, "in quotes"),
        ("PUT", "k", {"If-Match": "*", "If-None-Match": "*"}, 400, "not both"),
        ("DELETE", "k", {"If-None-Match": "*"}, 400, "makes no sense"),
        ("PUT", "k", {"Content-Encoding": "gzip"}, 415, "Content-Encoding"),
        ("POST", "k", {}, 405, "use DELETE, GET, HEAD, PUT"),
        ("PATCH", "k", {}, 405, "use DELETE, GET, HEAD, PUT"),
    ],
)
def test_a_mistake_is_answered_by_what_to_do(
    http: HttpConnection, method: str, target: str, headers: dict[str, str], status: int, says: str
) -> None:
    answer = http.ask(method, PATH + target, b"v" if method in ("PUT", "POST", "PATCH") else None, headers)
    assert answer.status == status
    assert answer.json["status"] == status
    assert says in answer.json["detail"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert http.ask("GET", PATH + "k").status == 404


def test_strict_headers_go_with_every_answer(http: HttpConnection) -> None:
    http.ask("PUT", PATH + "k", b"<script>")
    for target in (PATH + "k", PATH + "absent", "/livez", "/nowhere"):
        headers = http.ask("GET", target).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"


def test_a_value_that_was_compressed_says_so_to_who_takes_that(http: HttpConnection) -> None:
    inside = gzip.compress(b"inside")
    http.ask("PUT", "/v1/keys/k", inside)
    plain = http.ask("GET", "/v1/keys/k", Accept_Encoding="gzip")
    assert "content-encoding" not in plain.headers
    encoded = http.ask("GET", "/v1/keys/k?encoding=gzip", Accept_Encoding="br, gzip;q=0.5")
    assert (encoded.headers["content-encoding"], encoded.body) == ("gzip", inside)
    assert encoded.headers["etag"] == plain.headers["etag"]
    past = http.ask("GET", "/v1/keys/k?encoding=zstd&at=now", Accept_Encoding="zstd")
    assert (past.headers["content-encoding"], past.body) == ("zstd", inside)
    for taken in ("", "br", "gzip;q=0", "xgzip"):
        assert http.ask("GET", "/v1/keys/k?encoding=gzip", Accept_Encoding=taken).status == 406
    assert http.ask("GET", "/v1/keys/k?encoding=rot13").status == 400
