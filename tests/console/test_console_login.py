"""Logging in, what a user may do, and pages of other sites."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import redis
from console_pages import CHROMIUM, log_in, sandbox_options
from playwright.sync_api import Page, Playwright, expect

from servers import HttpServer, running, start_keystead_http

if TYPE_CHECKING:
    from console_pages import NewPage

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """A server with a user who may do everything and one who may only read."""
    with running(start_keystead_http(tmp_path_factory.mktemp("guarded") / "data")) as server:
        with redis.Redis(port=server.port) as client:
            client.set("gone", "x")
            client.delete("gone")
            client.set("greeting", "hello")
            client.execute_command(
                "ACL", "SETUSER", "reader", "on", f">{PASSWORD}", "~*", "+@read", "+@connection", "+info"
            )
            client.execute_command("ACL", "SETUSER", "default", "on", "resetpass", f">{PASSWORD}")
        yield server


def test_nothing_is_shown_before_logging_in(new_page: NewPage, guarded: HttpServer) -> None:
    page = new_page("#/db0/keys/greeting", at=guarded)
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    expect(page.get_by_text("greeting")).to_have_count(0)


def test_a_wrong_password_is_explained(new_page: NewPage, guarded: HttpServer) -> None:
    page = new_page(at=guarded)
    log_in(page, "default", "wrong")
    expect(page.get_by_role("alert")).to_contain_text("knows no such user with this password")


def test_a_login_leads_to_where_the_link_points(new_page: NewPage, guarded: HttpServer) -> None:
    page = new_page("#/db0/keys/greeting", at=guarded)
    log_in(page, "default", PASSWORD)
    expect(page.get_by_role("region", name="Value as text")).to_have_text("hello")
    page.reload()
    expect(page.get_by_role("region", name="Value as text")).to_have_text("hello")


def test_the_cookie_is_kept_from_scripts_and_other_sites(new_page: NewPage, guarded: HttpServer) -> None:
    page = new_page(at=guarded)
    log_in(page, "default", PASSWORD)
    expect(page.get_by_role("tree")).to_be_visible()
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert page.evaluate("document.cookie") == ""


def test_logging_out_ends_the_session(new_page: NewPage, guarded: HttpServer) -> None:
    page = new_page(at=guarded)
    log_in(page, "default", PASSWORD)
    page.get_by_role("button", name="default").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()


WRITING = re.compile(
    "^(New|Edit|Save|Delete|Rename|Time to live|Restore|Undo|Redo|Import|Change|Set|End|Forget|Verify|Make a check)"
    "|^Back up"
)
VIEWS = {
    "keys/greeting": "hello",
    "keys": "Choose a key",
    "live": "Nothing has changed",
    "commands": "Command",
    "memory": "greeting",
    "history": "greeting",
    "history/differences?from=0": "greeting",
    "deleted": "gone",
    "transfer": "Export",
    "server": "Keys here",
    "server/log": "Reaches back to",
    "server/backups": "backup-places",
}
"""And a text that is there when the view has loaded."""


@pytest.mark.parametrize("view", VIEWS)
def test_a_user_who_may_only_read_sees_no_way_to_write(new_page: NewPage, guarded: HttpServer, view: str) -> None:
    page = new_page(f"#/db0/{view}", at=guarded)
    log_in(page, "reader", PASSWORD)
    expect(page.get_by_text("read only")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text(VIEWS[view])
    if page.locator("summary").count():
        page.locator("summary").first.click()  # what is folded away must have none either
    assert [name for name in page.get_by_role("button").all_inner_texts() if WRITING.match(name)] == []
    assert [name for name in labels(page) if WRITING.match(name)] == []


def labels(page: Page) -> list[str]:
    """What buttons are called that show an icon."""
    found = [button.get_attribute("aria-label") for button in page.get_by_role("button").all()]
    return [label for label in found if label]


def test_the_server_refuses_what_the_page_does_not_offer(new_page: NewPage, guarded: HttpServer) -> None:
    page = new_page(at=guarded)
    log_in(page, "reader", PASSWORD)
    expect(page.get_by_role("tree")).to_be_visible()
    status = page.evaluate("fetch('/v1/keys/greeting', {method: 'PUT', body: 'x'}).then((answer) => answer.status)")
    assert status == 403


def test_a_page_of_another_site_gets_nothing_and_changes_nothing(new_page: NewPage, guarded: HttpServer) -> None:
    page = new_page(at=guarded)
    log_in(page, "default", PASSWORD)
    expect(page.get_by_role("tree")).to_be_visible()
    other = page.context.new_page()
    other.route("http://other.test/", lambda route: route.fulfill(content_type="text/html", body="<p>other</p>"))
    other.goto("http://other.test/")
    target = f"http://127.0.0.1:{guarded.http_port}/v1/commands"
    options = "{credentials: 'include', mode: 'no-cors', method: 'POST', body: '[\"DEL\", \"greeting\"]'}"
    other.evaluate(f"(target) => fetch(target, {options}).catch(() => null).then(() => null)", target)
    reading = "(target) => fetch(target, {credentials: 'include'}).then((a) => a.text()).catch(() => 'refused')"
    assert other.evaluate(reading, target.replace("commands", "keys/greeting")) == "refused"
    with redis.Redis(port=guarded.port, password=PASSWORD) as client:
        assert client.get("greeting") == b"hello"


def test_a_name_that_is_pointed_at_this_server_gets_nothing(playwright: Playwright, guarded: HttpServer) -> None:
    """DNS rebinding: to the browser the page and the server are one site, so only the server can refuse."""
    rules = f"--host-resolver-rules=MAP rebound.test 127.0.0.1:{guarded.http_port}"
    trusting = "--disable-features=LocalNetworkAccessChecks"  # which not every browser has
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*sandbox_options(), rules, trusting])
    page = browser.new_page()
    shown = page.goto("http://rebound.test/")
    assert shown is not None
    assert shown.status == 421
    # The attacker's page was loaded before his name began to point here.
    page.route("http://rebound.test/page", lambda route: route.fulfill(content_type="text/html", body="<p>other</p>"))
    page.goto("http://rebound.test/page")
    asked = "([path, options]) => fetch(path, options).then((answer) => answer.status)"
    assert page.evaluate(asked, ["/v1/keys/greeting", {}]) == 421
    assert page.evaluate(asked, ["/v1/session", {}]) == 421
    assert page.evaluate(asked, ["/v1/commands", {"method": "POST", "body": '["DEL", "greeting"]'}]) == 421
    browser.close()
