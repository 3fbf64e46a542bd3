"""Failovers in CI; first that the checker would notice what may not be."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from failover import failover_loop
from failover.clients import outcome
from failover.failover_loop import ADVISED, FailoverLoop, Load, TooLittleWork, Violation, run
from failover.ledger import Ledger
from partitions import ALONE
from wire import CLOSED, Reply, SocketConnection

if TYPE_CHECKING:
    from servers import Server

KEY = b"w:value:1"


def ledger_with(acknowledged: int, *, doubtful: bool = False) -> Ledger:
    ledger = Ledger("w", 20)
    key = ledger.new_key("value")
    for _ in range(acknowledged):
        ledger.acknowledge([key])
    if doubtful:
        ledger.doubt([key])
    return ledger


def settled(ledger: Ledger, value: bytes | None) -> tuple[int, int]:
    """How many writes are lost and how many findings are wrong, when its first key holds this."""
    findings = ledger.settle(lambda keys: [value] * len(keys))
    return findings.lost, len(findings.wrong)


def test_the_last_acknowledged_version_is_right_and_an_older_one_is_a_loss():
    ledger = ledger_with(3)
    assert settled(ledger, ledger.value(KEY, 3)) == (0, 0)
    assert settled(ledger, ledger.value(KEY, 1)) == (2, 0)
    assert settled(ledger_with(3), None) == (3, 0)


def test_a_doubtful_write_may_be_there_or_not():
    for version in (2, 3):
        ledger = ledger_with(2, doubtful=True)
        assert settled(ledger, ledger.value(KEY, version)) == (0, 0)
    ledger = ledger_with(2, doubtful=True)
    assert settled(ledger, ledger.value(KEY, 1)) == (1, 0)


@pytest.mark.parametrize("doubtful", [False, True])
def test_a_version_that_was_never_sent_is_wrong(doubtful: bool):
    ledger = ledger_with(2, doubtful=doubtful)
    assert settled(ledger, ledger.value(KEY, 4)) == (0, 1)


def test_a_refused_write_that_is_there_is_wrong():
    ledger = ledger_with(0)
    assert settled(ledger, ledger.value(KEY, 1)) == (0, 1)


@pytest.mark.parametrize("value", [b"", b"1", b"1 of w:value:2 .....", b"1 of w:value:1 ", b"x"])
def test_a_value_of_another_key_or_of_nobody_is_wrong(value: bytes):
    assert settled(ledger_with(1), value) == (0, 1)


def test_half_a_transaction_is_wrong():
    ledger = Ledger("w", 20)
    one, other = ledger.new_pair()
    ledger.doubt([one, other])
    findings = ledger.settle(lambda keys: [ledger.value(key, 1) if key == one else None for key in keys])
    assert len(findings.wrong) == 1


def test_answers_are_told_apart():
    told = {
        Reply("+", b"OK"): "done",
        CLOSED: "unknown",
        Reply("-", b"UNKNOWNOUTCOME the write may have happened"): "unknown",
        Reply("-", b"CLUSTERDOWN no node serves the slot"): "refused",
        Reply("-", b"MOVED 1 127.0.0.1:1"): None,
        Reply("-", b"ERR internal"): None,
    }
    assert {reply: outcome(reply) for reply in told} == told


def loop_on(server: Server) -> FailoverLoop:
    """Of a server alone: its faults are whatever the test makes of it."""
    connection = server.connect()
    connection.call("FLUSHALL")
    connection.close()
    return FailoverLoop(server, [server.address], 1, Load())  # type: ignore[arg-type]  # only faults look at it


def fault(*words: str) -> Any:
    def happens(server: Server, *_: object) -> float:
        connection = server.connect()
        connection.call(*words)
        connection.close()
        return 0.0

    return happens


def test_a_server_without_faults_passes(redis: Server):
    tally = loop_on(redis).run([("nothing", fault("PING"))])
    assert (tally.lost, tally.unknown) == (0, 0)


def test_a_loss_is_caught(redis: Server):
    with pytest.raises(Violation, match=r"acknowledged writes lost|answered"):
        loop_on(redis).run([("loss", fault("FLUSHALL"))])


def test_a_run_without_work_is_void(redis: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(failover_loop, "ENOUGH_ACKNOWLEDGED", 10**9)
    with pytest.raises(TooLittleWork):
        loop_on(redis).run([("nothing", fault("PING"))])


@pytest.mark.timeout(300)
def test_a_primary_that_comes_back_empty_is_caught_and_one_with_its_log_loses_nothing():
    """What docs/cluster.md warns of: the replica obeys a primary that has no data."""
    with pytest.raises(Violation, match="acknowledged writes lost"):
        run(["crash"], 1, 1)
    assert run(["crash"], 1, 2, more=ADVISED).lost == 0


@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost_when_primaries_are_killed_and_paused(capsys: pytest.CaptureFixture[str]):
    seed = random.randrange(1_000_000)
    tally = run(["kill", "pause"], 3, seed)
    with capsys.disabled():
        print(f"\n  failover, seed {seed}: {tally}")


@pytest.mark.timeout(300)
def test_nothing_is_lost_or_wrong_while_slots_move_a_replica_is_away_or_a_front_door_dies(
    capsys: pytest.CaptureFixture[str],
):
    seed = random.randrange(1_000_000)
    tally = run(["move", "lose-replica", "stall", "kill-door"], 4, seed)
    with capsys.disabled():
        print(f"\n  moves, seed {seed}: {tally}")


@pytest.mark.linux
@pytest.mark.timeout(300)
def test_nothing_is_lost_or_wrong_when_the_network_is_cut(capsys: pytest.CaptureFixture[str]):
    if shutil.which("unshare") is None or subprocess.run([*ALONE, "true"], capture_output=True).returncode != 0:
        pytest.skip("this system gives its users no network namespaces")
    command = [sys.executable, "-m", "failover.failover_loop", "--faults", "cut,cut-off", "--rounds", "2"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    with capsys.disabled():
        print(f"\n  partitions: {done.stdout.splitlines()[-1]}")


def test_a_dead_connection_is_an_unknown_outcome(redis: Server):
    connection = SocketConnection(redis.address)
    connection.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")
    assert outcome(connection.receive()) == "unknown"
    connection.close()
