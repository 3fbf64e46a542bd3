"""The feed of changes and the charts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    import redis
    from console_pages import NewPage

LASTS_S = 8


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


def test_changes_that_no_frame_has_room_for_are_counted(new_page: NewPage, client: redis.Redis) -> None:
    page = new_page("#/db0/live")
    expect(page.get_by_text("Nothing has changed since")).to_be_visible()
    page.evaluate("() => { window.held = []; window.requestAnimationFrame = (draw) => held.push(draw); }")
    pipeline = client.pipeline(transaction=False)
    for number in range(2000):
        pipeline.set(f"dropped:{number}", "x")
    pipeline.execute()
    page.wait_for_timeout(1000)
    page.evaluate("setInterval(() => held.splice(0).forEach((draw) => draw(performance.now())), 50)")
    expect(page.get_by_text(re.compile("2,000 changes seen, [1-9][0-9,]* dropped ones not shown"))).to_be_visible()


FRAMES = """
    window.framesMs = [];
    let last = performance.now();
    const tick = (now) => { framesMs.push(now - last); last = now; requestAnimationFrame(tick); };
    requestAnimationFrame(tick);
"""


def test_a_thousand_changes_a_second_are_all_told_and_the_frames_measured(
    new_page: NewPage, client: redis.Redis, record_property: Callable[[str, object], None]
) -> None:
    page = new_page("#/db0/live")
    expect(page.get_by_text("Nothing has changed since")).to_be_visible()
    page.evaluate(FRAMES)
    began_s = time.monotonic()
    for slot in range(LASTS_S * 50):
        pipeline = client.pipeline(transaction=False)
        for number in range(20):
            pipeline.set(f"smooth:{slot % 10}:{number}", slot)
        pipeline.execute()
        page.wait_for_timeout(max(0.0, began_s + slot / 50 - time.monotonic()) * 1000)
    took_s = time.monotonic() - began_s
    expect(page.get_by_text(f"{LASTS_S * 1000:,} changes seen")).to_be_visible()
    frames = sorted(page.evaluate("framesMs"))
    record_property("changes_per_s", LASTS_S * 1000 / took_s)
    for share in (0.5, 0.95, 0.99, 1.0):
        record_property(f"frame_p{share * 100:.0f}_ms", frames[int(share * (len(frames) - 1))])
    record_property("frames", len(frames))
    record_property("said", page.get_by_text("changes seen").inner_text())
    assert page.get_by_role("list", name="Changes, newest first").get_by_role("listitem").count() <= 100


def test_the_charts_say_their_figures_in_words(new_page: NewPage) -> None:
    page = new_page("#/db0/live")
    for title in ("Operations a second", "Hit rate", "Memory", "Connections", "Time of an fsync", "Not yet on disk"):
        expect(page.get_by_role("img", name=re.compile(f"^{title}: "))).to_be_visible()
    expect(page.get_by_role("img", name=re.compile(r"^Connections: \d+"))).to_be_visible()
