"""The benchmark of a cluster: its clients check what they are answered, and a library that is missing is told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bench import Bench
from benchmarks.cluster_worker import Client, WrongAnswer, measure
from benchmarks.datasets import value
from benchmarks.figures import NotMeasured
from benchmarks.scale import QUICK
from benchmarks.scenarios.cluster import FrontDoor, Sample, _figure, _in_turns
from benchmarks.servers import ServerKind


def client(get_reply: Any) -> Client:
    async def get(_: bytes) -> Any:
        await asyncio.sleep(0.001)
        return get_reply

    async def close() -> None:
        pass

    return Client(get, get, close, True)


def bench(root: Path) -> Bench:
    return Bench(QUICK, ServerKind.parse("keystead"), ServerKind.parse("redis"), root, lambda _: None)


def test_the_program_measures_what_it_was_answered_rightly() -> None:
    figures = asyncio.run(measure(client(value(0)), "get", 3, 10, 0.05))
    assert figures["requests_per_s"] > 0
    assert figures["p50_ms"] <= figures["p99_ms"]
    assert figures["cpu_us"] > 0


def test_a_wrong_answer_ends_the_program() -> None:
    with pytest.raises(WrongAnswer, match="answered None"):
        asyncio.run(measure(client(None), "get", 3, 10, 0.05))


def test_a_front_door_is_told_the_nodes_and_when_to_acknowledge() -> None:
    kind = FrontDoor("keystead", "python", "Keystead", "127.0.0.1:1,127.0.0.1:2", "async")
    command = kind.command(Path("/data"), 7379, "always")
    assert command[command.index("--cluster") + 1] == "127.0.0.1:1,127.0.0.1:2"
    assert command[command.index("--cluster-acknowledge") + 1] == "async"


def test_sides_take_turns_and_the_first_round_is_not_kept(tmp_path: Path) -> None:
    taken: list[str] = []

    def side(name: str) -> Any:
        def take() -> Sample:
            taken.append(name)
            return Sample(float(len(taken)), 1.0, 2.0, 30.0)

        return take

    samples = _in_turns(bench(tmp_path), "", {"a": side("a"), "b": side("b")})
    assert taken == ["a", "b"] * (QUICK.rounds + 1)
    assert [sample.requests_per_s for sample in samples["a"]] == [3.0, 5.0]


def test_a_side_that_fails_in_a_round_leaves_the_others_theirs(tmp_path: Path) -> None:
    def fails() -> Sample:
        raise NotMeasured("it ended")

    samples = _in_turns(bench(tmp_path), "", {"a": fails, "b": lambda: Sample(1.0, 1.0, 1.0, 1.0)})
    assert [len(side) for side in samples.values()] == [0, QUICK.rounds]


def test_a_library_that_is_not_installed_is_told_in_its_row(tmp_path: Path) -> None:
    figure = _figure(bench(tmp_path), "cluster: GET", [Sample(1.0, 1.0, 1.0, 1.0)], [], "GLIDE", None)
    assert figure.verdict == "not run"
    assert "GLIDE" in figure.not_run
