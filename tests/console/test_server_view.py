"""The views of the server, memory, import and export."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from console_pages import log_in
from playwright.sync_api import expect

from console_store import SESSIONS

if TYPE_CHECKING:
    from pathlib import Path

    import redis
    from console_pages import NewPage


def test_the_overview_tells_how_the_server_is(new_page: NewPage) -> None:
    page = new_page("#/db0/server")
    expect(page.get_by_text("Keys here")).to_be_visible()
    expect(page.get_by_text("Persistence")).to_be_visible()


def test_a_client_is_shown_and_cut_off(new_page: NewPage, client: redis.Redis) -> None:
    client.client_setname("somebody-else")
    page = new_page("#/db0/server/clients")
    row = page.get_by_role("row", name="somebody-else")
    row.get_by_role("button", name="End the connection").click()
    page.get_by_role("dialog").get_by_role("button", name="End it").click()
    expect(row).to_have_count(0)


def test_slow_commands_are_shown(new_page: NewPage, client: redis.Redis) -> None:
    client.config_set("slowlog-log-slower-than", 0)
    client.get("value:text")
    client.config_set("slowlog-log-slower-than", 10_000)
    page = new_page("#/db0/server/slow-log")
    expect(page.get_by_role("row", name=re.compile("get value:text", re.IGNORECASE)).first).to_be_visible()


def test_a_setting_is_changed_and_that_is_undone(new_page: NewPage, client: redis.Redis) -> None:
    page = new_page("#/db0/server/configuration")
    page.get_by_role("searchbox", name="Search settings").fill("slowlog-max-len")
    before = client.config_get("slowlog-max-len")
    page.get_by_role("button", name="Change slowlog-max-len").click()
    page.get_by_role("dialog").get_by_label("Value").fill("77")
    page.get_by_role("button", name="Set").click()
    expect(page.get_by_text("slowlog-max-len is now 77.")).to_be_visible()
    assert client.config_get("slowlog-max-len") == {"slowlog-max-len": "77"}
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("row", name="slowlog-max-len")).not_to_contain_text("77")
    assert client.config_get("slowlog-max-len") == before


def test_a_setting_that_needs_a_restart_is_shown_without_a_way_to_change_it(new_page: NewPage) -> None:
    page = new_page("#/db0/server/configuration")
    page.get_by_role("searchbox", name="Search settings").fill("port")
    expect(page.get_by_role("row", name=re.compile("^port TCP port"))).to_be_visible()
    expect(page.get_by_role("button", name="Change port", exact=True)).to_have_count(0)


def test_a_password_among_the_settings_is_not_shown(new_page: NewPage, client: redis.Redis) -> None:
    client.config_set("requirepass", "a secret of the tests")
    try:
        page = new_page("#/db0/server/configuration")
        log_in(page, "default", "a secret of the tests")
        row = page.get_by_role("row", name=re.compile("^requirepass "))
        expect(row).to_contain_text("••••••")
        expect(page.get_by_text("a secret of the tests")).to_have_count(0)
        row.get_by_role("button", name="Change requirepass").click()
        expect(page.get_by_role("dialog").get_by_label("Value")).to_have_value("")
    finally:
        client.config_set("requirepass", "")


def test_a_checkpoint_is_made_on_demand(new_page: NewPage) -> None:
    page = new_page("#/db0/server/log")
    page.get_by_role("button", name="Make a checkpoint now").click()
    expect(page.get_by_text("Background append only file rewriting started.")).to_be_visible()


def test_memory_is_counted_exactly_by_folder(new_page: NewPage) -> None:
    page = new_page("#/db0/memory")
    expect(page.get_by_role("row", name="session:")).to_contain_text(str(SESSIONS))
    page.get_by_role("group", name="Bytes by folder").get_by_role("button", name=re.compile("session:")).click()
    expect(page.get_by_role("navigation", name="Folder")).to_contain_text("session:")
    expect(page.get_by_role("status").filter(has_text=f"in {SESSIONS} keys")).to_be_visible()


def test_keys_are_exported_and_imported(new_page: NewPage, client: redis.Redis, tmp_path: Path) -> None:
    client.mset({"moved:1": "one", b"moved:\xff": b"\x00\xff"})
    page = new_page("#/db0/transfer")
    page.get_by_label("Only keys that begin with").fill("moved:")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export", exact=True).click()
    file = tmp_path / "moved.jsonl"
    download.value.save_as(file)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) >= 2
    client.delete("moved:1", b"moved:\xff")
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="2 keys imported").first).to_be_visible()
    assert client.get("moved:1") == b"one"
    assert client.get(b"moved:\xff") == b"\x00\xff"


def test_the_log_is_verified_on_demand(new_page: NewPage) -> None:
    page = new_page("#/db0/server/log")
    page.get_by_role("button", name="Verify the log now").click()
    expect(page.get_by_role("region", name="Verification")).to_contain_text("sound")
    expect(page.get_by_role("region", name="Last start")).to_contain_text("Torn tail")


def test_how_much_history_is_kept_is_told(new_page: NewPage) -> None:
    history = new_page("#/db0/server/log").get_by_role("region", name="History")
    expect(history).to_contain_text("Reaches back to")
    expect(history).to_contain_text("Kept for (history-max-age)7 d")
    expect(history).to_contain_text("At most (history-max-bytes)1.0 GB")
