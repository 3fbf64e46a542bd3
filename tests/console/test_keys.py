"""The tree and the list of keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import Page, Route, expect

from console_store import HOSTILE_NAME, SESSIONS, USERS

if TYPE_CHECKING:
    import redis
    from console_pages import NewPage


def test_the_tree_shows_folders_with_exact_counts(page: Page) -> None:
    tree = page.get_by_role("tree", name="Keys")
    expect(tree.get_by_role("treeitem", name=f"user:, {USERS:,} keys")).to_be_visible()
    expect(tree.get_by_role("treeitem", name=f"session:, {SESSIONS:,} keys")).to_be_visible()


def test_a_folder_opens_and_closes_by_the_keyboard(page: Page) -> None:
    tree = page.get_by_role("tree", name="Keys")
    folder = tree.get_by_role("treeitem", name="config:, 1 key")
    folder.click()
    expect(folder).to_have_attribute("aria-expanded", "true")
    tree.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="config:app")).to_be_visible()
    tree.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(folder).to_have_attribute("aria-expanded", "false")


def test_a_folder_goes_on_where_its_first_page_ends(page: Page) -> None:
    tree = page.get_by_role("tree", name="Keys")
    tree.get_by_role("treeitem", name="user:, 3,000 keys").click()
    expect(tree.get_by_role("treeitem", name="0:, 1 key", exact=True)).to_be_visible()
    tree.focus()
    for page_number in range(1, 6):  # of 500: the list grows by one, and its end is another row
        page.keyboard.press("End")
        last = sorted(f"{number}:" for number in range(USERS))[page_number * 500]
        expect(tree.get_by_role("treeitem", name=f"{last}, 1 key", exact=True)).to_be_attached()
    page.keyboard.press("End")
    expect(tree.get_by_role("treeitem", name="999:, 1 key", exact=True)).to_be_visible()


def test_another_delimiter_makes_other_folders(page: Page, client: redis.Redis) -> None:
    client.mset({"path/a/1": "x", "path/a/2": "x", "path/b": "x"})
    delimiter = page.get_by_role("textbox", name="Delimiter of folders")
    delimiter.fill("/")
    delimiter.press("Enter")
    folder = page.get_by_role("treeitem", name="path/, 3 keys")
    folder.click()
    expect(page.get_by_role("treeitem", name="a/, 2 keys")).to_be_visible()


def test_a_prefix_narrows_the_tree_to_what_begins_so(page: Page) -> None:
    expect(page.get_by_role("tree")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("user:299")
    expect(page.get_by_role("status").filter(has_text="11 keys beginning with user:299")).to_be_visible()
    expect(page).to_have_url(re.compile("prefix=user%3A299"))


def test_the_list_sorts_within_a_page_by_its_columns(page: Page) -> None:
    page.get_by_role("button", name="List", exact=True).click()
    page.get_by_role("searchbox", name="Search keys by prefix").fill("value:")
    grid = page.get_by_role("grid", name="Keys")
    expect(grid.get_by_role("row", name="value:text")).to_be_visible()
    grid.get_by_role("button", name="Size").click()
    expect(grid.get_by_role("columnheader", name="Size")).to_have_attribute("aria-sort", "ascending")
    expect(grid.get_by_role("row").nth(1)).to_contain_text("value:empty")
    expect(page.get_by_text("sorted within each 200")).to_be_visible()


def test_names_that_are_markup_are_shown_as_text(page: Page) -> None:
    page.get_by_role("treeitem", name=HOSTILE_NAME).click()
    expect(page.get_by_role("heading", name=HOSTILE_NAME)).to_be_visible()
    shown = page.get_by_role("region", name="Value as text")
    expect(shown).to_contain_text("<script>alert(1)</script>␀")
    assert page.locator("img[src='x']").count() == 0


def test_names_of_any_bytes_are_shown_and_found(page: Page) -> None:
    page.get_by_role("treeitem", name=r"bin\xff\x00key").click()
    expect(page.get_by_role("heading", name=r"bin\xff\x00key")).to_be_visible()
    page.get_by_role("searchbox", name="Search keys by prefix").fill(r"bin\xff")
    expect(page.get_by_role("status").filter(has_text="1 key beginning with")).to_be_visible()


def test_a_name_of_a_megabyte_is_shown_and_read(page: Page, client: redis.Redis) -> None:
    name = "long:" + "x" * (1 << 20)
    client.set(name, "value of a long name")
    page.get_by_role("searchbox", name="Search keys by prefix").fill("long:")
    page.get_by_role("treeitem", name=re.compile("^x+…?$")).click()
    expect(page.get_by_role("region", name="Value as text")).to_have_text("value of a long name")
    client.delete(name)


def test_a_permanent_link_shows_its_key(new_page: NewPage) -> None:
    page = new_page("#/db0/keys/bin%FF%00key")
    expect(page.get_by_role("heading", name=r"bin\xff\x00key")).to_be_visible()


def test_the_palette_finds_keys_and_places(page: Page) -> None:
    expect(page.get_by_role("tree")).to_be_visible()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Find or do anything").fill("config")
    page.get_by_role("option", name="config:app").click()
    expect(page.get_by_role("heading", name="config:app")).to_be_visible()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Find or do anything").fill("live")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Live")).to_be_visible()


def test_a_question_mark_lists_the_shortcuts(page: Page) -> None:
    expect(page.get_by_role("tree")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_contain_text("Search keys by prefix")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_listing_waits_while_the_index_takes_in_many_changes(new_page: NewPage) -> None:
    page = new_page("#/db0/transfer")
    asked = 0

    def answer(route: Route) -> None:
        nonlocal asked
        asked += 1
        if asked > 2:
            route.continue_()
        else:
            problem = {"title": "Service Unavailable", "status": 503, "detail": "The index is being built."}
            route.fulfill(status=503, headers={"Retry-After": "1"}, json=problem)

    page.route("**/v1/keys?*", answer)
    page.get_by_role("link", name="Keys", exact=True).click()
    expect(page.get_by_role("treeitem", name="config:, 1 key")).to_be_visible()
    assert asked == 3
