"""The console in front of a cluster: six real nodes behind a front door, what is shown of them, what is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from console_pages import DESKTOP, PHONE, overhang, serious_obstacles, settled
from playwright.sync_api import Page, Route, expect

from clusters import Cluster, running_cluster
from front_doors import start_front_door
from servers import HttpServer, running

if TYPE_CHECKING:
    from console_pages import NewPage

    from keystead.cluster.development_node import DevelopmentNode

KEYS = 1500
VIEWS = {
    "cluster": "#/db0/cluster",
    "keys": "",
    "value": "#/db0/keys/greeting",
    "live": "#/db0/live",
    "commands": "#/db0/commands",
    "transfer": "#/db0/transfer",
    "overview": "#/db0/server",
    "clients": "#/db0/server/clients",
    "configuration": "#/db0/server/configuration",
}
PICTURED = ("cluster-desktop-light", "cluster-phone-light")
FAILOVER_MS = 30_000


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of this file's own: one of its tests kills a node."""
    with running_cluster(tmp_path_factory.mktemp("nodes")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def door(nodes: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """A front door, and keys behind it."""
    with running(start_front_door(tmp_path_factory.mktemp("door") / "data", nodes.addresses)) as server:
        with redis.Redis(port=server.port) as client:
            pipeline = client.pipeline(transaction=False)
            for number in range(KEYS):
                pipeline.set(f"user:{number}", f"Ada {number}")
            pipeline.set("greeting", '{"hello": "cluster"}')
            pipeline.execute()
        yield server


@pytest.fixture
def client(door: HttpServer) -> Iterator[redis.Redis]:
    with redis.Redis(port=door.port) as client:
        yield client


@pytest.fixture
def page(new_page: NewPage, door: HttpServer) -> Page:
    """The view of the cluster."""
    page = new_page("#/db0/cluster", at=door)
    expect(page.get_by_text("Every slot is served")).to_be_visible()
    return page


def row_of(node: DevelopmentNode) -> re.Pattern[str]:
    return re.compile(f"^{re.escape(node.address)} ")


def test_every_node_is_shown_with_its_part_and_its_health(page: Page, nodes: Cluster) -> None:
    table = page.get_by_role("region", name="Nodes of the cluster")
    expect(table.get_by_role("row")).to_have_count(7)
    for primary in nodes.primaries():
        row = table.get_by_role("row", name=row_of(primary))
        expect(row).to_contain_text("primary")
        expect(row).to_contain_text("online")
        expect(row).to_contain_text(re.compile("5,46[0-9]"))
        expect(row).to_contain_text("MB")
        for replica in nodes.replicas_of(primary):
            expect(table.get_by_role("row", name=row_of(replica))).to_contain_text("replica")


def test_the_picture_says_in_words_who_serves_which_slots(page: Page, nodes: Cluster) -> None:
    told = page.get_by_role("img", name=re.compile("^Slots: ")).get_attribute("aria-label")
    assert told is not None
    for number, primary in enumerate(nodes.primaries(), 1):
        assert f"shard {number} at {primary.address} " in told
    assert "0\u20135460" in told
    assert "not served" not in told
    for number in (1, 2, 3):
        shard = page.get_by_role("region", name=f"Shard {number}")
        expect(shard.get_by_text("primary")).to_be_visible()
        expect(shard.get_by_text("replica")).to_be_visible()


def test_each_node_has_its_figures_over_the_last_minutes(page: Page, nodes: Cluster) -> None:
    chart = page.get_by_role("img", name=re.compile("^Operations a second: "))
    for node in nodes.nodes:
        expect(chart).to_have_attribute("aria-label", re.compile(re.escape(node.address)))
    expect(page.get_by_role("img", name=re.compile("^Memory: .*MB"))).to_be_visible()
    lag = page.get_by_role("img", name=re.compile("^Behind its primary: .*byte"))
    expect(lag).not_to_have_attribute("aria-label", re.compile(re.escape(nodes.primaries()[0].address)))
    chosen = nodes.nodes[0].address
    page.get_by_role("combobox", name="Nodes in the charts").select_option(label=chosen)
    expect(chart).not_to_have_attribute("aria-label", re.compile(re.escape(nodes.nodes[1].address)))


def test_views_that_cannot_be_there_are_not_offered(page: Page) -> None:
    views = page.get_by_role("navigation", name="Views").get_by_role("link")
    expect(views).to_have_text(["Keys", "Cluster", "Live", "Commands", "Transfer", "Server"])
    expect(page.get_by_role("combobox", name="Database")).to_have_count(0)
    why = page.get_by_role("region", name="What is not here, and why")
    for what in ("History", "feed of changes", "Keys in order", "Memory by folder", "Checkpoint", "Other databases"):
        expect(why).to_contain_text(what)


def test_a_link_to_what_cannot_be_there_leads_to_the_reason(new_page: NewPage, door: HttpServer) -> None:
    page = new_page("#/db0/history", at=door)
    expect(page.get_by_role("region", name="What is not here, and why")).to_be_visible()


def test_keys_are_found_by_scan_and_said_to_be_in_no_order(new_page: NewPage, door: HttpServer) -> None:
    page = new_page(at=door)
    expect(page.get_by_text("In no order, and nobody counts them.")).to_be_visible()
    grid = page.get_by_role("grid", name="Keys")
    status = page.get_by_role("status").filter(has_text="keys")
    expect(status).to_contain_text("keys so far")
    grid.focus()
    while "so far" in status.inner_text():
        page.keyboard.press("End")
        page.wait_for_timeout(10)
    expect(status).to_contain_text(re.compile("1,50[0-9] keys"))
    page.get_by_role("searchbox", name="Search keys by prefix").fill("user:149")
    expect(status).to_contain_text("11 keys beginning with user:149")
    expect(page.get_by_role("button", name="Show the keys at an earlier moment")).to_have_count(0)


def test_a_search_that_finds_nothing_rests_until_told_to_go_on(new_page: NewPage, door: HttpServer) -> None:
    page = new_page(at=door)
    expect(page.get_by_role("row").nth(5)).to_be_visible()
    asked = 0

    def answer(route: Route) -> None:
        nonlocal asked
        asked += 1
        items = [{"name": "rare:1", "type": "string", "ttl": None, "size": 1}] if asked > 25 else []
        following = None if items else f"/v1/keys?cursor={asked}"
        route.fulfill(json={"items": items, "total": None, "next": following, "order": "none"})

    page.route("**/v1/keys?*", answer)
    page.get_by_role("searchbox", name="Search keys by prefix").fill("rare:")
    further = page.get_by_role("button", name="Look further")
    expect(further).to_be_visible()
    assert asked == 20
    further.click()
    expect(page.get_by_role("row", name="rare:1")).to_be_visible()
    expect(page.get_by_text("1 key beginning with rare:")).to_be_visible()


def test_a_value_is_edited_under_its_condition_and_that_is_undone(
    new_page: NewPage, door: HttpServer, client: redis.Redis
) -> None:
    client.set("edited", "before")
    page = new_page("#/db0/keys/edited", at=door)
    expect(page.get_by_role("button", name="History")).to_have_count(0)
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("textbox", name="Value").fill("mine")
    client.set("edited", "theirs")
    page.get_by_role("button", name="Save").click()
    dialog = page.get_by_role("dialog", name="Somebody has changed this value")
    expect(dialog).to_contain_text("theirs")
    dialog.get_by_role("button", name="Overwrite with mine").click()
    expect(page.get_by_role("region", name="Value as text")).to_have_text("mine")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("region", name="Value as text")).to_have_text("theirs")
    assert client.get("edited") == b"theirs"


def test_a_key_is_deleted_and_comes_back(new_page: NewPage, door: HttpServer, client: redis.Redis) -> None:
    client.set("deleted", "precious", ex=500)
    page = new_page("#/db0/keys/deleted", at=door)
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("deleted is deleted.")).to_be_visible()
    assert client.get("deleted") is None
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone.")).to_be_visible()
    assert client.get("deleted") == b"precious"
    assert client.ttl("deleted") > 400


