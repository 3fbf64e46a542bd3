"""What holds for every view: usable by everybody, at every width, in light and dark, and light to load."""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from console_pages import DESKTOP, PHONE, overhang, serious_obstacles, settled
from playwright.sync_api import Page, expect

import keystead
from http_client import HttpConnection

if TYPE_CHECKING:
    from console_pages import NewPage

    from servers import HttpServer

FILES = Path(keystead.__file__).parent / "server" / "console"
MOST_BYTES = 150_000
VIEWS = {
    "keys": "",
    "value": "#/db0/keys/config:app",
    "hex": "#/db0/keys/bin%FF%00key",
    "live": "#/db0/live",
    "commands": "#/db0/commands",
    "memory": "#/db0/memory",
    "history": "#/db0/history",
    "differences": "#/db0/history/differences?from=0",
    "deleted": "#/db0/deleted",
    "transfer": "#/db0/transfer",
    "overview": "#/db0/server",
    "clients": "#/db0/server/clients",
    "configuration": "#/db0/server/configuration",
    "log": "#/db0/server/log",
    "backups": "#/db0/server/backups",
}

PICTURED = (
    *("value-desktop-light", "value-desktop-dark", "live-desktop-light"),
    *("memory-desktop-light", "keys-phone-dark", "history-desktop-light"),
)
"""Those of docs/console.md."""


@pytest.fixture(scope="module", autouse=True)
def past(server: HttpServer) -> None:
    """Something that the views of the past and of now have to tell."""
    for name in ("shop", "billing", "shop"):
        with redis.Redis(port=server.port, client_name=name) as client:
            client.mset({"order:4711": f'{{"state": "{name}"}}', "order:4712": "new"})
            client.set("order:last", "4712", ex=86_400)
            client.delete("order:4712")
            for number in range(300):
                client.get(f"user:{number}:name")
    http = HttpConnection(server.http_address)
    (place,) = http.ask("GET", "/v1/backups").json["places"]
    assert http.ask("POST", "/v1/backups", {"place": place["place"]}).status == 202
    while http.ask("GET", "/v1/backups").json["running"]:
        time.sleep(0.02)
    http.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", ["desktop", "phone"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_has_no_serious_obstacle(
    new_page: NewPage, shots: Path | None, view: str, width: str, scheme: str
) -> None:
    page = new_page(VIEWS[view], color_scheme=scheme, bypass_csp=True, **(PHONE if width == "phone" else DESKTOP))
    settled(page)
    name = f"{view}-{width}-{scheme}"
    if shots and name in PICTURED:
        page.screenshot(path=shots / f"{name}.png")
    assert serious_obstacles(page) == []


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_fits_a_phone(new_page: NewPage, view: str) -> None:
    page = new_page(VIEWS[view], **PHONE)
    settled(page)
    assert overhang(page) <= 0


def test_a_phone_shows_the_keys_or_the_value(new_page: NewPage) -> None:
    page = new_page(**PHONE)
    page.get_by_role("treeitem", name="config:, 1 key").tap()
    page.get_by_role("treeitem", name="app").tap()
    expect(page.get_by_role("heading", name="config:app")).to_be_visible()
    expect(page.get_by_role("tree")).to_be_hidden()
    page.get_by_role("button", name="Back to the keys").tap()
    expect(page.get_by_role("tree")).to_be_visible()


def test_the_appearance_is_chosen_and_kept(page: Page) -> None:
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "auto")
    page.get_by_role("button", name="Appearance").click()
    page.get_by_role("button", name="Appearance").click()
    expect(root).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(root).to_have_attribute("data-theme", "dark")


def test_the_whole_page_is_at_most_150_kilobytes() -> None:
    files = [path for path in FILES.rglob("*") if path.suffix in (".html", ".css", ".js", ".svg")]
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) <= MOST_BYTES


def test_nothing_of_the_page_makes_markup_from_text_or_comes_from_elsewhere() -> None:
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://(?!www\.w3\.org/)"
    )
    found = [(path.name, match[0]) for path in FILES.rglob("*.js") for match in forbidden.finditer(path.read_text())]
    assert found == []


def test_the_first_paint_is_measured(new_page: NewPage, record_property: Callable[[str, object], None]) -> None:
    page = new_page()
    expect(page.get_by_role("tree")).to_be_visible()
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    record_property("first_contentful_paint_ms", painted)
    assert painted > 0


def test_only_one_module_asks_the_server() -> None:
    asking = re.compile(r"\bfetch\(|new EventSource|XMLHttpRequest|sendBeacon|WebSocket")
    assert {path.name for path in FILES.rglob("*.js") if asking.search(path.read_text())} == {"api.js"}


def test_the_policy_of_the_page_allows_no_inline_code(page: Page) -> None:
    other = page.context.new_page()  # what it writes to its console is what is looked for
    other.goto(page.url)
    with other.expect_console_message() as message:
        other.evaluate("document.body.append(Object.assign(document.createElement('style'), {textContent: 'p{}'}))")
    assert "Content Security Policy" in message.value.text
