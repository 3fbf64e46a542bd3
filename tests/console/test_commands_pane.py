"""The command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

if TYPE_CHECKING:
    import redis
    from console_pages import NewPage


@pytest.fixture
def pane(new_page: NewPage) -> Page:
    page = new_page("#/db0/commands")
    with page.expect_response("**/v1/reference"):
        page.reload()
    return page


def typed(page: Page, line: str) -> None:
    page.get_by_role("combobox", name="Command").press_sequentially(line)


def run(page: Page, line: str) -> None:
    typed(page, line)
    page.keyboard.press("Enter")


def test_a_command_runs_and_its_reply_is_shown(pane: Page) -> None:
    run(pane, 'SET cli:1 "two words\\x00"')
    expect(pane.get_by_role("log")).to_contain_text("OK")
    run(pane, "GET cli:1")
    expect(pane.get_by_role("log")).to_contain_text('"two words\\x00"')


def test_replies_of_all_shapes_are_written(pane: Page) -> None:
    run(pane, "MGET value:text nothing")
    expect(pane.get_by_role("log")).to_contain_text("2) (nil)")
    run(pane, "STRLEN value:text")
    expect(pane.get_by_role("log")).to_contain_text("(integer) 22")


def test_an_error_says_what_the_server_said(pane: Page) -> None:
    run(pane, "INCR value:text")
    expect(pane.get_by_role("log")).to_contain_text("ERR value is not an integer")


def test_names_are_completed_and_explained(pane: Page) -> None:
    typed(pane, "getra")
    expect(pane.get_by_role("option", name="GETRANGE")).to_be_visible()
    pane.keyboard.press("Tab")
    expect(pane.get_by_role("combobox", name="Command")).to_have_value("GETRANGE ")
    expect(pane.get_by_text("GETRANGE key start end")).to_be_visible()


def test_the_keys_of_a_write_are_shown_before_it_runs(pane: Page, client: redis.Redis) -> None:
    typed(pane, "MSET cli:a 1 cli:b 2")
    expect(pane.get_by_text("writes")).to_be_visible()
    expect(pane.get_by_text("cli:a", exact=True)).to_be_visible()
    expect(pane.get_by_text("cli:b", exact=True)).to_be_visible()
    assert client.exists("cli:a") == 0


def test_what_destroys_much_is_asked_about(pane: Page, client: redis.Redis) -> None:
    before = client.dbsize()
    run(pane, "FLUSHDB")
    dialog = pane.get_by_role("dialog", name="Run FLUSHDB?")
    dialog.get_by_role("button", name="Run").click()
    expect(dialog.get_by_role("alert")).to_have_text("Type FLUSHDB to confirm.")
    dialog.get_by_role("button", name="Cancel").click()
    assert client.dbsize() == before


def test_what_was_typed_comes_back(pane: Page) -> None:
    run(pane, "PING")
    expect(pane.get_by_role("log")).to_contain_text("PONG")
    pane.keyboard.press("ArrowUp")
    expect(pane.get_by_role("combobox", name="Command")).to_have_value("PING")


def test_a_write_leads_to_its_undo(pane: Page, client: redis.Redis) -> None:
    client.set("cli:undone", "before")
    run(pane, "SET cli:undone after")
    pane.get_by_role("link", name="undo it in History").click()
    pane.get_by_role("button", name="Undo transaction").first.click()
    expect(pane.get_by_text("Undone: 1 key as before.")).to_be_visible()
    assert client.get("cli:undone") == b"before"


def test_what_only_reads_has_no_undo(pane: Page) -> None:
    run(pane, "GET value:text")
    expect(pane.get_by_role("log")).to_contain_text("first line")
    expect(pane.get_by_role("link", name="undo it in History")).to_have_count(0)
