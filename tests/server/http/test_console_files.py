"""The console's files: what they are served as, and what a browser is told to refuse."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import keystead
from http_client import HttpConnection
from servers import running, start_keystead_http

BROWSER = {"Accept": "text/html,application/xhtml+xml"}
FOLDER = Path(keystead.__file__).parent / "server" / "console"
FILES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file())
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def test_a_browser_is_shown_the_page(http: HttpConnection) -> None:
    page = http.ask("GET", "/", headers=BROWSER)
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.body == (FOLDER / "index.html").read_bytes()
    assert http.ask("HEAD", "/", headers=BROWSER).headers["content-length"] == str(len(page.body))


def test_the_page_may_run_and_load_nothing_from_elsewhere(http: HttpConnection) -> None:
    headers = http.ask("GET", "/", headers=BROWSER).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")


def test_the_root_is_still_the_dialect_of_upstash_for_programs(http: HttpConnection) -> None:
    assert http.ask("POST", "/", ["SET", "k", "v"]).json == {"result": "OK"}
    assert http.ask("GET", "/", Accept="*/*").status == 406
    assert http.ask("PUT", "/").status == 405


@pytest.mark.parametrize("name", FILES)
def test_every_file_of_the_package_is_served_as_what_it_is(http: HttpConnection, name: str) -> None:
    answer = http.ask("GET", f"/console/{name}")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(TYPES[Path(name).suffix])
    assert answer.body == (FOLDER / name).read_bytes()


def test_a_file_that_the_browser_has_is_not_sent_again(http: HttpConnection) -> None:
    first = http.ask("GET", "/console/index.html")
    again = http.ask("GET", "/console/index.html", If_None_Match=first.headers["etag"])
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert "no-store" not in first.headers["cache-control"]


def test_files_are_compressed_for_who_can_take_it(http: HttpConnection) -> None:
    plain = http.ask("GET", "/console/index.html", Accept_Encoding="identity, gzip;q=0")
    assert "content-encoding" not in plain.headers
    short = http.ask("GET", "/console/index.html", Accept_Encoding="gzip, br")
    assert short.headers.get("content-encoding") == "gzip"
    assert gzip.decompress(short.body) == plain.body
    assert len(short.body) < len(plain.body)


@pytest.mark.parametrize("name", ["", "nothing.js", "../app.py", "%2e%2e/app.py", "..%2fapp.py", "/etc/passwd", "js"])
def test_nothing_else_is_served(http: HttpConnection, name: str) -> None:
    assert http.ask("GET", f"/console/{name}").status == 404


def test_a_name_that_is_not_ours_is_not_shown_the_page(http: HttpConnection) -> None:
    assert http.ask("GET", "/", headers=BROWSER | {"Host": "evil.example"}).status == 421
    assert http.ask("GET", "/console/index.html", Host="evil.example").status == 421


def test_the_page_comes_before_the_login(tmp_path: Path) -> None:
    with running(start_keystead_http(tmp_path / "data", "--requirepass", "master")) as server:
        http = HttpConnection(server.http_address)
        assert http.ask("GET", "/", headers=BROWSER).status == 200
        assert http.ask("GET", "/console/index.html").status == 200
        assert http.ask("GET", "/v1/keys").status == 401
        http.close()
