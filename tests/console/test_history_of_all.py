"""The past of all keys in the page: who changed what, and what is not the same between two moments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import Locator, Page, expect

if TYPE_CHECKING:
    import redis
    from console_pages import NewPage


def transactions(page: Page) -> Locator:
    return (
        page.get_by_role("list", name="Transactions, newest first")
        .get_by_role("listitem")
        .filter(has=page.locator("strong"))
    )


def differences(page: Page) -> Locator:
    return page.get_by_role("list", name="Keys that are not the same").get_by_role("listitem")


def sequence_now(client: redis.Redis) -> int:
    return int(client.info("history")["history_last_sequence"])


def test_the_newest_transaction_is_told_first(new_page: NewPage, client: redis.Redis) -> None:
    client.set("who:older", "x")
    client.mset({"who:1": "one", "who:2": "two"})
    page = new_page("#/db0/history")
    newest = transactions(page).first
    expect(newest).to_contain_text("who:1")
    expect(newest).to_contain_text("who:2")
    expect(newest).to_contain_text("default from 127.0.0.1")
    expect(transactions(page).nth(1)).to_contain_text("who:older")


def test_transactions_are_filtered_by_prefix_and_author(new_page: NewPage, client: redis.Redis) -> None:
    client.execute_command("CLIENT", "SETNAME", "billing")
    client.set("filtered:by-billing", "x")
    client.execute_command("CLIENT", "SETNAME", "shop")
    client.set("filtered:by-shop", "x")
    client.set("other", "x")
    page = new_page("#/db0/history?prefix=filtered:")
    expect(transactions(page)).to_have_count(2)
    page.get_by_label("User or client").fill("billing")
    page.get_by_label("User or client").press("Enter")
    expect(transactions(page)).to_have_count(1)
    expect(transactions(page)).to_contain_text("filtered:by-billing")
    expect(page).to_have_url(re.compile("author=billing"))


def test_older_transactions_come_on_demand_up_to_the_first(new_page: NewPage, client: redis.Redis) -> None:
    for number in range(130):
        client.set("many:counter", number)
    page = new_page("#/db0/history?prefix=many:")
    expect(transactions(page).first).to_be_visible()
    shown = 0
    while page.get_by_role("button", name="Older ones").count():
        shown = transactions(page).count()
        page.get_by_role("button", name="Older ones").click()
        expect(page.get_by_role("status").filter(has_text="the newest first")).to_be_visible()
    expect(transactions(page)).to_have_count(130)
    assert shown < 130
    expect(page.get_by_text("that is all that is kept")).to_be_visible()


def test_transactions_are_told_up_to_a_moment(new_page: NewPage, client: redis.Redis) -> None:
    client.set("until:1", "x")
    moment = sequence_now(client)
    client.set("until:2", "x")
    page = new_page(f"#/db0/history?until={moment}")
    expect(transactions(page).first).to_contain_text("until:1")


def test_a_transaction_is_undone_and_done_again(new_page: NewPage, client: redis.Redis) -> None:
    client.set("undone:1", "before")
    client.mset({"undone:1": "after", "undone:2": "new"})
    page = new_page("#/db0/history?prefix=undone:")
    transactions(page).first.get_by_role("button", name="Undo transaction").click()
    expect(page.get_by_text("Undone: 2 keys as before.")).to_be_visible()
    expect(transactions(page)).to_have_count(3)
    assert client.mget("undone:1", "undone:2") == [b"before", None]
    page.get_by_role("button", name="Redo").click()
    expect(transactions(page)).to_have_count(4)
    assert client.mget("undone:1", "undone:2") == [b"after", b"new"]


def test_undoing_what_was_changed_since_asks_and_leaves_it_alone(new_page: NewPage, client: redis.Redis) -> None:
    client.mset({"since:1": "x", "since:2": "x"})
    sequence = sequence_now(client)
    client.set("since:2", "changed by somebody")
    page = new_page("#/db0/history?prefix=since:")
    page.get_by_role("button", name=f"Undo transaction {sequence}").click()
    dialog = page.get_by_role("dialog", name="Some of it was changed since")
    expect(dialog).to_contain_text("1 key was changed since")
    expect(dialog.get_by_role("listitem")).to_have_text("since:2")
    assert client.get("since:1") == b"x"
    dialog.get_by_role("button", name="Undo the rest").click()
    expect(page.get_by_text("Undone: 1 key as before; 1 key left alone.")).to_be_visible()
    assert client.mget("since:1", "since:2") == [None, b"changed by somebody"]


def test_what_is_not_the_same_between_two_moments_is_shown(new_page: NewPage, client: redis.Redis) -> None:
    client.mset({"diff:changed": "old", "diff:removed": "x", "diff:same": "x"})
    earlier = sequence_now(client)
    client.mset({"diff:changed": "new value", "diff:created": "x"})
    client.delete("diff:removed")
    page = new_page(f"#/db0/history/differences?from={earlier}&to=now&prefix=diff:")
    expect(page.get_by_role("status").filter(has_text="3 keys not the same")).to_be_visible()
    expect(differences(page)).to_contain_text(["changed", "created", "removed"])
    differences(page).first.locator("summary").click()
    difference = page.get_by_role("region", name="What is not the same of diff:changed")
    expect(difference).to_contain_text("old")
    expect(difference).to_contain_text("new value")


def test_an_earlier_value_is_restored_and_that_is_undone(new_page: NewPage, client: redis.Redis) -> None:
    client.set("earlier:key", "old")
    earlier = sequence_now(client)
    client.set("earlier:key", "new")
    page = new_page(f"#/db0/history/differences?from={earlier}&to=now&prefix=earlier:")
    differences(page).first.locator("summary").click()
    page.get_by_role("button", name="Restore the earlier value of earlier:key").click()
    expect(page.get_by_text("earlier:key has its earlier value again.")).to_be_visible()
    assert client.get("earlier:key") == b"old"
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone: 1 key as before.")).to_be_visible()
    assert client.get("earlier:key") == b"new"


def test_a_transaction_leads_to_what_it_changed(new_page: NewPage, client: redis.Redis) -> None:
    client.set("led:key", "x")
    page = new_page("#/db0/history?prefix=led:")
    transactions(page).first.get_by_role("link", name="What transaction").click()
    expect(differences(page)).to_have_count(1)
    expect(differences(page)).to_contain_text("led:key")


def test_a_moment_that_makes_no_sense_is_explained(new_page: NewPage) -> None:
    page = new_page("#/db0/history/differences?from=nonsense")
    expect(page.get_by_role("status")).to_contain_text("nonsense")
