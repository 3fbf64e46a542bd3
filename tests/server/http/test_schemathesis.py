"""The OpenAPI document against the server, by schemathesis: no 5xx, and no answer that is not documented.

What it draws is the same in every run. The change feed is left out: its answer has no end (see test_changes).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from schema_checks import found_by_schemathesis
from servers import HttpServer, running, start_keystead_http

NO_FEED = ("--exclude-path", "/v1/changes")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HttpServer]:
    """Of its own: who is asked at random might be asked to stop."""
    with running(start_keystead_http(tmp_path / "data")) as started:
        yield started


def test_every_answer_is_documented(server: HttpServer, tmp_path: Path) -> None:
    assert found_by_schemathesis(server, tmp_path, *NO_FEED) == ""


def test_every_answer_to_a_restricted_user_is_documented(server: HttpServer, tmp_path: Path) -> None:
    redis = server.connect()
    redis.call("ACL", "SETUSER", "ada", "on", ">secret", "+@read", "~a*")
    redis.call("ACL", "SETUSER", "default", "resetpass", ">master")
    redis.close()
    # Logins at random would have everybody at this address wait.
    options = (*NO_FEED, "--auth", "ada:secret", "--exclude-path", "/v1/session")
    assert found_by_schemathesis(server, tmp_path, *options) == ""
