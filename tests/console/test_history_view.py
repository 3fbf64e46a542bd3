"""The past in the page: a key through time, all keys at a moment, undo, and the recycle bin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import Page, expect

if TYPE_CHECKING:
    import redis
    from console_pages import NewPage


def with_history(new_page: NewPage, client: redis.Redis, key: str) -> Page:
    for value in ("first", "second", "third"):
        client.set(key, value)
    page = new_page(f"#/db0/keys/{key}")
    page.get_by_role("button", name="History").click()
    return page


def test_a_slider_goes_over_the_changes_of_a_key(new_page: NewPage, client: redis.Redis) -> None:
    page = with_history(new_page, client, "past:slider")
    difference = page.get_by_role("region", name="What this change did")
    expect(difference).to_contain_text("second")
    expect(difference).to_contain_text("third")
    page.get_by_role("slider", name="Change").press("ArrowLeft")
    expect(difference).to_contain_text("first")
    expect(difference).not_to_contain_text("third")
    expect(page.get_by_role("list", name="Changes, newest first").get_by_role("listitem")).to_have_count(3)


def test_older_changes_of_a_key_come_on_demand(new_page: NewPage, client: redis.Redis) -> None:
    for number in range(130):
        client.set("past:long", number)
    page = new_page("#/db0/keys/past:long")
    page.get_by_role("button", name="History").click()
    changes = page.get_by_role("list", name="Changes, newest first").get_by_role("listitem")
    expect(changes).to_have_count(100)
    page.get_by_role("button", name="Older ones").click()
    expect(changes).to_have_count(130)
    expect(page.get_by_role("button", name="Older ones")).to_have_count(0)


def test_a_value_of_the_past_is_restored(new_page: NewPage, client: redis.Redis) -> None:
    page = with_history(new_page, client, "past:restored")
    page.get_by_role("slider", name="Change").press("Home")
    page.get_by_role("button", name="Restore this value").click()
    expect(page.get_by_role("region", name="Value as text")).to_have_text("first")
    assert client.get("past:restored") == b"first"


def test_a_change_is_undone(new_page: NewPage, client: redis.Redis) -> None:
    page = with_history(new_page, client, "past:undone")
    page.get_by_role("button", name="Undo this change").click()
    expect(page.get_by_text("Undone: 1 key as before.")).to_be_visible()
    assert client.get("past:undone") == b"second"


def test_the_key_and_all_keys_are_shown_as_they_were(new_page: NewPage, client: redis.Redis) -> None:
    page = with_history(new_page, client, "past:shown")
    client.set("past:later", "x")
    page.get_by_role("slider", name="Change").press("Home")
    page.get_by_role("link", name="Show the key at this moment").click()
    expect(page.get_by_role("region", name="Value as text")).to_have_text("first")
    expect(page.get_by_role("status").filter(has_text="As it was: transaction")).to_be_visible()
    expect(page.get_by_role("button", name="Edit")).to_have_count(0)
    page.get_by_role("searchbox", name="Search keys by prefix").fill("past:s")
    expect(page.get_by_role("treeitem", name=re.compile("shown"))).to_be_visible()
    page.get_by_role("searchbox", name="Search keys by prefix").fill("past:")
    expect(page.get_by_role("treeitem", name=re.compile("later"))).to_have_count(0)
    page.get_by_role("button", name="Back to now").click()
    expect(page.get_by_role("treeitem", name=re.compile("later"))).to_be_visible()


def test_the_keys_of_a_moment_are_a_tree_with_exact_counts(new_page: NewPage, client: redis.Redis) -> None:
    client.mset({f"then:{letter}:{number}": "x" for letter in "ab" for number in range(600)})
    moment = int(client.info("history")["history_last_sequence"])
    for number in range(599):
        client.delete(f"then:a:{number}")
    page = new_page(f"#/db0/keys?prefix=then:&at={moment}")
    expect(page.get_by_role("status").filter(has_text="1,200 keys beginning with then:")).to_be_visible()
    page.get_by_role("treeitem", name="a:, 600 keys").click()
    expect(page.get_by_role("treeitem", name="0", exact=True)).to_be_visible()
    page.get_by_role("tree").focus()
    page.keyboard.press("End")  # where the second page of the folder is asked for
    expect(page.get_by_text("More are loading…")).to_have_count(0)
    page.keyboard.press("End")
    expect(page.get_by_role("treeitem", name="99", exact=True)).to_be_visible()
    expect(page.get_by_role("treeitem", name="b:, 600 keys")).to_be_visible()
    page.get_by_role("button", name="Back to now").click()
    expect(page.get_by_role("treeitem", name="a:, 1 key")).to_be_visible()


def test_a_deleted_key_is_found_in_the_recycle_bin_and_restored(new_page: NewPage, client: redis.Redis) -> None:
    client.set("past:binned", "precious")
    client.delete("past:binned")
    page = new_page("#/db0/deleted")
    page.get_by_role("button", name="Restore past:binned").click()
    expect(page.get_by_text("past:binned is back.")).to_be_visible()
    assert client.get("past:binned") == b"precious"


def test_a_bulk_delete_is_undone_as_a_whole(new_page: NewPage, client: redis.Redis) -> None:
    client.mset({f"past:bulk:{number}": "x" for number in range(30)})
    page = new_page("#/db0/keys?prefix=past:bulk")
    folder = page.get_by_role("treeitem", name="bulk:, 30 keys")
    folder.hover()
    folder.get_by_role("button", name="Delete the 30 keys").click()
    dialog = page.get_by_role("dialog", name="Delete 30 keys?")
    dialog.get_by_label("Type 30 to confirm").last.fill("30")
    dialog.get_by_role("button", name="Delete 30 keys").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone: 30 keys as before.")).to_be_visible()
    assert len(client.keys("past:bulk:*")) == 30
