"""The feed of changes and the charts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    import redis
    from console_pages import NewPage


def test_changes_appear_as_they_are_made(new_page: NewPage, client: redis.Redis) -> None:
    page = new_page("#/db0/live")
    expect(page.get_by_text("Nothing has changed since")).to_be_visible()
    client.set("live:1", "x")
    row = page.get_by_role("list", name="Changes, newest first").get_by_role("listitem").first
    expect(row).to_contain_text("live:1")
    client.delete("live:1")
    expect(row).to_contain_text("delete")


def test_a_prefix_filters_the_feed(new_page: NewPage, client: redis.Redis) -> None:
    page = new_page("#/db0/live")
    prefix = page.get_by_role("searchbox", name="Only keys that begin with")
    prefix.fill("mine:")
    with page.expect_request(re.compile("/v1/changes")):
        prefix.press("Enter")
    expect(page.get_by_text("Nothing has changed since")).to_be_visible()
    client.set("others:1", "x")
    client.set("mine:1", "x")
    rows = page.get_by_role("list", name="Changes, newest first").get_by_role("listitem")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("mine:1")


def test_a_flood_of_changes_keeps_the_page_small_and_counts_all(new_page: NewPage, client: redis.Redis) -> None:
    page = new_page("#/db0/live")
    expect(page.get_by_text("Nothing has changed since")).to_be_visible()
    for _ in range(10):
        pipeline = client.pipeline(transaction=False)
        for number in range(1000):
            pipeline.set(f"flood:{number}", "x")
        pipeline.execute()
    expect(page.get_by_text("10,000 changes seen")).to_be_visible()
    assert page.get_by_role("list", name="Changes, newest first").get_by_role("listitem").count() <= 100


def test_the_charts_say_their_figures_in_words(new_page: NewPage) -> None:
    page = new_page("#/db0/live")
    for title in ("Operations a second", "Hit rate", "Memory", "Connections", "Time of an fsync", "Not yet on disk"):
        expect(page.get_by_role("img", name=re.compile(f"^{title}: "))).to_be_visible()
    expect(page.get_by_role("img", name=re.compile(r"^Connections: \d+"))).to_be_visible()
