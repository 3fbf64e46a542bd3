"""The same page by another driver, whose version is always the browser's own: insurance for the other tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from console_pages import CHROMIUM
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

if TYPE_CHECKING:
    import redis
    from selenium.webdriver.remote.webdriver import WebDriver
    from selenium.webdriver.remote.webelement import WebElement

    from servers import HttpServer

DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="module")
def driver() -> Iterator[WebDriver]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("there is no chromium or chromedriver; scripts/system-packages installs them")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.add_argument("--headless=new")
    options.add_argument("--window-size=1280,820")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def found(driver: WebDriver, css: str) -> WebElement:
    """The element, as soon as it is there and visible."""
    return WebDriverWait(driver, 10).until(
        lambda _: next((e for e in driver.find_elements(By.CSS_SELECTOR, css) if e.is_displayed()), None)
    )


def test_a_key_is_found_shown_and_edited(driver: WebDriver, server: HttpServer, client: redis.Redis) -> None:
    client.set("smoke", "before")
    driver.get(f"http://127.0.0.1:{server.http_port}/#/db0/keys/smoke")
    assert found(driver, "[aria-label='Value as text']").text == "before"
    found(driver, ".value-tools .primary").click()
    field = found(driver, "textarea[aria-label='Value']")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("after")
    field.send_keys(Keys.CONTROL, "s")
    WebDriverWait(driver, 10).until(lambda _: client.get("smoke") == b"after")


def test_every_view_opens_from_the_navigation(driver: WebDriver, server: HttpServer) -> None:
    driver.get(f"http://127.0.0.1:{server.http_port}/")
    found(driver, "[role='tree']")
    for view in ("live", "commands", "memory", "history", "deleted", "transfer", "server", "keys"):
        found(driver, f"nav [data-view='{view}']").click()
        found(driver, f"nav [data-view='{view}'][aria-current='page']")
        found(driver, "main h1, main [role='tree']")
    severe = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert [entry for entry in severe if "Failed to load resource" not in entry["message"]] == []
