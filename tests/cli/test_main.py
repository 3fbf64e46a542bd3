"""The command line as a stranger meets it: help, mistakes, exit statuses."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.stores import keystead
from keystead import __version__, errors
from keystead.cli import COMMANDS, EXIT_CODES, main


def test_without_a_command_the_overview_is_shown_as_an_error() -> None:
    run = keystead()
    assert run.status == 2
    assert "usage: keystead COMMAND" in run.errors


def test_help_lists_every_command_and_every_exit_status() -> None:
    run = keystead("--help")
    assert (run.status, run.errors) == (0, "")
    for name, command in COMMANDS.items():
        assert f"\n  {name:<11} {command.summary}" in run.output
    for status in EXIT_CODES:
        assert f"\n  {status:<11}" in run.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_in_lines_that_fit_a_terminal(name: str) -> None:
    run = keystead(name, "--help")
    assert (run.status, run.errors) == (0, "")
    assert re.match(rf"usage: keystead {name} [A-Za-z .\[\]-]*\[OPTIONS\]", run.output)
    assert max(map(len, run.output.splitlines())) <= 80


def test_the_version_is_that_of_the_package() -> None:
    assert keystead("--version").output == f"keystead {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["serv"], 2, "there is no command serv; did you mean serve? (keystead --help lists them)"),
        (["qqq"], 2, "there is no command qqq (keystead --help lists them)"),
        (["serve", "--prot", "1"], 78, "unknown option --prot; did you mean --port?"),
        (["serve", "--maxclients=1"], 78, "unknown option --maxclients; did you mean --max-clients?"),
        (["serve", "--dirr", "x"], 78, "unknown option --dirr; did you mean --dir?"),
        (["check", "--repare"], 2, "unknown option --repare; did you mean --repair?"),
        (["serve", "--port"], 2, "argument --port: expected one argument; keystead serve --help tells the options"),
        (["serve", "--port", "x"], 78, '--port "x": argument couldn\'t be parsed into an integer'),
        (
            ["bench", "--clients", "0"],
            2,
            "argument --clients: 0 is not a whole number above zero; keystead bench --help tells the options",
        ),
    ],
)
def test_a_mistake_is_one_line_that_says_what_was_meant(arguments: list[str], status: int, message: str) -> None:
    run = keystead(*arguments)
    assert (run.status, run.output, run.errors) == (status, "", f"keystead: {message}\n")


def test_a_directory_given_without_its_option_is_understood(tmp_path: Path) -> None:
    run = keystead("check", tmp_path)
    assert run.status == 2
    assert run.errors == f"keystead: unexpected argument {tmp_path}; did you mean --dir {tmp_path}?\n"


@pytest.mark.parametrize("name", ["check", "dump", "compact"])
def test_a_command_that_only_reads_makes_no_store(tmp_path: Path, name: str) -> None:
    run = keystead(name, "--dir", tmp_path / "none")
    assert run.status == 73
    assert run.errors.endswith("there is no such directory\n")
    assert keystead(name, "--dir", tmp_path).errors.endswith("there is no Keystead data in it\n")
    assert list(tmp_path.iterdir()) == []


def test_every_exit_status_of_an_error_is_documented() -> None:
    def below(error: type[errors.KeysteadError]) -> set[int]:
        return {error.exit_code}.union(*(below(child) for child in error.__subclasses__()))

    assert below(errors.KeysteadError) <= set(EXIT_CODES)


def test_an_error_of_the_disk_is_a_line_and_status_74(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["load", str(tmp_path / "none.jsonl"), "--dir", str(tmp_path / "store")]) == 74
    assert capsys.readouterr().err == f"keystead: {tmp_path / 'none.jsonl'}: No such file or directory\n"


def test_a_reader_that_goes_away_is_no_error_message(tmp_path: Path) -> None:
    lines = "".join(f'{{"key":"k{number}","value":"{"v" * 200}"}}\n' for number in range(2000))
    assert keystead("load", "--dir", tmp_path / "store", text=lines).status == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "keystead", "dump", "--dir", str(tmp_path / "store")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    errors_shown = process.stderr.read()
    process.stderr.close()
    process.wait(60)
    assert errors_shown == b""


def test_help_loads_neither_the_engine_nor_the_server() -> None:
    code = "import sys; from keystead.cli import main; main(['--help']); print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = set(shown.splitlines()[-1].split())
    assert not loaded & {
        "asyncio",
        "uvloop",
        "hiredis",
        "redis",
        "msgspec",
        "argparse",
        "keystead.engine",
        "keystead.server",
    }


def test_the_module_is_the_command(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("keystead")
    shown = subprocess.run(
        [script, "--version"], capture_output=True, text=True, check=True, cwd=tmp_path, env=os.environ
    )
    assert shown.stdout == keystead("--version").output
