"""The browser of the console's tests, the widths of its pages, and what several files of tests do with one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any, Final

from playwright.sync_api import Page

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
DESKTOP: Final[dict[str, Any]] = {"viewport": {"width": 1280, "height": 820}}
PHONE: Final[dict[str, Any]] = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}

NewPage = Callable[..., Page]


def sandbox_options() -> list[str]:
    """Chromium's own sandbox needs what a container's root does not have; the pages are our own."""
    return ["--no-sandbox"] if os.geteuid() == 0 else []


def log_in(page: Page, user: str, password: str) -> None:
    page.get_by_label("User").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
