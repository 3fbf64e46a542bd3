"""The checker must find what is wrong and accept what is right; then what servers really do is recorded and checked."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from durability.linearizability import NEVER, UNKNOWN, Operation, effect, violations
from durability.recorder import record

if TYPE_CHECKING:
    from servers import Server

K = b"k"


def op(kind, argument, result, called_at, returned_at=None):
    if returned_at is None:
        return Operation(K, kind, argument, UNKNOWN, called_at, NEVER)
    return Operation(K, kind, argument, result, called_at, returned_at)


def invented(seed: int, clients: int = 6, length: int = 300) -> list[Operation]:
    """A linearizable history: operations take effect at one moment inside a random span around it."""
    rng = random.Random(seed)
    value, history = None, []
    free_at = [0.0] * clients
    now = 0.0
    for number in range(length):
        now += rng.random()
        client = min(range(clients), key=lambda c: free_at[c])
        moment = max(now, free_at[client] + 0.001)
        now = moment
        kind = rng.choice(("get", "get", "set", "delete", "incr", "setnx", "getset"))
        argument = None if kind in ("get", "delete", "incr") else 1000 + number
        called_at = max(free_at[client], moment - 5 * rng.random())
        value, result = effect(value, kind, argument)
        returned_at = free_at[client] = moment + 5 * rng.random()
        history.append(Operation(K, kind, argument, result, called_at, returned_at, str(client)))
    return history


def test_one_after_another_is_linearizable():
    history = [
        op("set", 1, None, 0, 1),
        op("get", None, 1, 2, 3),
        op("delete", None, 1, 4, 5),
        op("get", None, None, 6, 7),
    ]
    assert violations(history) == []


def test_a_stale_read_is_found():
    history = [op("set", 1, None, 0, 1), op("set", 2, None, 2, 3), op("get", None, 1, 4, 5)]
    assert len(violations(history)) == 1


def test_a_read_of_a_value_never_written_is_found():
    assert violations([op("set", 1, None, 0, 1), op("get", None, 7, 0, 9)])


def test_a_lost_update_is_found():
    history = [op("incr", None, 1, 0, 3), op("incr", None, 1, 1, 4)]
    assert violations(history)


def test_two_winners_of_setnx_are_found():
    assert violations([op("setnx", 1, 1, 0, 5), op("setnx", 2, 1, 1, 6)])


def test_reads_that_go_back_in_time_are_found():
    """The write is still under way, so either value is right, but not the new one and then the old one."""
    history = [op("set", 1, None, 0, 1), op("set", 2, None, 2, 9), op("get", None, 2, 3, 4), op("get", None, 1, 5, 6)]
    assert violations(history)


def test_a_read_beside_a_write_may_see_either_value():
    for seen in (1, 2):
        history = [op("set", 1, None, 0, 1), op("set", 2, None, 2, 9), op("get", None, seen, 3, 4)]
        assert violations(history) == []


def test_an_unknown_outcome_may_have_taken_effect_or_not():
    lost = op("set", 2, UNKNOWN, 2)
    for seen in (1, 2):
        assert violations([op("set", 1, None, 0, 1), lost, op("get", None, seen, 8, 9)]) == []


def test_an_unknown_outcome_may_take_effect_late_but_once():
    late = [op("set", 1, None, 0, 1), op("set", 2, UNKNOWN, 2), op("get", None, 1, 3, 4), op("get", None, 2, 5, 6)]
    assert violations(late) == []
    assert violations([*late, op("get", None, 1, 7, 8)])


def test_an_unknown_outcome_explains_nothing_before_its_call():
    assert violations([op("set", 1, None, 0, 1), op("get", None, 2, 2, 3), op("set", 2, UNKNOWN, 4)])


def test_keys_do_not_matter_to_each_other():
    other = replace(op("get", None, None, 2, 3), key=b"other")
    assert violations([op("set", 1, None, 0, 1), other]) == []


def test_initial_values_count():
    assert violations([op("get", None, 5, 0, 1)], {K: 5}) == []
    assert violations([op("get", None, 5, 0, 1)])


@pytest.mark.parametrize("seed", range(20))
def test_invented_linearizable_histories_are_accepted(seed: int):
    assert violations(invented(seed)) == []


@pytest.mark.parametrize("seed", range(20))
def test_lost_replies_are_accepted(seed: int):
    """Forgetting how some operations ended leaves every explanation there was."""
    rng = random.Random(seed)
    history = [replace(o, result=UNKNOWN, returned_at=NEVER) if rng.random() < 0.1 else o for o in invented(seed)]
    assert violations(history) == []


@pytest.mark.parametrize("seed", range(20))
def test_a_spoiled_result_among_hundreds_is_found(seed: int):
    rng = random.Random(seed)
    history = invented(seed)
    at = rng.choice([number for number, o in enumerate(history) if o.kind in ("get", "getset", "incr")])
    history[at] = replace(history[at], result=(history[at].result or 0) + 100_000)
    assert violations(history)


def tiny_history(rng: random.Random) -> list[Operation]:
    """A few operations with results that may or may not be possible together."""
    history = []
    for number in range(rng.randint(2, 6)):
        kind = rng.choice(("get", "set", "delete", "incr", "setnx", "getset"))
        argument = number + 1 if kind in ("set", "setnx", "getset") else None
        results = {"set": [None], "delete": [0, 1], "setnx": [0, 1]}.get(
            kind, [None, 1, 2, 3] if kind != "incr" else [1, 2, 3]
        )
        called_at = rng.randint(0, 8)
        returned_at = None if rng.random() < 0.25 else called_at + rng.randint(1, 5)
        history.append(op(kind, argument, rng.choice(results), called_at + number / 10, returned_at))
    return history


def explained_by_some_order(history: list[Operation]) -> bool:
    """The definition itself: try every order of every choice of lost operations."""
    lost = [o for o in history if o.returned_at == NEVER]
    known = [o for o in history if o.returned_at != NEVER]
    for count in range(len(lost) + 1):
        for chosen in itertools.combinations(lost, count):
            if any(map(explains, itertools.permutations([*known, *chosen]))):
                return True
    return False


def explains(order: tuple[Operation, ...]) -> bool:
    value = None
    for number, operation in enumerate(order):
        value, result = effect(value, operation.kind, operation.argument)
        if operation.returned_at != NEVER and result != operation.result:
            return False
        if any(later.returned_at < operation.called_at for later in order[number + 1 :]):
            return False
    return True


def test_the_search_agrees_with_the_definition():
    rng = random.Random(2)
    verdicts = {True: 0, False: 0}
    for _ in range(2000):
        history = tiny_history(rng)
        right = explained_by_some_order(history)
        assert (violations(history) == []) == right, history
        verdicts[right] += 1
    assert min(verdicts.values()) > 300


@pytest.mark.parametrize("server_name", ["redis", "keystead"])
def test_what_a_server_did_is_linearizable(server_name: str, request: pytest.FixtureRequest):
    """Four keys with eight clients each; a run that did too little proves nothing."""
    server: Server = request.getfixturevalue(server_name)
    history = record(server.address, keys=[b"lin:%d" % n for n in range(4)], clients=8, operations=600, seed=7)
    assert len(history) >= 8 * 600
    assert violations(history) == []
