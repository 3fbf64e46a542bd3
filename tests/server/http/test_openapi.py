"""The OpenAPI document: complete, valid, and every example in it does what it says. The page that shows it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from http_client import HttpConnection

if TYPE_CHECKING:
    from wire import SocketConnection

METHODS = ("get", "head", "put", "post", "delete")
LEAN = [
    "/v1/session",
    "/v1/keys",
    "/v1/keys/{key}",
    "/v1/batch",
    "/v1/increment/{key}",
    "/v1/commands",
    "/v1/import",
    "/v1/memory",
    "/v1/reference",
    "/v1/statistics",
    "/v1/verify",
    "/v1/backups",
    "/livez",
    "/readyz",
    "/metrics",
]

PLAIN = ("application/octet-stream", "application/x-ndjson", "text/plain")


@pytest.fixture
def document(http: HttpConnection) -> dict[str, Any]:
    found: dict[str, Any] = http.ask("GET", "/openapi.json").json
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, item[method]) for path, item in document["paths"].items() for method in METHODS if method in item
    ]


def test_every_route_is_described(document: dict[str, Any]) -> None:
    assert [path for path in LEAN if path not in document["paths"]] == []
    for path, method, operation in operations(document):
        assert operation["summary"], (path, method)
        assert operation["operationId"], (path, method)
        assert set(operation["tags"]) <= {tag["name"] for tag in document["tags"]}
        assert operation["responses"], (path, method)
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def check(part: Any) -> None:
        if isinstance(part, dict):
            reference = part.get("$ref")
            if reference is not None:
                target: Any = document
                for step in reference.removeprefix("#/").split("/"):
                    target = target[step]
            for value in part.values():
                check(value)
        elif isinstance(part, list):
            for value in part:
                check(value)

    check(document)


def test_every_problem_has_the_type_of_problems(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400 and "upstash" not in operation["tags"]:
                assert list(response["content"]) == ["application/problem+json"], (path, method, status)


def filled_in(path: str, operation: dict[str, Any]) -> str:
    """The path with the examples of its parameters."""
    query = []
    for parameter in operation.get("parameters", ()):
        if "example" in parameter and parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", str(parameter["example"]))
        elif "example" in parameter and parameter["in"] == "query":
            query.append(f"{parameter['name']}={parameter['example']}")
    return path + ("?" + "&".join(query) if query else "")


def place_for_backups(http: HttpConnection) -> str:
    """The one that this server has, when nothing is under way there."""
    while (told := http.ask("GET", "/v1/backups").json)["running"]:
        time.sleep(0.02)
    place: str = told["places"][0]["place"]
    return place


def test_every_example_runs(document: dict[str, Any], http: HttpConnection, redis_door: SocketConnection) -> None:
    ran = 0
    for path, method, operation in operations(document):
        if path == "/v1/changes":
            continue  # it never ends; see test_changes
        redis_door.call("FLUSHALL")
        if method in ("get", "head", "delete"):
            http.ask("PUT", "/v1/keys/greeting", b"hello")
            http.ask("PUT", "/v1/keys/k", b"v")
        if path == "/v1/restore/{key}":
            http.ask("PUT", "/v1/keys/greeting", b"hello")
            http.ask("DELETE", "/v1/keys/greeting")
        target = filled_in(path, operation)
        if path == "/v1/changes/{sequence}/undo":
            http.ask("PUT", "/v1/keys/greeting", b"hello")
            changes = http.ask("GET", "/v1/history/greeting?count=1").json["changes"]
            target = path.format(sequence=changes[0]["sequence"])
        body: Any = None
        for content_type, content in operation.get("requestBody", {}).get("content", {}).items():
            examples = [content["example"]] if "example" in content else []
            examples += [example["value"] for example in content.get("examples", {}).values()]
            for example in examples[:1]:
                body = example.encode() if content_type in PLAIN else example
        if path.startswith("/v1/backups") and method == "post":
            body = {"place": place_for_backups(http)}
        answer = http.ask(method.upper(), target, body)
        assert str(answer.status) in operation["responses"], (path, method, answer)
        assert answer.status < 300, (path, method, answer)
        ran += 1
    assert ran >= 14


def test_the_page_needs_nothing_from_elsewhere(http: HttpConnection) -> None:
    page = http.ask("GET", "/docs")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert b"://" not in page.body
    for name, content_type in [
        ("swagger-ui.css", "text/css"),
        ("swagger-ui-bundle.js", "javascript"),
        ("start.js", "javascript"),
    ]:
        file = http.ask("GET", f"/docs/{name}")
        assert file.status == 200
        assert content_type in file.headers["content-type"]
    assert http.ask("GET", "/docs/../app.py").status == 404
    assert http.ask("GET", "/docs/nothing").status == 404
