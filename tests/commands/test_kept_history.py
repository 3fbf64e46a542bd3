"""How much history is kept: seen in INFO and among the metrics, changed by CONFIG SET while running."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from prometheus_client.core import Metric

from executors import Client, Stage, stage
from keystead.config import Settings
from keystead.server.app import engine_options
from keystead.server.meters import Meters
from keystead.server.metrics_page import MetricsPage
from keystead.server.operations_writer import OperationsWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_MS = 1_700_000_000_000


class Clock:
    """Turned by hand."""

    now_ms = START_MS

    def __call__(self) -> int:
        return self.now_ms


class Store:
    """A stage whose engine follows CONFIG SET, as a server's does."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.config = directory / "keystead.toml"
        self.config.write_text("")
        self.stage: Stage = stage(directory / "data", wall_ms=self.clock, config_file=self.config)
        self.engine = self.stage.executor.engine
        self.client: Client = self.stage.client()
        self.directory = directory / "data"

    def generation(self) -> None:
        """Something is written, and a checkpoint begins the next generation."""
        self.client("SET k " + "v" * 1000)
        self.housekeep()
        wanted = self.engine.info().generations + 1
        self.engine.request_checkpoint()
        self.housekeep_until(wanted)

    def housekeep(self) -> None:
        """As the server does, with what CONFIG SET has changed."""
        settings: Settings = self.stage.executor.settings
        self.engine.configure(engine_options(settings))
        self.engine.end_turn()
        self.engine.sync()
        self.engine.housekeep(1)

    def housekeep_until(self, generations: int) -> None:
        """So many are there."""
        deadline_s = time.monotonic() + 30
        while self.engine.info().generations != generations:
            assert time.monotonic() < deadline_s
            self.housekeep()
            time.sleep(0.005)

    def info(self) -> dict[str, str]:
        """The section."""
        lines = self.client.text("INFO history").splitlines()
        assert "# History" in lines
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def figures(self) -> dict[str, float]:
        """The metrics without labels."""
        page = MetricsPage(self.stage.executor, Meters(), OperationsWriter(None, text=True), None, lambda: 0.0)
        families: list[Metric] = list(page.collect())
        return {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    built = Store(tmp_path)
    yield built
    built.engine.close()


def test_a_new_store_has_nothing_but_the_present(store: Store) -> None:
    found = store.info()
    assert found["history_generations"] == "1"
    assert found["history_bytes"] == found["history_next_drop_bytes"] == found["history_index_bytes"] == "0"
    assert found["history_first_sequence"] == "1"
    assert found["history_last_sequence"] == "0"
    assert found["history_oldest_time_ms"] == str(START_MS)
    assert found["history_next_drop_sec"] == "-1"
    assert found["history_max_age_sec"] == str(7 * 24 * 3600)
    assert found["history_forgetting"] == "0"


def test_what_is_kept_and_what_goes_next_is_told(store: Store) -> None:
    """In INFO and among the metrics alike; sizes are those of the files."""
    store.generation()
    store.clock.now_ms += 60_000
    store.generation()
    found, figures = store.info(), store.figures()
    sizes = [(store.directory / f"segment-000000000{i}.log").stat().st_size for i in (1, 2)]
    checkpoint = (store.directory / "checkpoint-0000000001.ckp").stat().st_size
    assert int(found["history_generations"]) == figures["keystead_history_generations"] == 3
    assert int(found["history_bytes"]) == sum(sizes) + checkpoint
    assert int(found["history_next_drop_bytes"]) == figures["keystead_history_next_drop_bytes"] == sizes[0]
    assert int(found["history_next_drop_sec"]) == 7 * 24 * 3600 - 60
    assert figures["keystead_history_oldest_timestamp_seconds"] == START_MS / 1000


def test_the_size_of_the_indexes_is_told(store: Store) -> None:
    """Another process builds them: both are as large as the files once it is done."""
    store.generation()

    def sizes() -> set[float]:
        on_disk = sum(path.stat().st_size for path in store.directory.glob("*.idx"))
        return {on_disk, int(store.info()["history_index_bytes"]), store.figures()["keystead_history_index_bytes"]}

    deadline_s = time.monotonic() + 30
    while len(found := sizes()) > 1 or found == {0}:
        assert time.monotonic() < deadline_s
        store.housekeep()
        time.sleep(0.005)


def test_a_smaller_size_takes_effect_at_the_next_step(store: Store) -> None:
    store.generation()
    store.generation()
    assert store.info()["history_generations"] == "3"
    assert store.client("CONFIG SET history-max-bytes 0") == b"+OK\r\n"
    store.housekeep_until(1)
    found = store.info()
    assert (found["history_first_sequence"], found["history_bytes"], found["history_max_bytes"]) == ("3", "0", "0")
    assert sorted(path.name for path in store.directory.glob("checkpoint-*")) == ["checkpoint-0000000002.ckp"]


def test_a_shorter_age_takes_effect_at_the_next_step(store: Store) -> None:
    store.generation()
    store.clock.now_ms += 3_000_000
    store.generation()
    assert store.client("CONFIG SET history-max-age 10m") == b"+OK\r\n"
    store.housekeep_until(2)
    assert store.info()["history_first_sequence"] == "2"
    assert store.figures()["keystead_history_max_age_seconds"] == 600


def test_what_was_set_is_written_to_the_file(store: Store) -> None:
    store.client.pipeline("CONFIG SET history-max-age 30d history-max-bytes 5gb", "CONFIG REWRITE")
    written = store.config.read_text()
    assert f'history-max-age = "{30 * 24 * 3600}"' in written
    assert f'history-max-bytes = "{5 << 30}"' in written


def test_the_section_is_among_all_and_everything_and_the_default(store: Store) -> None:
    for line in ("INFO", "INFO all", "INFO everything"):
        assert "# History" in store.client.text(line)
