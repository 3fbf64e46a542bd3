"""The OpenAPI document against the server, by schemathesis: no 5xx, and no answer that is not documented.

What it draws is the same in every run. The change feed is left out: its answer has no end (see test_changes).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers import HttpServer, running, start_keystead_http

CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_headers_conformance", "response_schema_conformance"),
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HttpServer]:
    """Of its own: who is asked at random might be asked to stop."""
    with running(start_keystead_http(tmp_path / "data")) as started:
        yield started


def found_by_schemathesis(server: HttpServer, directory: Path, *options: str) -> str:
    """What it complains of; "" when it is content."""
    host, port = server.http_address
    words = [str(Path(sys.executable).with_name("schemathesis")), "run", f"http://{host}:{port}/openapi.json"]
    words += ["--seed", "1", "--max-examples", "12", "--phases", "examples,coverage,fuzzing", "--no-color"]
    words += ["--exclude-path", "/v1/changes", "--checks", ",".join(CHECKS), "--continue-on-failure", *options]
    done = subprocess.run(words, cwd=directory, capture_output=True, text=True, timeout=100, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_every_answer_is_documented(server: HttpServer, tmp_path: Path) -> None:
    assert found_by_schemathesis(server, tmp_path) == ""


def test_every_answer_to_a_restricted_user_is_documented(server: HttpServer, tmp_path: Path) -> None:
    redis = server.connect()
    redis.call("ACL", "SETUSER", "ada", "on", ">secret", "+@read", "~a*")
    redis.call("ACL", "SETUSER", "default", "resetpass", ">master")
    redis.close()
    # Logins at random would have everybody at this address wait.
    options = ("--auth", "ada:secret", "--exclude-path", "/v1/session")
    assert found_by_schemathesis(server, tmp_path, *options) == ""
