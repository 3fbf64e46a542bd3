"""A real browser on a real server: Debian's Chromium, driven by Playwright, in front of `keystead serve`.

Whatever a test does, its pages must have written no error to the console, broken no rule of the page's policy and got
no answer 5xx; that is checked when it ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import redis
from console_pages import CHROMIUM, DESKTOP, NewPage, sandbox_options
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, sync_playwright

from console_store import fill
from servers import HttpServer, running, start_keystead_http

if TYPE_CHECKING:
    from pathlib import Path

UNEXPECTED = {500, 501, 502, 504, 505}
"""503 is expected: the index of the keys may still be built, and the page tries again."""


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium; scripts/system-packages installs it")
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Chromium without a window."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox_options())
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """A server with the keys of `console_store` and a place for backups, for a file of tests."""
    directory = tmp_path_factory.mktemp("console")
    with running(start_keystead_http(directory / "data", "--backup-places", str(directory / "backups"))) as server:
        with client_of(server) as client:
            fill(client)
        yield server


@pytest.fixture
def client(server: HttpServer) -> Iterator[redis.Redis]:
    """Another client of the server: the somebody else of the tests."""
    with client_of(server) as client:
        yield client


def client_of(server: HttpServer) -> redis.Redis:
    return redis.Redis(port=server.port)


@pytest.fixture
def new_page(browser: Browser, server: HttpServer) -> Iterator[NewPage]:
    """Opens a page of the console at a hash, in a context of its own; what it must not do is checked at the end."""
    contexts: list[Any] = []
    faults: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # A refusal that the console explains is no fault, but browsers log each answer from 400 on.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            faults.append(f"console: {message.text}")

    def open_page(place: str = "", *, at: HttpServer = server, **options: Any) -> Page:
        context = browser.new_context(**{"reduced_motion": "reduce", **DESKTOP, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", note)
        page.on("pageerror", lambda error: faults.append(f"exception: {error}"))
        page.on(
            "response", lambda answer: answer.status in UNEXPECTED and faults.append(f"{answer.status} {answer.url}")
        )
        page.goto(f"http://127.0.0.1:{at.http_port}/{place}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture
def page(new_page: NewPage) -> Page:
    """The console's first view, at desktop width."""
    return new_page()


@pytest.fixture(scope="session")
def shots() -> Path | None:
    """Where pictures for the documentation go, when they are wanted (SCREENSHOTS=docs/images)."""
    from pathlib import Path

    wanted = os.environ.get("SCREENSHOTS")
    return Path(wanted) if wanted else None
