"""Backups from the page: taken, verified and listed with age and size, at the places that the server allows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from playwright.sync_api import expect

from servers import HttpServer, running, start_keystead_http

if TYPE_CHECKING:
    from console_pages import NewPage


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "backups"


@pytest.fixture
def backed(tmp_path: Path, place: Path) -> Iterator[HttpServer]:
    """A server that may be backed up to one place."""
    with running(start_keystead_http(tmp_path / "data", "--backup-places", str(place))) as server:
        with redis.Redis(port=server.port) as client:
            client.set("precious", "x" * 100_000)
        yield server


def test_a_backup_is_taken_verified_and_listed(new_page: NewPage, backed: HttpServer, place: Path) -> None:
    page = new_page("#/db0/server/backups", at=backed)
    card = page.get_by_role("region", name=f"Backups in {place}")
    expect(card).to_contain_text("Newestnone")
    card.get_by_role("button", name="Back up now").click()
    expect(page.get_by_text(f"A backup is taken in {place}")).to_be_visible()
    expect(card.get_by_role("row")).to_have_count(2)
    expect(card).to_contain_text("Backups1")
    expect(card).to_contain_text("not since the server started")
    assert len(list(place.glob("snapshots/*"))) == 1
    card.get_by_role("button", name="Verify the newest").click()
    expect(page.get_by_text(f"The newest backup in {place} is sound.")).to_be_visible()
    expect(card).to_contain_text("Verifiedsound, ")


def test_a_backup_that_fails_says_why(new_page: NewPage, backed: HttpServer, place: Path) -> None:
    place.write_text("a file where a directory should be")
    page = new_page("#/db0/server/backups", at=backed)
    card = page.get_by_role("region", name=f"Backups in {place}")
    card.get_by_role("button", name="Back up now").click()
    expect(page.get_by_role("alert").filter(has_text="It failed: ")).to_contain_text(str(place))


def test_where_none_may_be_taken_the_page_says_what_to_set(new_page: NewPage, tmp_path: Path) -> None:
    with running(start_keystead_http(tmp_path / "plain")) as plain:
        page = new_page("#/db0/server/backups", at=plain)
        expect(page.get_by_role("heading", name="No place for backups is set")).to_be_visible()
        expect(page.get_by_text("backup-places")).to_be_visible()
        expect(page.get_by_role("button", name="Back up now")).to_have_count(0)
        page.close()


def test_an_order_for_another_path_is_refused(new_page: NewPage, backed: HttpServer, tmp_path: Path) -> None:
    page = new_page("#/db0/server/backups", at=backed)
    asking = "(place) => fetch('/v1/backups', {method: 'POST', body: JSON.stringify({place})}).then((a) => a.status)"
    assert page.evaluate(asking, str(tmp_path / "elsewhere")) == 403
    assert not (tmp_path / "elsewhere").exists()
