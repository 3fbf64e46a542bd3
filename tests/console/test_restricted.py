"""A user who may read some of the keys: no positions, no exact totals, and yet every way through what he may read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import redis
from console_pages import log_in
from playwright.sync_api import Page, expect

from servers import HttpServer, running, start_keystead_http

if TYPE_CHECKING:
    from console_pages import NewPage

PASSWORD = "correct horse battery staple"
READABLE = 9_000
"""More than the pages that the list keeps."""
SECRET = 11_000
"""More than a page of the server looks at: the first one has nothing to show."""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """open:00000 … for the reader, behind secret ones."""
    with running(start_keystead_http(tmp_path_factory.mktemp("restricted") / "data")) as server:
        with redis.Redis(port=server.port) as client:
            client.mset({f"open:{number:05d}": "x" for number in range(READABLE)})
            client.mset({f"a-secret-{number:05d}": "x" for number in range(SECRET)})
            client.execute_command("ACL", "SETUSER", "reader", "on", f">{PASSWORD}", "~open:*", "+@read", "+info")
            client.execute_command("ACL", "SETUSER", "default", "on", "resetpass", f">{PASSWORD}")
        yield server


@pytest.fixture
def page(new_page: NewPage, guarded: HttpServer) -> Page:
    page = new_page(at=guarded)
    log_in(page, "reader", PASSWORD)
    return page


def test_the_list_goes_to_the_end_and_back_to_what_was_let_go(page: Page) -> None:
    page.get_by_role("button", name="List", exact=True).click()
    grid = page.get_by_role("grid", name="Keys")
    first, last = (grid.get_by_role("row", name=re.compile(f"open:{number:05d}")) for number in (0, READABLE - 1))
    expect(first).to_be_visible()
    grid.focus()
    status = page.get_by_role("status").filter(has_text="keys")
    while "so far" in status.inner_text():
        page.keyboard.press("End")  # the list grows by a page, and its end is another row
        page.wait_for_timeout(10)
    page.keyboard.press("End")
    expect(last).to_be_visible()
    expect(status).to_contain_text(f"{READABLE:,} keys")
    with page.expect_response(re.compile("/v1/keys")):
        page.keyboard.press("Home")
    expect(first).to_be_visible()
    grid.evaluate("(list) => { list.scrollTop = (list.scrollHeight - list.clientHeight) / 2; }")
    expect(grid.get_by_role("row", name=re.compile(f"open:0{READABLE // 2 // 1000}5"))).not_to_have_count(0)
    expect(page.get_by_text("secret")).to_have_count(0)


def test_the_tree_counts_what_may_be_read(page: Page) -> None:
    folder = page.get_by_role("treeitem", name=re.compile("^open:, 9,000"))
    expect(folder).to_be_visible()
    folder.click()
    expect(page.get_by_role("treeitem", name="00000", exact=True)).to_be_visible()
    expect(page.get_by_text("secret")).to_have_count(0)


def test_a_moment_of_the_past_is_a_list_and_says_why(page: Page) -> None:
    page.get_by_role("button", name="Show the keys at an earlier moment").click()
    dialog = page.get_by_role("dialog", name="Show the keys at a moment")
    dialog.get_by_label("Moment").fill("now")
    dialog.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_text("You may not read every key, so they are shown as a list")).to_be_visible()
    expect(page.get_by_role("treeitem", name="open:00000")).to_be_visible()
    expect(page.get_by_text("secret")).to_have_count(0)
