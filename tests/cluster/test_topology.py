"""A topology is what several nodes' views amount to: for every slot the claim of the greatest epoch."""

from __future__ import annotations

import pytest

from keystead.cluster.topology import PRIMARY, REPLICA, Topology, merge, read_nodes, shown

ONE, TWO, THREE = "1" * 40, "2" * 40, "3" * 40
HEALTHY = f"""\
{ONE} 127.0.0.1:7001@17001 myself,master - 0 0 1 connected 0-8191
{TWO} 127.0.0.1:7002@17002 master - 0 1700000000000 2 connected 8192-16382 16383
{THREE} 127.0.0.1:7003@17003 slave {ONE} 0 1700000000000 1 connected
"""
FAILED_OVER = f"""\
{ONE} 127.0.0.1:7001@17001 master,fail - 1700000000000 1700000000000 1 disconnected
{TWO} 127.0.0.1:7002@17002 master - 0 1700000000000 2 connected 8192-16383
{THREE} 127.0.0.1:7003@17003 myself,master - 0 1700000000000 3 connected 0-8191
"""


def topology(*texts: str) -> Topology:
    return merge([read_nodes(text, "127.0.0.1") for text in texts])


def test_primaries_stand_in_the_order_of_their_slots_and_replicas_name_theirs() -> None:
    seen = topology(HEALTHY)
    assert [(node.id, node.slots) for node in seen.primaries] == [(ONE, ((0, 8191),)), (TWO, ((8192, 16383),))]
    assert seen.slots_covered == 16384
    assert seen.uncovered() == []
    replica = seen.nodes[THREE]
    assert (replica.role, replica.primary_id, replica.slots, replica.port) == (REPLICA, ONE, (), 7003)
    assert seen.replicas_of(ONE) == [replica]


def test_every_slot_has_its_node() -> None:
    seen = topology(HEALTHY)
    assert [node.id for slot in (0, 8191, 8192, 16383) if (node := seen.node_of(slot))] == [ONE, ONE, TWO, TWO]


def test_of_two_views_the_greater_epoch_holds_in_whichever_order_they_come() -> None:
    """A primary that was paused while its replica took over still says that the slots are its own."""
    for seen in (topology(HEALTHY, FAILED_OVER), topology(FAILED_OVER, HEALTHY)):
        assert [node.id for node in seen.primaries] == [THREE, TWO]
        assert seen.nodes[ONE].slots == ()
        assert seen.nodes[THREE].role == PRIMARY
        assert seen.nodes[THREE].primary_id is None


def test_what_somebody_doubts_is_doubtful() -> None:
    suspicious = HEALTHY.replace("7002@17002 master", "7002@17002 master,fail?")
    assert topology(HEALTHY, suspicious).nodes[TWO].health == "suspected"
    assert topology(FAILED_OVER).nodes[ONE].health == "failed"
    assert topology(HEALTHY).nodes[TWO].health == "online"


def test_slots_that_nobody_serves_are_told() -> None:
    seen = topology(HEALTHY.replace(" 0-8191", " 0-99 200-8190"))
    assert seen.uncovered() == [(100, 199), (8191, 8191)]
    assert seen.slots_covered == 16384 - 101
    assert seen.node_of(150) is None


def test_slots_on_their_way_are_still_their_owners() -> None:
    moving = HEALTHY.replace("0-8191", f"0-8191 [5->-{TWO}]").replace("16383\n", f"16383 [5-<-{ONE}]\n")
    assert topology(moving) == topology(HEALTHY)


def test_a_node_that_knows_no_address_of_its_own_is_where_it_was_asked() -> None:
    view = read_nodes(HEALTHY.replace("127.0.0.1:7001", ":7001"), "node-a.example")
    assert [node.address for node in view] == [("node-a.example", 7001), ("127.0.0.1", 7002), ("127.0.0.1", 7003)]


def test_members_to_be_and_lost_addresses_are_left_out() -> None:
    others = f"{'4' * 40} 127.0.0.1:7004@17004 handshake - 0 0 0 connected\n{'5' * 40} :0@0 master,noaddr - 1 1 4 x\n"
    assert topology(HEALTHY + others) == topology(HEALTHY)


def test_addresses_of_the_sixth_version_are_understood() -> None:
    node = read_nodes(HEALTHY.replace("127.0.0.1:7001", "2001:db8::1:7001"), "::1")[0]
    assert node.address == ("2001:db8::1", 7001)
    assert node.shown_address == shown(node.address) == "[2001:db8::1]:7001"


@pytest.mark.parametrize(
    ("by_name", "host", "alias"), [(False, "127.0.0.1", "one.example"), (True, "one.example", "127.0.0.1")]
)
def test_a_host_name_is_what_certificates_are_for(by_name: bool, host: str, alias: str) -> None:
    text = HEALTHY.replace("7001@17001", "7001@17001,one.example,shard-id=abc")
    view = read_nodes(text, "127.0.0.1", by_name=by_name)
    assert view[0].host == host
    assert merge([view]).known_as((alias, 7001)) == (host, 7001)
    assert merge([view]).known_as(("elsewhere", 7001)) == ("elsewhere", 7001)


@pytest.mark.parametrize("text", ["hello", "a b c d e f g\n", HEALTHY.replace(" 0-8191", " some")])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_nodes(text, "127.0.0.1")
