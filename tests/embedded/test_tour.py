"""docs/embedded.md tells the truth: its blocks run, and print what they say."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from servers import Server

PAGE = Path(__file__).parents[2] / "docs" / "embedded.md"


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def printed(block: str) -> list[str]:
    """What a block says it prints: comments behind a print, and lines that are nothing but an indented comment."""
    comments = re.findall(r"^(?: *print\(.*\)|    +) *# (.*)$", block, re.MULTILINE)
    return [comment.rstrip() for comment in comments]


def test_the_page_says_what_happens(keystead: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tour = ModuleType("tour")
    monkeypatch.setitem(sys.modules, "tour", tour)
    found = blocks()
    assert len(found) >= 7
    for block in found:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            program = block.replace("127.0.0.1:7379", f"127.0.0.1:{keystead.port}")
            exec(compile(program, str(PAGE), "exec", dont_inherit=True), vars(tour))
        assert output.getvalue().splitlines() == printed(block)


def test_the_page_names_every_error_and_option() -> None:
    import keystead
    from keystead.embedded.opening import OpenOptions

    text = PAGE.read_text()
    for option in OpenOptions.__annotations__:
        assert f"`{option}`" in text or f"{option}=" in text, option
    raised = set(keystead.__all__) - {"KeysteadError", "OpenError", "HandleUnusable", "WriteRefused", "PortTaken"}
    for name in raised - {"Store", "Transaction", "__version__"}:
        assert name in text, name
