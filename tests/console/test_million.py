"""A store of a million keys: the tree answers at once, and the list scrolls from end to end with few rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
import redis
from playwright.sync_api import Page, expect

from servers import HttpServer, running, start_keystead_http

if TYPE_CHECKING:
    from console_pages import NewPage

KEYS = 1_000_000
MOST_ROWS = 100
PIECE = 20_000


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """item:0000000 to item:0999999."""
    directory = tmp_path_factory.mktemp("million") / "data"
    with running(start_keystead_http(directory, "--fsync", "never", "--maxmemory", "0")) as server:
        with redis.Redis(port=server.port) as client:
            for start in range(0, KEYS, PIECE):
                client.mset({b"item:%07d" % number: b"%d" % number for number in range(start, start + PIECE)})
        yield server


def asked_ms(page: Page) -> float:
    """How long the newest listing took, asked by the page: measured, never judged."""
    entries = "performance.getEntriesByType('resource').filter((each) => each.name.includes('/v1/keys?'))"
    found: float = page.evaluate(f"{entries}.at(-1).duration")
    return found


def rows(page: Page) -> int:
    return page.locator("[data-index]").count()


def test_the_folder_of_a_million_keys_opens_with_its_exact_count(
    new_page: NewPage, million: HttpServer, record_property: Callable[[str, object], None]
) -> None:
    page = new_page(at=million)
    folder = page.get_by_role("treeitem", name="item:, 1,000,000 keys")
    folder.click()
    expect(page.get_by_role("treeitem", name="0000000")).to_be_visible()
    record_property("expanded_ms", asked_ms(page))
    assert rows(page) <= MOST_ROWS


def test_a_prefix_among_a_million_finds_its_keys(
    new_page: NewPage, million: HttpServer, record_property: Callable[[str, object], None]
) -> None:
    page = new_page(at=million)
    page.get_by_role("searchbox", name="Search keys by prefix").fill("item:09999")
    expect(page.get_by_role("status").filter(has_text="100 keys beginning with item:09999")).to_be_visible()
    expect(page.get_by_role("treeitem", name="0999900")).to_be_visible()
    record_property("searched_ms", asked_ms(page))


def test_the_list_scrolls_over_a_million_rows_with_few_in_the_page(new_page: NewPage, million: HttpServer) -> None:
    page = new_page(at=million)
    page.get_by_role("button", name="List", exact=True).click()
    grid = page.get_by_role("grid", name="Keys")
    expect(grid.get_by_role("row", name=re.compile("item:0000000"))).to_be_visible()
    grid.focus()
    page.keyboard.press("End")
    expect(grid.get_by_role("row", name=re.compile("item:0999999"))).to_be_visible()
    assert rows(page) <= MOST_ROWS
    grid.evaluate("(list) => { list.scrollTop = (list.scrollHeight - list.clientHeight) / 2; }")
    expect(grid.get_by_role("row", name=re.compile("item:0500000"))).to_be_visible()
    page.keyboard.press("Home")
    expect(grid.get_by_role("row", name=re.compile("item:0000000"))).to_be_visible()
    assert rows(page) <= MOST_ROWS


def test_the_wheel_moves_a_scaled_list_by_rows(new_page: NewPage, million: HttpServer) -> None:
    page = new_page(at=million)
    page.get_by_role("button", name="List", exact=True).click()
    grid = page.get_by_role("grid", name="Keys")
    expect(grid.get_by_role("row", name=re.compile("item:0000000"))).to_be_visible()
    grid.hover()
    page.mouse.wheel(0, 3200)
    expect(grid.get_by_role("row", name=re.compile("item:0000100"))).to_be_visible()
    expect(grid.get_by_role("row", name=re.compile("item:0000200"))).to_have_count(0)
