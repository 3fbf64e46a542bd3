"""Every command case, asked of a real redis-server and of every door of Keystead: a difference from Redis fails."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cases import ALL_CASES
from cases.differences import DIFFERENT_CASES
from cases.history import HISTORY_CASES
from cases.in_cluster import OTHERWISE, in_one_slot, why_left_out
from cases.play import Peer, differences, perform
from cases.recorded import RECORDED_CASES
from http_door import LOSSY, plays

if TYPE_CHECKING:
    from collections.abc import Callable

    from cases.case import Case
    from in_process import InProcessServer
    from servers import Server
    from wire import Reply

# What this version of Keystead does not have yet; cases that need it are asked of Redis only.
LACKS = frozenset({"collections"})

# One line a door: its name, protocol, what it lacks. `peers` below says how each is reached.
LEFT_OUT_OVER_HTTP = Path(__file__).parent / "cases" / "left_out_over_http.txt"

DOORS: dict[str, tuple[str, int, frozenset[str]]] = {
    "redis-resp2": ("redis", 2, frozenset()),
    "redis-resp3": ("redis", 3, frozenset()),
    "in-process-resp2": ("in_process", 2, LACKS | {"sockets"}),
    "in-process-resp3": ("in_process", 3, LACKS | {"sockets"}),
    "keystead-resp2": ("keystead", 2, LACKS),
    "keystead-resp3": ("keystead", 3, LACKS),
    "keystead-http": ("keystead_http", 3, LACKS | {"connection state"}),
}

CLUSTER_DOORS: dict[str, tuple[str, int, frozenset[str]]] = {
    "cluster-resp2": ("front_door", 2, LACKS),
    "cluster-resp3": ("front_door", 3, LACKS),
    "cluster-http": ("front_door_http", 3, LACKS | {"connection state"}),
}
LEFT_OUT_IN_A_CLUSTER = Path(__file__).parent / "cases" / "left_out_in_a_cluster.txt"


@pytest.fixture(scope="module")
def peer(request: pytest.FixtureRequest) -> Callable[[str], Peer]:
    """The peer behind a door; its server is started when first asked for."""

    @cache
    def of(door: str) -> Peer:
        name, protocol, lacks = (DOORS | CLUSTER_DOORS)[door]
        server: Server | InProcessServer = request.getfixturevalue(name)
        return Peer(door, protocol, server.connect, lacks)

    return of


@pytest.fixture(scope="module")
def oracle(peer: Callable[[str], Peer]) -> Callable[[Case, int], list[Reply]]:
    """What Redis answered to a case: asked when first needed, remembered for the next doors."""
    return lru_cache(maxsize=4)(lambda case, protocol: _performed(case, peer(f"redis-resp{protocol}")))


def needs(case: Case) -> frozenset[str]:
    """What a door must have: what the case says, and what follows from the declarations of its commands."""
    return case.needs if plays(case) else case.needs | {"connection state"}


def _asked(doors: dict[str, tuple[str, int, frozenset[str]]], cases: list[Case]) -> list[object]:
    """Case by case, so that the oracle's clock and the door's are close when times are compared."""
    return [
        pytest.param(door, case, id=f"{door}-{case.id}")
        for case in cases
        for door, (_, protocol, lacks) in doors.items()
        if protocol in case.protocols and not needs(case) & lacks
    ]


@pytest.mark.parametrize(("door", "case"), _asked(DOORS, ALL_CASES))
def test_command_answers_as_redis_does(
    door: str, case: Case, peer: Callable[[str], Peer], oracle: Callable[[Case, int], list[Reply]]
) -> None:
    server, protocol, _ = DOORS[door]
    truth = oracle(case, protocol)
    _compare(case, door, truth if server == "redis" else _performed(case, peer(door)), truth)


OUR_DOORS = {door: how for door, how in DOORS.items() if how[0] != "redis"}


@pytest.mark.parametrize(("door", "case"), _asked(OUR_DOORS, [*RECORDED_CASES, *HISTORY_CASES]))
def test_command_that_redis_7_0_does_not_have_answers_as_recorded(
    door: str, case: Case, peer: Callable[[str], Peer]
) -> None:
    _compare(case, door, _performed(case, peer(door)), None)


@pytest.mark.parametrize(("door", "case"), _asked(DOORS, DIFFERENT_CASES))
def test_command_differs_on_purpose(door: str, case: Case, peer: Callable[[str], Peer]) -> None:
    replies = _performed(case, peer(door))
    if door in OUR_DOORS:
        _compare(case, door, replies, None)
    else:
        assert differences(case, replies, None), f"{case.id}: no difference any more"


@pytest.mark.parametrize(
    ("door", "case"),
    _asked(CLUSTER_DOORS, [case for case in ALL_CASES if why_left_out(case) is None and case.id not in OTHERWISE]),
)
def test_command_in_front_of_a_cluster_answers_as_redis_does(
    door: str, case: Case, peer: Callable[[str], Peer], oracle: Callable[[Case, int], list[Reply]]
) -> None:
    played = in_one_slot(case)
    truth = oracle(played, CLUSTER_DOORS[door][1])
    _compare(played, door, _performed(played, peer(door)), truth)


@pytest.mark.parametrize(("door", "case"), _asked(CLUSTER_DOORS, [case for case in ALL_CASES if case.id in OTHERWISE]))
def test_command_in_front_of_a_cluster_differs_on_purpose(
    door: str, case: Case, peer: Callable[[str], Peer], oracle: Callable[[Case, int], list[Reply]]
) -> None:
    played = in_one_slot(case)
    truth = oracle(played, CLUSTER_DOORS[door][1])
    assert differences(played, _performed(played, peer(door)), truth), f"{case.id}: no difference any more"


def test_the_cases_left_out_in_front_of_a_cluster_are_known_by_name() -> None:
    """With the reason. A case that can be played again is, and one that begins to need what no cluster has is added
    knowingly."""
    assert {case.id for case in ALL_CASES} >= OTHERWISE.keys()
    left_out = sorted(f"{case.id} ({why})" for case in ALL_CASES if (why := why_left_out(case)) is not None)
    assert left_out == LEFT_OUT_IN_A_CLUSTER.read_text(encoding="utf-8").splitlines()


def test_the_cases_left_out_over_http_are_known_by_name() -> None:
    """Those that begin to need the state of a connection are added knowingly; those that no longer do are played."""
    assert {case.id for case in ALL_CASES} >= LOSSY
    left_out = sorted(
        case.id for case in (*ALL_CASES, *RECORDED_CASES, *HISTORY_CASES, *DIFFERENT_CASES) if not plays(case)
    )
    assert left_out == LEFT_OUT_OVER_HTTP.read_text(encoding="utf-8").splitlines()


def _performed(case: Case, peer: Peer) -> list[Reply]:
    try:
        return perform(case, peer)
    except TimeoutError as silence:
        pytest.fail(f"{peer.name}, {case.id}: {silence}", pytrace=False)


def _compare(case: Case, door: str, replies: list[Reply], oracle: list[Reply] | None) -> None:
    wrong = differences(case, replies, oracle)
    if wrong:
        pytest.fail(f"{door}, {case.id}:\n  " + "\n  ".join(wrong), pytrace=False)
