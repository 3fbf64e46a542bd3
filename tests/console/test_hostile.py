"""A key and a value that are markup, in every view that shows keys: they are text there, and nothing of them runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from console_store import HOSTILE_NAME, HOSTILE_VALUE

if TYPE_CHECKING:
    import redis
    from console_pages import NewPage

VIEWS = {
    "the list": "#/db0/keys?prefix=%3Cimg",
    "memory": "#/db0/memory",
    "history": "#/db0/history?prefix=%3Cimg",
    "differences": "#/db0/history/differences?from=0&prefix=%3Cimg",
    "deleted": "#/db0/deleted?prefix=%3Cimg",
    "clients": "#/db0/server/clients",
    "slow log": "#/db0/server/slow-log",
}


@pytest.mark.parametrize("view", VIEWS)
def test_hostile_names_are_text(new_page: NewPage, client: redis.Redis, view: str) -> None:
    client.client_setname("<b>hostile</b>")
    client.config_set("slowlog-log-slower-than", 0)
    client.set(HOSTILE_NAME, HOSTILE_VALUE)
    client.config_set("slowlog-log-slower-than", 10_000)
    if view == "deleted":
        client.delete(HOSTILE_NAME)
    page = new_page(VIEWS[view])
    shown = "<b>hostile</b>" if view == "clients" else HOSTILE_NAME
    expect(page.get_by_role("main")).to_contain_text(shown)
    assert page.locator("main img, main b, main script").count() == 0


def test_hostile_changes_are_text_in_the_feed(new_page: NewPage, client: redis.Redis) -> None:
    page = new_page("#/db0/live")
    expect(page.get_by_text("Nothing has changed since")).to_be_visible()
    client.set(HOSTILE_NAME, HOSTILE_VALUE)
    expect(page.get_by_role("list", name="Changes, newest first")).to_contain_text(HOSTILE_NAME)
    assert page.locator("main img, main script").count() == 0


def test_hostile_replies_are_text_in_the_pane(new_page: NewPage, client: redis.Redis) -> None:
    client.set(HOSTILE_NAME, HOSTILE_VALUE)
    page = new_page("#/db0/commands")
    page.get_by_role("combobox", name="Command").press_sequentially(f'GET "{HOSTILE_NAME}"')
    page.keyboard.press("Enter")
    expect(page.get_by_role("log")).to_contain_text("<script>alert(1)</script>")
    assert page.locator("main img, main script").count() == 0


def test_hostile_names_are_text_in_dialogs_and_notices(new_page: NewPage, client: redis.Redis) -> None:
    client.set(HOSTILE_NAME, HOSTILE_VALUE)
    page = new_page("#/db0/keys/%3Cimg%20src=x%20onerror=alert(1)%3E")
    page.get_by_role("button", name="Delete", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(HOSTILE_NAME)
    assert dialog.locator("img").count() == 0
    dialog.get_by_role("button", name="Delete").click()
    notice = page.get_by_role("status").filter(has_text="is deleted.")
    expect(notice).to_contain_text(HOSTILE_NAME)
    assert notice.locator("img").count() == 0
