"""The page of metrics: figures as they are, both formats, and no label that somebody else could choose."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pytest
from prometheus_client import parser
from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser as openmetrics

from executors import Stage
from keystead.server.meters import Meters
from keystead.server.metrics_page import MetricsPage
from keystead.server.operations_writer import OperationsWriter

LABELS = {
    "db",
    "error",
    "in",
    "le",
    "limit",
    "protocol",
    "python",
    "reason",
    "status",
    "version",
}
"""All that there are while commands are not timed. Each has a handful of values, whatever clients do."""


class Page:
    """A page on an executor without sockets."""

    def __init__(self, executor_stage: Stage, handshakes: Any = None) -> None:
        self.meters = Meters()
        self.operations = OperationsWriter(None, text=True)
        self._page = MetricsPage(executor_stage.executor, self.meters, self.operations, handshakes, lambda: 10.0)

    def text(self, accept: str = "") -> str:
        return self._page.render(accept)[1].decode()

    def families(self) -> dict[str, Metric]:
        return {family.name: family for family in parser.text_string_to_metric_families(self.text())}

    def figure(self, name: str, **labels: str) -> float:
        for family in self.families().values():
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return sample.value
        raise KeyError(name)


@pytest.fixture
def page(executor_stage: Stage) -> Page:
    return Page(executor_stage)


def test_data_is_counted_by_database(executor_stage: Stage, page: Page) -> None:
    client = executor_stage.client()
    for line in ("SET a 1", "SET b 1 EX 100", "SELECT 3", "SET c 1", "GET c", "GET d"):
        client(line)
    assert (page.figure("keystead_keys", db="0"), page.figure("keystead_keys", db="3")) == (2, 1)
    assert page.figure("keystead_expiring_keys", db="0") == 1
    assert page.figure("keystead_keyspace_hits_total") == 1
    assert page.figure("keystead_keyspace_misses_total") == 1
    assert page.figure("keystead_commands_total") >= 6
    assert page.figure("keystead_memory_used_bytes") == executor_stage.executor.engine.used_bytes()
    assert page.figure("keystead_connections", protocol="resp") == 1


def test_refused_writes_are_shown_by_reason_now_and_in_all(executor_stage: Stage, page: Page) -> None:
    client, engine = executor_stage.client(), executor_stage.executor.engine
    engine.refusal = "OOM command not allowed when used memory > 'maxmemory'."
    engine.on_refusal_change()
    client("SET k v")
    assert page.figure("keystead_refusing_writes", reason="memory") == 1
    assert page.figure("keystead_refusing_writes", reason="disk") == 0
    assert page.figure("keystead_refused_writes_total", reason="memory") == 1


def test_histograms_have_every_bucket_from_fifty_microseconds_on(page: Page) -> None:
    page.meters.fsync.observe(0.00004)
    page.meters.fsync.observe(100)
    for name in ("fsync_seconds", "commit_seconds", "durable_lag_seconds", "loop_lag_seconds"):
        family = page.families()[f"keystead_{name}"]
        assert family.type == "histogram"
        bounds = [sample.labels["le"] for sample in family.samples if sample.name.endswith("_bucket")]
        assert (float(bounds[0]), bounds[-1]) == (0.00005, "+Inf")
    assert page.figure("keystead_fsync_seconds_bucket", le="5e-05") == 1
    assert page.figure("keystead_fsync_seconds_count") == 2
    assert page.families()["keystead_commit_transactions"].type == "histogram"


def test_the_lag_now_is_that_of_this_moment(page: Page) -> None:
    page.meters.turn_ended(7.5, 1, "always")
    assert page.figure("keystead_durable_lag_now_seconds") == 2.5


def test_both_formats_are_valid_and_say_the_same(page: Page) -> None:
    plain = {name for name in page.families() if name.startswith("keystead_")}
    text = page.text("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    families = list(openmetrics.text_string_to_metric_families(text))
    assert {family.name for family in families if family.name.startswith("keystead_")} == plain
    assert all(family.documentation for family in families)


def test_no_label_can_be_chosen_by_clients(executor_stage: Stage, page: Page) -> None:
    client = executor_stage.client()
    for line in ("SET chosen-key v", "CLIENT SETNAME chosen-name", "ACL SETUSER chosen-user on", "chosen-command x"):
        client(line)
    text = page.text()
    assert "chosen" not in text
    names = {name for family in page.families().values() for sample in family.samples for name in sample.labels}
    assert names <= LABELS


def test_errors_are_counted_by_their_first_word_and_there_are_never_many_words(
    executor_stage: Stage, page: Page
) -> None:
    client = executor_stage.client()
    for number in range(1000):
        client(f"chosen{number} x")
    client("SET k v")
    client("GETRANGE k x 1")
    samples = page.families()["keystead_error_replies"].samples
    assert {sample.labels["error"] for sample in samples} == {"ERR"}


def test_commands_are_shown_one_by_one_only_while_they_are_timed(executor_stage: Stage, page: Page) -> None:
    client = executor_stage.client()
    client("SET k v")
    assert "keystead_command_calls" not in page.families()
    client("CONFIG SET latency-tracking yes")
    client("SET k v")
    client("INCR k")
    assert page.figure("keystead_command_calls_total", command="set") == 1
    assert page.figure("keystead_command_failures_total", command="incr") == 1
    assert page.figure("keystead_command_seconds_total", command="set") > 0


def test_handshakes_are_shown_where_tls_is_served(executor_stage: Stage, page: Page) -> None:
    assert "keystead_tls_handshakes" not in page.families()
    handshakes = cast("Any", _Handshakes())
    shown = Page(executor_stage, handshakes)
    assert shown.figure("keystead_tls_handshakes") == 3
    assert shown.figure("keystead_tls_failed_handshakes_total", reason="timeout") == 2


class _Handshakes:
    def __init__(self) -> None:
        self.failures = Counter(timeout=2)

    def __len__(self) -> int:
        return 3


def test_what_is_stored_is_shown_by_what_it_is(executor_stage: Stage, page: Page) -> None:
    engine = executor_stage.executor.engine
    executor_stage.client()("SET k v")
    engine.end_turn()
    engine.sync()
    stored = sum(page.figure("keystead_stored_bytes", **{"in": part}) for part in ("checkpoint", "log", "history"))
    assert stored == engine.info().stored_bytes > 0
    assert page.figure("keystead_log_durable_bytes_total") == engine.info().durable_position
    assert page.figure("keystead_disk_free_bytes") > 0


def test_lines_that_were_dropped_are_shown(page: Page) -> None:
    page.operations.dropped = 5
    assert page.figure("keystead_operations_log_dropped_total") == 5
