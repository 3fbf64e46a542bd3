"""The OpenAPI document of a server against the server itself, by schemathesis."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from servers import HttpServer

SERVER_ERRORS = "not_a_server_error"
CHECKS = (
    *("status_code_conformance", "content_type_conformance"),
    *("response_headers_conformance", "response_schema_conformance"),
)


def found_by_schemathesis(
    server: HttpServer, directory: Path, *options: str, checks: tuple[str, ...] = (SERVER_ERRORS, *CHECKS)
) -> str:
    """What it complains of; "" when it is content."""
    host, port = server.http_address
    words = [str(Path(sys.executable).with_name("schemathesis")), "run", f"http://{host}:{port}/openapi.json"]
    words += ["--seed", "1", "--max-examples", "12", "--phases", "examples,coverage,fuzzing", "--no-color"]
    words += ["--checks", ",".join(checks), "--continue-on-failure", *options]
    done = subprocess.run(words, cwd=directory, capture_output=True, text=True, timeout=100, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