def test_a_time_to_live_is_changed(new_page: NewPage, door: HttpServer, client: redis.Redis) -> None:
    client.set("lives", "x")
    page = new_page("#/db0/keys/lives", at=door)
    page.get_by_role("button", name="Time to live").click()
    page.get_by_role("dialog").get_by_label("Expires in").fill("2h")
    page.get_by_role("button", name="Set").click()
    expect(page.get_by_role("timer")).to_contain_text("expires in")
    assert client.ttl("lives") > 7000


def test_a_command_of_several_slots_is_refused_as_a_cluster_does(new_page: NewPage, door: HttpServer) -> None:
    page = new_page("#/db0/commands", at=door)
    line = page.get_by_role("combobox", name="Command")
    line.press_sequentially("MGET user:1 user:2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("log")).to_contain_text("Ada 2")
    line.press_sequentially("RENAME user:1 elsewhere")
    page.keyboard.press("Enter")
    expect(page.get_by_role("log")).to_contain_text("CROSSSLOT")


def test_the_server_has_no_log_and_no_backups_to_show(new_page: NewPage, door: HttpServer) -> None:
    page = new_page("#/db0/server/log", at=door)
    tabs = page.get_by_role("navigation", name="Server").get_by_role("link")
    expect(tabs).to_have_text(["Overview", "Clients", "Slow log", "Configuration"])
    expect(page.get_by_text("Connections", exact=True)).to_be_visible()
    expect(page.get_by_text("NaN")).to_have_count(0)
    expect(page.get_by_text("undefined")).to_have_count(0)


def test_live_charts_are_those_that_have_figures(new_page: NewPage, door: HttpServer) -> None:
    page = new_page("#/db0/live", at=door)
    expect(page.get_by_role("img", name=re.compile("^Operations a second: "))).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("^Time of an fsync"))).to_have_count(0)
    expect(page.get_by_role("region", name="Changes")).to_have_count(0)


