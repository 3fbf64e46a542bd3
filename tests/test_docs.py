"""The build fails when the documentation lies: pages derived from code, options, links, examples."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import keystead as keystead_package
from cli.stores import keystead
from http_client import HttpConnection
from keystead.cli import COMMANDS, EXIT_CODES
from keystead.commands.catalogue import REGISTRY
from keystead.config import declared
from servers import HttpServer, running, start_keystead, start_keystead_http

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of that language in a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", text(path), re.MULTILINE | re.DOTALL)


# --- derived pages --------------------------------------------------------------------------------------------------


def generator() -> ModuleType:
    specification = importlib.util.spec_from_file_location("generate_docs", DOCS / "generate.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(generator().PAGES))
def test_a_derived_page_is_what_the_code_says(name: str) -> None:
    assert text(DOCS / name) == generator().PAGES[name](), "run: make docs"


def test_every_setting_is_documented() -> None:
    page = text(DOCS / "configuration.md")
    assert [name for name in declared() if f"`{name}`" not in page] == []


def test_every_command_is_documented() -> None:
    page = text(DOCS / "commands.md")
    missing = [command.name for command in REGISTRY.values() if command.name.upper().replace("|", " ") not in page]
    assert missing == []


# --- the command line -----------------------------------------------------------------------------------------------


@cache
def options(command: str) -> set[str]:
    return set(OPTION.findall(keystead(command, "--help").output))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_command_line_and_every_option_of_its_own_is_documented(command: str) -> None:
    page = text(DOCS / "operations.md")
    assert f"keystead {command}" in page
    settings = {f"--{name}" for name in declared()} | {f"--{name}-file" for name in declared()} | {"--config", "--help"}
    assert [option for option in options(command) - settings if f"`{option}`" not in page] == []


def test_every_exit_status_is_documented_once() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", text(DOCS / "operations.md"), re.MULTILINE)
    assert {int(status) for status, _ in rows} == set(EXIT_CODES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_keystead_command_that_a_page_shows_exists(page: Path) -> None:
    shown = [line for language in ("sh", "console") for block in blocks(page, language) for line in block.splitlines()]
    shown += re.findall(
        r"`(keystead (?!manifest|snapshot|backups)[a-z].*?)`", text(page)
    )  # first lines of files are no commands
    for line in shown:
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if words[:1] == ["keystead"] and len(words) > 1 and not words[1].startswith("-"):
            assert words[1] in COMMANDS, line
            assert set(OPTION.findall(line)) <= options(words[1]) | {"--help"}, line


def test_every_make_target_that_the_pages_name_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", text(ROOT / "Makefile"), re.MULTILINE))
    named = {target for page in PAGES for target in re.findall(r"\bmake ([a-z]+)\b(?=[`\s]*(?:#|`|\)|$))", text(page))}
    assert {"run", "test"} <= named
    assert named <= targets | {"a"}


# --- links and names ------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page: Path) -> None:
    for target in re.findall(
        r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```", "", text(page), flags=re.MULTILINE | re.DOTALL)
    ):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_source_files_that_a_page_names_exist(page: Path) -> None:
    for name in re.findall(r"`((?:src/keystead|tests|benchmarks|docs)/[\w./-]*)`", text(page)):
        assert (ROOT / name).exists(), name


def test_the_architecture_names_every_package_and_every_module_of_the_engine() -> None:
    page = text(ROOT / "ARCHITECTURE.md")
    package = ROOT / "src" / "keystead"
    names = [f"{path.name}/" for path in package.iterdir() if (path / "__init__.py").exists()]
    names += [path.name for path in (package / "engine").glob("*.py") if path.name != "__init__.py"]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_every_dependency_has_its_reason_in_the_architecture() -> None:
    import tomllib

    project = tomllib.loads(text(ROOT / "pyproject.toml"))["project"]
    names = [re.split(r"[<>=~! ]", dependency)[0] for dependency in project["dependencies"]]
    page = text(ROOT / "ARCHITECTURE.md")
    assert [name for name in names if f"| `{name}` |" not in page] == []


# --- examples -------------------------------------------------------------------------------------------------------


def test_the_tour_in_python_prints_what_it_says(tmp_path: Path) -> None:
    (block,) = blocks(ROOT / "README.md", "python")
    done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == re.findall(r"print\(.*\)\s+# (.*)", block)


def test_every_public_name_and_method_is_documented() -> None:
    page = text(DOCS / "embedded.md")
    names = [name for name in keystead_package.__all__ if not name.startswith("__")]
    methods = [name for name in dir(keystead_package.Store) if not name.startswith("_")]
    missing = [name for name in names + methods if not re.search(rf"\b{name}\b", page)]
    assert missing == []


def test_the_tour_with_redis_cli_does_what_it_says(tmp_path: Path) -> None:
    (block,) = [block for block in blocks(ROOT / "README.md", "console") if block.startswith("$ redis-cli")]
    entries = re.findall(r"^\$ (.*)\n((?:(?!\$).*\n)*)", block, re.MULTILINE)
    assert len(entries) >= 3
    with running(start_keystead(tmp_path / "data")) as server:
        for command, expected in entries:
            words = shlex.split(command.replace("7379", str(server.port)))
            # redis-cli types values only for a terminal; --no-raw asks for the same elsewhere.
            done = subprocess.run([words[0], "--no-raw", *words[1:]], capture_output=True, text=True, timeout=60)
            assert done.stdout == expected, command


def test_the_examples_with_curl_do_what_they_say(tmp_path: Path) -> None:
    """Those of a page build on each other; the README's are a page of their own."""
    for page in (ROOT / "README.md", DOCS / "http.md"):
        shown = [block for block in blocks(page, "console") if block.startswith("$ curl") and "-N" not in block]
        entries = re.findall(r"^\$ (.*)\n((?:(?!\$).*\n)*)", "".join(shown), re.MULTILINE)
        assert len(entries) >= 2, page
        with running(start_keystead_http(tmp_path / page.stem)) as server:
            wait_for_the_index(server)
            for command, expected in entries:
                words = shlex.split(command.replace("7380", str(server.http_port)))
                done = subprocess.run([*words, "-s"], capture_output=True, text=True, timeout=60)
                assert done.stdout == expected.removesuffix("\n"), command


def wait_for_the_index(server: HttpServer) -> None:
    """Listings are refused until it is built, which takes no time here."""
    connection = HttpConnection(server.http_address)
    for _ in range(500):
        if connection.ask("GET", "/v1/keys").status == 200:
            break
        time.sleep(0.02)
    connection.close()


def test_the_lines_of_json_in_the_pages_can_be_loaded(tmp_path: Path) -> None:
    (block,) = blocks(DOCS / "operations.md", "json")
    future = re.sub(r'"expires_at_ms":\d+', '"expires_at_ms":4102444800000', block)
    assert keystead("load", "--dir", tmp_path / "store", text=future).output.startswith("2 keys loaded")
    assert keystead("dump", "--dir", tmp_path / "store").output == "".join(sorted(future.splitlines(True)))
