"""docs/alerts.yml: rules that Prometheus takes, about figures that exist, each with its row on the page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from executors import Stage
from keystead.server.meters import Meters
from keystead.server.metrics_page import MetricsPage
from keystead.server.operations_writer import OperationsWriter

DOCS = Path(__file__).parent.parent / "docs"
FIELDS = {"alert", "expr", "for", "labels", "annotations"}
OF_THE_TARGET = {"up"}
"""What Prometheus itself knows of who it asks."""


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"]
    assert set(group) == {"name", "rules"}
    found: list[dict[str, Any]] = group["rules"]
    return found


RULES = rules()


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


@pytest.fixture
def samples(executor_stage: Stage) -> dict[str, set[str]]:
    """The labels of every figure of the page."""
    page = MetricsPage(executor_stage.executor, Meters(), OperationsWriter(None, text=True), None, lambda: 0.0)
    found: dict[str, set[str]] = {}
    for family in page.collect():
        for sample in family.samples:
            found.setdefault(sample.name, {"instance", "job"}).update(sample.labels)
    return found


def test_there_are_six_and_each_has_its_row_on_the_page() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == 6
    page = (DOCS / "operations.md").read_text()
    assert re.findall(r"^\| `(Keystead\w+)` \|", page, re.MULTILINE) == names


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_is_one_that_prometheus_takes(rule: dict[str, Any]) -> None:
    assert set(rule) == FIELDS
    assert promql_parser.parse_duration(rule["for"]).total_seconds() > 0
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"].count("{{") == rule["annotations"]["summary"].count("}}") > 0
    assert figures(rule["expr"])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_figures_and_labels_that_there_are(rule: dict[str, Any], samples: dict[str, set[str]]) -> None:
    for figure in figures(rule["expr"]):
        if figure.name not in OF_THE_TARGET:
            assert figure.name in samples
            assert {matcher.name for matcher in figure.matchers.matchers} <= samples[figure.name]
    asked = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    known = set().union(*(samples.get(str(figure.name), {"instance", "job"}) for figure in figures(rule["expr"])))
    assert asked <= known
