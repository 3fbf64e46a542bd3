"""docs/alerts.yml: rules that Prometheus takes, about figures that exist, each with its row on the page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import Metric, parser

from executors import Stage
from http_client import HttpConnection
from keystead.server.meters import Meters
from keystead.server.metrics_page import MetricsPage
from keystead.server.operations_writer import OperationsWriter
from servers import HttpServer

DOCS = Path(__file__).parent.parent / "docs"
PAGES = {"keystead": "operations.md", "keystead-cluster": "cluster.md"}
"""Where each group of rules is explained."""
FIELDS = {"alert", "expr", "for", "labels", "annotations"}
OF_THE_TARGET = {"up"}
"""What Prometheus itself knows of who it asks."""


def rules() -> dict[str, list[dict[str, Any]]]:
    groups = yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"]
    assert all(set(group) == {"name", "rules"} for group in groups)
    return {group["name"]: group["rules"] for group in groups}


GROUPS = rules()
RULES = [rule for group in GROUPS.values() for rule in group]


def figures(expression: str) -> list[promql_parser.VectorSelector]:
    """Every figure that the expression asks for."""
    found: list[promql_parser.VectorSelector] = []

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        elif isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def labels_of(families: Iterable[Metric]) -> dict[str, set[str]]:
    """The labels of every figure of a page."""
    found: dict[str, set[str]] = {}
    for family in families:
        for sample in family.samples:
            found.setdefault(sample.name, {"instance", "job"}).update(sample.labels)
    return found


def check_figures(rule: dict[str, Any], samples: dict[str, set[str]]) -> None:
    """It asks for what the page has."""
    for figure in figures(rule["expr"]):
        if figure.name not in OF_THE_TARGET:
            assert figure.name in samples
            assert {matcher.name for matcher in figure.matchers.matchers} <= samples[figure.name]
    asked = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    known = set().union(*(samples.get(str(figure.name), {"instance", "job"}) for figure in figures(rule["expr"])))
    assert asked <= known


def test_there_are_as_many_as_the_page_says() -> None:
    assert [len(group) for group in GROUPS.values()] == [6, 5]
    assert len({rule["alert"] for rule in RULES}) == 11


@pytest.mark.parametrize("group", GROUPS)
def test_each_has_its_row_on_the_page(group: str) -> None:
    page = (DOCS / PAGES[group]).read_text()
    assert re.findall(r"^\| `(Keystead\w+)` \|", page, re.MULTILINE) == [rule["alert"] for rule in GROUPS[group]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_is_one_that_prometheus_takes(rule: dict[str, Any]) -> None:
    assert set(rule) == FIELDS
    assert promql_parser.parse_duration(rule["for"]).total_seconds() > 0
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"].count("{{") == rule["annotations"]["summary"].count("}}") > 0
    assert figures(rule["expr"])


@pytest.mark.parametrize("rule", GROUPS["keystead"], ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_figures_and_labels_that_a_server_has(rule: dict[str, Any], executor_stage: Stage) -> None:
    page = MetricsPage(executor_stage.executor, Meters(), OperationsWriter(None, text=True), None, lambda: 0.0)
    check_figures(rule, labels_of(page.collect()))


@pytest.mark.parametrize("rule", GROUPS["keystead-cluster"], ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_figures_and_labels_that_a_front_door_has(rule: dict[str, Any], front_door: HttpServer) -> None:
    http = HttpConnection(front_door.http_address)
    page = http.ask("GET", "/metrics").body.decode()
    http.close()
    check_figures(rule, labels_of(parser.text_string_to_metric_families(page)))
