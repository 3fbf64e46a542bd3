"""Values: how each kind is shown, and changing them without losing anything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from console_store import LARGE_NUMBER, ZSTD

if TYPE_CHECKING:
    import redis
    from console_pages import NewPage


@pytest.mark.parametrize(
    ("key", "formats"),
    [
        ("config:app", ["JSON", "Text", "Hex"]),
        ("value:text", ["Text", "Hex"]),
        ("value:msgpack", ["MessagePack", "Hex"]),
        ("value:gzip", ["Compressed", "Hex"]),
        ("value:zstd", ["Compressed", "Hex"]),
        ("image:logo", ["Image", "Hex"]),
    ],
)
def test_a_value_is_shown_as_what_it_is(new_page: NewPage, key: str, formats: list[str]) -> None:
    page = new_page(f"#/db0/keys/{key}")
    expect(page.get_by_role("tab")).to_have_text(formats)
    expect(page.get_by_role("tab", name=formats[0])).to_have_attribute("aria-selected", "true")


def test_json_is_a_tree_that_keeps_large_numbers(new_page: NewPage) -> None:
    page = new_page("#/db0/keys/config:app")
    tree = page.get_by_role("region", name="Value as a tree")
    expect(tree).to_contain_text(str(LARGE_NUMBER))
    tree.get_by_text("2 items").click()
    expect(tree.get_by_text('"a.example"')).to_be_hidden()


def test_compressed_values_show_what_is_inside(new_page: NewPage) -> None:
    page = new_page("#/db0/keys/value:gzip")
    expect(page.get_by_role("region", name="Value as a tree")).to_contain_text('inside"gzip"')
    expect(page.get_by_text("decompressed 18 bytes of JSON")).to_be_visible()


def test_a_value_in_zstd_shows_what_is_inside(new_page: NewPage) -> None:
    page = new_page("#/db0/keys/value:zstd")
    expect(page.get_by_role("region", name="Value as a tree")).to_contain_text('inside"zstd"')
    expect(page.get_by_text("decompressed 4.4 KB of JSON")).to_be_visible()


def test_zstd_is_opened_where_scripts_are_given_no_stream_for_it(new_page: NewPage) -> None:
    """As in most browsers of today: the answer of the server says how it is encoded, and the browser opens that."""
    page = new_page("#/db0/keys/value:zstd")
    page.add_init_script(
        "const Real = DecompressionStream; window.DecompressionStream = class { constructor(format) {"
        " if (format === 'zstd') throw new TypeError('unsupported'); return new Real(format); } };"
    )
    with page.expect_response(re.compile("encoding=zstd")) as answer:
        page.reload()
    assert answer.value.header_value("content-encoding") == "zstd"
    expect(page.get_by_role("region", name="Value as a tree")).to_contain_text('inside"zstd"')


def test_what_only_begins_like_zstd_is_said_to_be_damaged(new_page: NewPage, client: redis.Redis) -> None:
    client.set("value:not-zstd", ZSTD[:40] + b"x" * 100)
    page = new_page("#/db0/keys/value:not-zstd")
    expect(page.get_by_text("It begins like zstd, but it is damaged or something else.")).to_be_visible()
    expect(page.get_by_role("list", name="Bytes in hex")).to_be_visible()


def test_bytes_are_shown_in_hex(new_page: NewPage) -> None:
    page = new_page("#/db0/keys/bin%FF%00key")
    expect(page.get_by_role("list", name="Bytes in hex").get_by_role("listitem").nth(4)).to_contain_text(
        "40 41 42 43 44 45 46 47  48 49 4a 4b 4c 4d 4e 4f".lower()
    )


def test_a_value_is_downloaded_byte_for_byte(new_page: NewPage) -> None:
    page = new_page("#/db0/keys/bin%FF%00key")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.path().read_bytes() == bytes(range(256))


def test_a_key_is_created_and_that_is_undone(page: Page, client: redis.Redis) -> None:
    page.get_by_role("button", name="New key").first.click()
    dialog = page.get_by_role("dialog", name="New key")
    dialog.get_by_label("Key").first.fill("new:key")
    dialog.get_by_label("Value").fill("made here")
    dialog.get_by_label("Time to live").fill("15m")
    dialog.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="new:key")).to_be_visible()
    assert client.get("new:key") == b"made here"
    assert 890 < client.ttl("new:key") <= 900
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone.")).to_be_visible()
    assert client.get("new:key") is None


def test_a_key_that_exists_is_not_overwritten_by_creating_it(page: Page, client: redis.Redis) -> None:
    page.get_by_role("button", name="New key").first.click()
    dialog = page.get_by_role("dialog", name="New key")
    dialog.get_by_label("Key").first.fill("value:text")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.get_by_role("alert")).to_contain_text("There is a key value:text already")
    assert client.get("value:text") == b"first line\nsecond line"


def test_an_edit_is_saved_and_undone(new_page: NewPage, client: redis.Redis) -> None:
    client.set("edit:1", "before", ex=1000)
    page = new_page("#/db0/keys/edit:1")
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("textbox", name="Value").fill("after")
    page.keyboard.press("Control+s")
    expect(page.get_by_role("region", name="Value as text")).to_have_text("after")
    assert client.get("edit:1") == b"after"
    assert client.ttl("edit:1") > 900
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("region", name="Value as text")).to_have_text("before")
    assert client.get("edit:1") == b"before"


def test_json_that_is_none_any_more_is_pointed_out(new_page: NewPage, client: redis.Redis) -> None:
    client.set("edit:json", '{"a": 1}')
    page = new_page("#/db0/keys/edit:json")
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("textbox", name="Value").fill('{"a": 1,}')
    expect(page.get_by_text("This is not JSON")).to_contain_text("line 1, column 9")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert client.get("edit:json") == b'{"a": 1}'


def test_a_conflict_shows_mine_theirs_and_what_was_loaded(new_page: NewPage, client: redis.Redis) -> None:
    client.set("edit:conflict", "as loaded")
    page = new_page("#/db0/keys/edit:conflict")
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("textbox", name="Value").fill("mine")
    client.set("edit:conflict", "theirs")
    page.get_by_role("button", name="Save").click()
    dialog = page.get_by_role("dialog", name="Somebody has changed this value")
    expect(dialog.get_by_role("region", name="As loaded").first).to_contain_text("as loaded")
    expect(dialog.get_by_role("region", name="Theirs, now in the store").first).to_contain_text("theirs")
    expect(dialog.get_by_role("region", name="Mine").first).to_contain_text("mine")
    assert client.get("edit:conflict") == b"theirs"
    dialog.get_by_role("button", name="Overwrite with mine").click()
    expect(page.get_by_role("region", name="Value as text")).to_have_text("mine")
    assert client.get("edit:conflict") == b"mine"


def test_bytes_are_edited_in_hex(new_page: NewPage, client: redis.Redis) -> None:
    client.set("edit:hex", b"\xff\x00")
    page = new_page("#/db0/keys/edit:hex")
    page.get_by_role("button", name="Edit").click()
    field = page.get_by_role("textbox", name="Value")
    expect(field).to_have_value("ff 00")
    field.fill("ff 00 0")
    expect(page.get_by_text("Every byte takes two hex digits")).to_be_visible()
    field.fill("ff 00 01")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("list", name="Bytes in hex")).to_contain_text("ff 00 01")
    assert client.get("edit:hex") == b"\xff\x00\x01"


def test_a_time_to_live_counts_down_and_is_changed(new_page: NewPage, client: redis.Redis) -> None:
    client.set("edit:ttl", "x", ex=100)
    page = new_page("#/db0/keys/edit:ttl")
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"expires in 1 m (3\d|40) s"))
    page.get_by_role("button", name="Time to live").click()
    page.get_by_role("dialog").get_by_label("Expires in").fill("2h")
    page.get_by_role("button", name="Set").click()
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"expires in (2 h|1 h 59 m)"))
    assert client.ttl("edit:ttl") > 7000


def test_a_key_is_renamed_and_that_is_undone(new_page: NewPage, client: redis.Redis) -> None:
    client.set("edit:old", "x")
    page = new_page("#/db0/keys/edit:old")
    page.get_by_role("button", name="Rename").click()
    page.get_by_role("dialog").get_by_label("New name").fill("edit:new")
    page.get_by_role("dialog").get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", name="edit:new")).to_be_visible()
    assert client.get("edit:new") == b"x"
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="edit:old")).to_be_visible()
    assert client.get("edit:old") == b"x"


def test_a_key_is_deleted_and_comes_back(new_page: NewPage, client: redis.Redis) -> None:
    client.set("edit:gone", "precious", ex=500)
    page = new_page("#/db0/keys/edit:gone")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("edit:gone is deleted.")).to_be_visible()
    assert client.get("edit:gone") is None
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone.")).to_be_visible()
    assert client.get("edit:gone") == b"precious"
    assert 400 < client.ttl("edit:gone") <= 500


def test_many_keys_are_deleted_after_an_exact_preview(page: Page, client: redis.Redis) -> None:
    client.mset({f"bulk:{number}": "x" for number in range(25)})
    page.get_by_role("searchbox", name="Search keys by prefix").fill("bulk")
    expect(page.get_by_role("status").filter(has_text="25 keys beginning with bulk")).to_be_visible()
    folder = page.get_by_role("treeitem", name="bulk:, 25 keys")
    folder.hover()
    folder.get_by_role("button", name="Delete the 25 keys").click()
    dialog = page.get_by_role("dialog", name="Delete 25 keys?")
    expect(dialog).to_contain_text("bulk:0")
    expect(dialog).to_contain_text("and 13 more")
    dialog.get_by_label("Type 25 to confirm").last.fill("25")
    client.set("bulk:more", "x")
    dialog.get_by_role("button", name="Delete 25 keys").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Nothing was deleted")
    client.delete("bulk:more")
    dialog.get_by_role("button", name="Delete 25 keys").click()
    expect(page.get_by_text("25 keys beginning with bulk: deleted.")).to_be_visible()
    assert client.keys("bulk:*") == []
