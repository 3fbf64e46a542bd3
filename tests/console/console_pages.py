"""The browser of the console's tests, the widths of its pages, and what several files of tests do with one."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from typing import Any, Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
DESKTOP: Final[dict[str, Any]] = {"viewport": {"width": 1280, "height": 820}}
PHONE: Final[dict[str, Any]] = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}

BUSY: Final = re.compile("^(Loading|Counting|Connecting|Comparing|Reading the log|Looking|…)")
STILL_EMPTY: Final = (
    ".page .card:empty:not([hidden]), .page .stack:empty, .value-pane:empty, .list-place:empty, "
    ".charts > :first-child .chart-top:empty"
)

NewPage = Callable[..., Page]


def sandbox_options() -> list[str]:
    """Chromium's own sandbox needs what a container's root does not have; the pages are our own."""
    return ["--no-sandbox"] if os.geteuid() == 0 else []


def log_in(page: Page, user: str, password: str) -> None:
    page.get_by_label("User").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def settled(page: Page) -> None:
    """The view has what it asked for at first: nothing says any more that it is on its way."""
    expect(page.get_by_role("main")).to_be_visible()
    expect(page.get_by_text(BUSY)).to_have_count(0)
    expect(page.locator(STILL_EMPTY)).to_have_count(0)


def serious_obstacles(page: Page) -> list[tuple[str, list[Any]]]:
    """What axe finds that keeps people from using the page, with its places."""
    found = Axe().run(page).response["violations"]
    return [
        (each["id"], [node["target"] for node in each["nodes"]])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def overhang(page: Page) -> int:
    """By how many pixels the page, or what it scrolls as a whole, is wider than the window."""
    wider = "(element) => element.scrollWidth - element.clientWidth"
    return max(page.locator(each).evaluate(wider) for each in ("html", "#main"))
