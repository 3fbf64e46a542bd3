"""What ships: the wheel, the pinned packages, and what an import costs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import keystead

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "keystead"
CONSOLE = SOURCE / "server" / "console"
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel as `make wheel` builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (file,) = folder.glob("*.whl")
    return zipfile.ZipFile(file)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def project() -> dict[str, object]:
    table: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return table


# --- the wheel ------------------------------------------------------------------------------------------------------


def test_the_wheel_has_every_module_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    sources = {
        path.relative_to(SOURCE.parent).as_posix()
        for path in SOURCE.rglob("*")
        if path.suffix in (".py", ".typed") or (path.is_file() and CONSOLE in path.parents)
    }
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == sources


def test_the_wheel_says_that_it_is_typed_and_brings_its_licence(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert "keystead/py.typed" in names
    assert [name for name in names if name.endswith("/licenses/LICENSE")]


def test_the_wheel_has_the_version_of_the_package_and_runs_on_any_machine(wheel: zipfile.ZipFile) -> None:
    assert wheel.filename is not None
    assert Path(wheel.filename).name == f"keystead-{keystead.__version__}-py3-none-any.whl"


def test_the_wheel_brings_the_command(wheel: zipfile.ZipFile) -> None:
    (entry_points,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "keystead = keystead.cli:main" in wheel.read(entry_points).decode()


# --- pinned packages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda file: file.name)
def test_every_package_is_pinned_with_hashes(file: Path) -> None:
    entries = re.split(r"^(?=[A-Za-z0-9])", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert entries
    for entry in entries:
        assert PIN.match(entry), entry
        assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", entry)) >= 1, entry


def test_every_dependency_is_pinned_once_and_the_same_everywhere() -> None:
    versions: dict[str, set[tuple[str, str]]] = {}
    for file in REQUIREMENTS:
        for line in file.read_text(encoding="utf-8").splitlines():
            if match := PIN.match(line):
                marker = line.partition(";")[2].strip(" \\")
                versions.setdefault(normal(match[1]), set()).add((match[2], marker))
    assert {name: found for name, found in versions.items() if len({marker for _, marker in found}) != len(found)} == {}


def wanted_by(name: str) -> set[str]:
    """Which packages a pin is there for, as its comment in requirements/run.txt says."""
    page = (ROOT / "requirements/run.txt").read_text(encoding="utf-8")
    entry = re.search(rf"^{re.escape(name)}==.*?(?=^\S|\Z)", page, re.MULTILINE | re.DOTALL)
    comment = entry[0].partition("# via")[2] if entry else ""
    return {normal(other) for other in re.findall(r"[A-Za-z0-9._-]+", comment)}


def test_what_the_project_needs_is_what_is_pinned_to_run_it() -> None:
    table = project()["project"]
    assert isinstance(table, dict)
    needed = {normal(re.split(r"[<>=~! ]", dependency)[0]) for dependency in table["dependencies"]}
    pinned = {normal(name) for name, _ in PIN.findall((ROOT / "requirements/run.txt").read_text(encoding="utf-8"))}
    assert needed <= pinned
    assert {name for name in pinned - needed if not wanted_by(name) & pinned} == set()


def test_no_file_names_a_package_index() -> None:
    files = [
        *REQUIREMENTS,
        *(ROOT / "scripts").iterdir(),
        ROOT / "pyproject.toml",
        ROOT / "Makefile",
        ROOT / ".ci" / "run",
    ]
    files += list((ROOT / ".github").rglob("*.yml"))
    for file in files:
        found = re.findall(r"index-url|find-links=|pypi\.org|/simple\b|trusted-host", file.read_text(encoding="utf-8"))
        assert not found, (file, found)


def test_the_build_tool_is_pinned_in_one_version() -> None:
    table = project()
    build, groups = table["build-system"], table["dependency-groups"]
    assert isinstance(build, dict)
    assert isinstance(groups, dict)
    (required,) = build["requires"]
    assert required in groups["build"]
    assert f"{required} " in (ROOT / "requirements/build.txt").read_text(encoding="utf-8")


# --- what an import costs -------------------------------------------------------------------------------------------


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_keystead_loads_no_event_loop_no_client_and_no_web_framework() -> None:
    heavy = {"asyncio", "uvloop", "redis", "hiredis", "fastapi", "uvicorn", "argparse", "keystead.server"}
    assert loaded_by("import keystead") & heavy == set()


def test_every_module_can_be_imported_by_itself() -> None:
    """No module may depend on another having been imported before it."""
    names = [path.relative_to(SOURCE.parent).with_suffix("").parts for path in SOURCE.rglob("*.py")]
    modules = sorted(".".join(parts).removesuffix(".__init__") for parts in names if parts[-1] != "__main__")
    code = """
import importlib, sys
for name in sys.argv[1:]:
    for known in [known for known in sys.modules if known.split(".")[0] == "keystead"]:
        del sys.modules[known]
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", code, *modules], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
