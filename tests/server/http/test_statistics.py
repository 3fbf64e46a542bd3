"""How the server does, by the second, and the table of commands."""

from __future__ import annotations

import time

from http_client import HttpConnection
from keystead.commands.catalogue import REGISTRY
from keystead.config.parameters import parameters
from keystead.server.samples import Sample


def test_seconds_are_told_column_by_column(http: HttpConnection) -> None:
    deadline_s = time.monotonic() + 30
    while len(http.ask("GET", "/v1/statistics").json["samples"]["time_ms"]) < 2:
        assert time.monotonic() < deadline_s
        http.ask("PUT", "/v1/keys/k", b"v")
        time.sleep(0.05)
    said = http.ask("GET", "/v1/statistics").json
    assert list(said["samples"]) == list(Sample._fields)
    assert len({len(column) for column in said["samples"].values()}) == 1
    assert said["now"] == {name: column[-1] for name, column in said["samples"].items()}
    assert any(said["samples"]["operations_per_s"])
    assert any(said["samples"]["fsync_p99_ms"])
    assert said["samples"]["time_ms"] == sorted(said["samples"]["time_ms"])


def test_a_page_asks_only_for_what_is_new(http: HttpConnection) -> None:
    newest = http.ask("GET", "/v1/statistics").json["now"]
    newest_ms = newest["time_ms"] if newest else 0
    again = http.ask("GET", f"/v1/statistics?since={newest_ms}").json["samples"]["time_ms"]
    assert all(time_ms > newest_ms for time_ms in again)
    assert len(again) <= 2
    assert http.ask("GET", "/v1/statistics?since=x").status == 400


def test_every_command_is_in_the_reference(http: HttpConnection) -> None:
    commands = http.ask("GET", "/v1/reference").json["commands"]
    told = {command["name"]: command for command in commands}
    assert len(told) == len(commands)
    assert {name.split()[0].lower().encode() for name in told} == set(REGISTRY)
    assert told["SET"]["syntax"].startswith("SET key value [")
    assert "write" in told["SET"]["flags"]
    assert told["SET"]["keys"][0]["begin"] == 1
    assert told["CLIENT"]["container"]
    assert told["CLIENT KILL"]["group"] == "connection"
    assert told["MULTI"]["connection_state"]
    assert not told["GET"]["connection_state"]


def test_every_setting_is_in_the_reference_with_whether_it_may_change(http: HttpConnection) -> None:
    settings = {setting["name"]: setting for setting in http.ask("GET", "/v1/reference").json["settings"]}
    assert set(settings) == set(parameters())
    assert settings["maxmemory"]["reloadable"]
    assert not settings["port"]["reloadable"]
    assert settings["requirepass"]["secret"]
    assert not settings["maxmemory"]["secret"]
