"""POST /v1/increment/{key}."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from http_client import HttpConnection
    from wire import SocketConnection

PATH = "/v1/increment/"


def test_a_number_grows_from_nothing(http: HttpConnection) -> None:
    said = [http.ask("POST", PATH + "n" + by).json for by in ("", "?by=5", "?by=-7", "?by=0.5", "?by=1e3")]
    assert said == [{"value": 1}, {"value": 6}, {"value": -1}, {"value": -0.5}, {"value": 999.5}]


def test_large_numbers_and_long_fractions_are_told_digit_by_digit(http: HttpConnection) -> None:
    assert http.ask("POST", PATH + "n?by=9223372036854775807").body == b'{"value":9223372036854775807}'
    assert http.ask("POST", PATH + "f?by=0.10000000000000001").body == b'{"value":0.10000000000000001}'


@pytest.mark.parametrize(
    ("target", "key"),
    [("a/b%2fc", b"a/b/c"), ("%ff", b"\xff"), ("?key=_w", b"\xff"), ("", b""), ("v1/batch", b"v1/batch")],
)
def test_the_key_is_the_rest_of_the_raw_path_or_in_base64url(
    http: HttpConnection, redis_door: SocketConnection, target: str, key: bytes
) -> None:
    assert http.ask("POST", PATH + target).json == {"value": 1}
    assert redis_door.call("GET", key).value == b"1"


def test_the_time_to_live_is_given_to_a_key_that_has_none(http: HttpConnection, redis_door: SocketConnection) -> None:
    for ttl in (100, 900):
        http.ask("POST", PATH + f"n?ttl={ttl}")
    assert redis_door.call("TTL", "n").value in (99, 100)


def test_the_database_is_a_parameter(http: HttpConnection, redis_door: SocketConnection) -> None:
    http.ask("POST", PATH + "n?db=2")
    assert redis_door.call("EXISTS", "n").value == 0


@pytest.mark.parametrize(
    ("target", "status", "says"),
    [
        ("text", 400, "not an integer"),
        ("n?by=x", 400, "not a valid float"),
        ("n?by=", 400, "not a valid float"),
        ("n?by=nan", 400, "not a valid float"),
        ("n?by=99999999999999999999", 400, "not an integer"),
        ("n?ttl=0", 400, "seconds"),
        ("n?ttl=keep", 400, "seconds"),
        ("n?buy=1", 400, "Did you mean 'by'"),
        ("n?by=1&by=2", 400, "more than once"),
        ("n%f", 400, "percent sign"),
        ("n?db=16", 400, "0 to 15"),
    ],
)
def test_mistakes_are_told(http: HttpConnection, target: str, status: int, says: str) -> None:
    http.ask("PUT", "/v1/keys/text", b"abc")
    answer = http.ask("POST", PATH + target)
    assert answer.status == status
    assert says in answer.json["detail"]


def test_other_methods_are_not_allowed(http: HttpConnection) -> None:
    answer = http.ask("GET", PATH + "n")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