def picture(page: Page, client: redis.Redis, path: Path) -> None:
    """With some of the last minutes, in which the cluster has work."""
    for step in range(200):
        pipeline = client.pipeline(transaction=False)
        for number in range(20 + step % 60):
            pipeline.set(f"user:{number * 7}", f"Ada {step}")
        pipeline.execute()
        page.wait_for_timeout(100)
    if page.viewport_size and page.viewport_size["width"] > 1000:
        page.set_viewport_size({"width": 1280, "height": 1240})
    page.screenshot(path=path)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", ["desktop", "phone"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_has_no_serious_obstacle_and_fits(
    new_page: NewPage, door: HttpServer, client: redis.Redis, shots: Path | None, view: str, width: str, scheme: str
) -> None:
    size = PHONE if width == "phone" else DESKTOP
    page = new_page(VIEWS[view], at=door, color_scheme=scheme, bypass_csp=True, **size)
    settled(page)
    name = f"{view}-{width}-{scheme}"
    if shots and name in PICTURED:
        picture(page, client, shots / f"{name}.png")
    assert serious_obstacles(page) == []
    assert overhang(page) <= 0


def test_a_killed_node_is_seen_failed_and_healed(page: Page, nodes: Cluster, shots: Path | None) -> None:
    victim = nodes.primaries()[0]
    (heir,) = nodes.replicas_of(victim)
    table = page.get_by_role("region", name="Nodes of the cluster")
    happened = page.get_by_role("list", name="What happened, newest first")
    victim.kill()
    row = table.get_by_role("row", name=row_of(victim))
    expect(row).to_contain_text("failed", timeout=FAILOVER_MS)
    expect(table.get_by_role("row", name=row_of(heir))).to_contain_text("primary", timeout=FAILOVER_MS)
    expect(happened).to_contain_text(f"{victim.address} is failed.")
    expect(happened).to_contain_text(f"{heir.address} is a primary now.")
    expect(page.get_by_text("Every slot is served")).to_be_visible(timeout=FAILOVER_MS)
    expect(page.get_by_role("region", name=f"{victim.address}, without slots")).to_contain_text("failed")
    expect(page.get_by_text("No replica is well")).to_be_visible()
    if shots:
        page.screenshot(path=shots / "cluster-failover-desktop-light.png")
    nodes.restart(victim)
    expect(row).to_contain_text("online", timeout=FAILOVER_MS)
    expect(row).to_contain_text("replica", timeout=FAILOVER_MS)
    expect(happened).to_contain_text(f"{victim.address} is online again.")
    expect(page.get_by_text("No replica is well")).to_have_count(0)
