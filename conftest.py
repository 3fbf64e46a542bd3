"""What holds for every test in CI: nothing is skipped, and what is tested is the installed wheel.

A test that cannot run there is a failure, not a gap. What hypothesis draws is the same in every run there, so that a
change is not refused for a difference it did not make; `make fuzz` and every other run draw anew.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

import keystead

IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false", "no")


settings.register_profile("ci", derandomize=True)
if IN_CI:
    settings.load_profile("ci")


def pytest_configure() -> None:
    package = Path(keystead.__file__).resolve()
    if IN_CI and package.is_relative_to(Path(__file__).parent / "src"):
        raise pytest.UsageError(f"CI tests the wheel, but keystead was imported from {package}; run: make test")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of what only Linux has (strace, tmpfs, control groups) do not exist elsewhere, so they are not skipped."""
    if sys.platform != "linux":
        linux = [item for item in items if item.get_closest_marker("linux")]
        config.hook.pytest_deselected(items=linux)
        items[:] = [item for item in items if item not in linux]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item,
    call: pytest.CallInfo[None],  # noqa: ARG001  # pytest passes by name
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        vars(report).pop("wasxfail", None)  # with it pytest would show a failure and still exit with 0
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report
