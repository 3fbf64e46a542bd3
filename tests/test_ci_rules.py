"""The rules of conftest.py at the root: in CI a skip is a failure."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

CASES = {
    "a mark": "import pytest\n@pytest.mark.skip(reason='no disk')\ndef test_it(): pass\n",
    "a call": "import pytest\ndef test_it(): pytest.skip('no disk')\n",
    "a fixture": "import pytest\n@pytest.fixture\ndef disk(): pytest.skip('no disk')\ndef test_it(disk): pass\n",
    "a module": "import pytest\npytest.skip('no disk', allow_module_level=True)\n",
    "an import": "import pytest\npytest.importorskip('nosuchmodule')\n",
    "an expected failure": "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False\n",
}


def run(folder: Path, source: str, ci: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "conftest.py", folder)
    (folder / "test_case.py").write_text(source + "\ndef test_that_passes(): pass\n")
    environment = {**os.environ, "CI": ci, "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(folder), "-c", os.devnull]
    return subprocess.run(
        [*command, str(folder)], capture_output=True, text=True, env=environment, timeout=60, cwd=folder
    )


@pytest.mark.parametrize("case", CASES)
def test_in_ci_a_skip_is_a_failure_that_says_why(case: str, tmp_path: Path) -> None:
    done = run(tmp_path, CASES[case], ci="true")
    assert done.returncode != 0
    assert "CI does not allow" in done.stdout


@pytest.mark.parametrize("case", CASES)
def test_elsewhere_it_is_a_skip(case: str, tmp_path: Path) -> None:
    done = run(tmp_path, CASES[case], ci="")
    assert done.returncode in (0, 5), done.stdout  # 5: no test was collected
    assert re.search(r"1 (skipped|xfailed)", done.stdout)


def test_in_ci_what_passes_passes(tmp_path: Path) -> None:
    assert run(tmp_path, "", ci="true").returncode == 0
