"""Backups over HTTP: taken and verified by another process, at the places of the setting only, by who may."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.stores import keystead
from http_client import HttpConnection
from servers import HttpServer, running, start_keystead_http

BACKUPS = "/v1/backups"


@pytest.fixture
def places(tmp_path: Path) -> list[Path]:
    return [tmp_path / "first", tmp_path / "second"]


@pytest.fixture
def server(tmp_path: Path, places: list[Path]) -> Iterator[HttpServer]:
    """With something to back up, and two places for it."""
    setting = ",".join(map(str, places))
    with running(start_keystead_http(tmp_path / "data", "--backup-places", setting)) as started:
        redis = started.connect()
        redis.call("SET", "k", "x" * 100_000)
        redis.close()
        yield started


@pytest.fixture
def http(server: HttpServer) -> Iterator[HttpConnection]:
    connection = HttpConnection(server.http_address)
    yield connection
    connection.close()


def settled(http: HttpConnection) -> Any:
    """What is told when nothing is under way and every place was looked at."""
    deadline_s = time.monotonic() + 60
    while (said := http.ask("GET", BACKUPS).json)["running"] or said["looking"]:
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    return said


def done(http: HttpConnection, path: str, place: Path) -> Any:
    """The run that this begins, ended."""
    assert http.ask("POST", path, {"place": str(place)}).status == 202
    return settled(http)["last"]


def test_a_backup_is_taken_and_listed_with_its_size_and_age(http: HttpConnection, places: list[Path]) -> None:
    last = done(http, BACKUPS, places[0])
    assert (last["deed"], last["result"], last["reason"]) == ("take", "taken", "")
    assert last["copied_bytes"] > 100_000
    first, second = settled(http)["places"]
    assert (first["place"], first["may_take"]) == (str(places[0]), True)
    (snapshot,) = first["snapshots"]
    assert snapshot["id"] == last["snapshot"]
    assert first["stored_bytes"] == snapshot["bytes"] == last["copied_bytes"]
    assert last["began_ms"] <= snapshot["taken_ms"] <= last["ended_ms"]
    assert first["remembered"]["sequence"] == snapshot["sequence"]
    assert second["snapshots"] == []
    assert second["remembered"] is None


def test_what_was_taken_is_a_backup_like_any_other(http: HttpConnection, places: list[Path], tmp_path: Path) -> None:
    done(http, BACKUPS, places[0])
    restored = keystead("restore", "--from", str(places[0]), "--into", str(tmp_path / "again"))
    assert restored.status == 0
    with running(start_keystead_http(tmp_path / "again")) as again:
        connection = HttpConnection(again.http_address)
        assert connection.ask("GET", "/v1/keys/k").body == b"x" * 100_000
        connection.close()


def test_a_backup_is_verified(http: HttpConnection, places: list[Path]) -> None:
    taken = done(http, BACKUPS, places[0])
    last = done(http, f"{BACKUPS}/verify", places[0])
    assert (last["result"], last["snapshot"], last["damage"]) == ("sound", taken["snapshot"], [])
    assert settled(http)["places"][0]["verified"] == last


def test_damage_of_a_backup_is_told_with_its_file(http: HttpConnection, places: list[Path]) -> None:
    done(http, BACKUPS, places[0])
    largest = max(places[0].glob("objects/*"), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)
    last = done(http, f"{BACKUPS}/verify", places[0])
    assert last["result"] == "damaged"
    assert [largest.name in damage for damage in last["damage"]] == [True]


def test_no_other_path_is_written_or_read(http: HttpConnection, places: list[Path], tmp_path: Path) -> None:
    for elsewhere in (tmp_path / "elsewhere", places[0] / "below", places[0] / ".." / "elsewhere", "s3://bucket/x"):
        for path in (BACKUPS, f"{BACKUPS}/verify"):
            refused = http.ask("POST", path, {"place": str(elsewhere)})
            assert refused.status == 403
            assert "backup-places" in refused.json["detail"]
    assert not (tmp_path / "elsewhere").exists()
    assert not places[0].exists()


def test_the_places_cannot_be_changed_over_the_network(server: HttpServer) -> None:
    redis = server.connect()
    assert redis.call("CONFIG", "SET", "backup-places", "/elsewhere").kind == "-"
    redis.close()


def test_without_places_it_is_said_how_to_set_some(tmp_path: Path) -> None:
    with running(start_keystead_http(tmp_path / "plain")) as plain:
        connection = HttpConnection(plain.http_address)
        assert connection.ask("GET", BACKUPS).json["places"] == []
        refused = connection.ask("POST", BACKUPS, {"place": str(tmp_path / "x")})
        assert refused.status == 403
        assert "name some in the setting backup-places" in refused.json["detail"]
        connection.close()


def test_a_backup_that_was_taken_elsewhere_is_remembered(
    http: HttpConnection, server: HttpServer, tmp_path: Path
) -> None:
    assert keystead("backup", str(tmp_path / "elsewhere"), "--dir", str(server.directory)).status == 0
    told = settled(http)["places"][-1]
    assert (told["place"], told["may_take"]) == (str(tmp_path / "elsewhere"), False)
    assert told["remembered"]["sequence"] >= 1
    assert "snapshots" not in told


def test_a_backup_that_cannot_be_taken_says_why(http: HttpConnection, places: list[Path]) -> None:
    places[0].write_text("a file where a directory should be")
    last = done(http, BACKUPS, places[0])
    assert last["result"] == "failed"
    assert str(places[0]) in last["reason"]


def test_one_is_taken_at_a_time(http: HttpConnection, places: list[Path]) -> None:
    assert http.ask("POST", BACKUPS, {"place": str(places[0])}).status == 202
    assert http.ask("POST", BACKUPS, {"place": str(places[1])}).status == 409
    assert settled(http)["last"]["result"] == "taken"


def test_only_who_may_save_takes_one(server: HttpServer, places: list[Path]) -> None:
    redis = server.connect()
    redis.call("ACL", "SETUSER", "ada", "on", ">secret", "role:write", "~*")
    redis.close()
    header = {"Authorization": "Basic " + base64.b64encode(b"ada:secret").decode()}
    ada = HttpConnection(server.http_address, header)
    assert ada.ask("GET", BACKUPS).status == 403
    for path in (BACKUPS, f"{BACKUPS}/verify"):
        assert ada.ask("POST", path, {"place": str(places[0])}).status == 403
    ada.close()


def test_a_page_of_another_site_takes_none(http: HttpConnection, places: list[Path]) -> None:
    assert http.ask("POST", BACKUPS, {"place": str(places[0])}, Sec_Fetch_Site="cross-site").status == 403
