"""keystead systemd: a unit that systemd takes, that starts this very program, and that gives it few rights."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from cli.stores import keystead
from keystead.cli.systemd import unit
from keystead.config import Settings, load
from keystead.errors import ConfigurationError, DamagedData, DirectoryUnusable, DiskFailure

USAGE = 2
PROGRAM = ["/opt/keystead/bin/keystead"]
MOST_EXPOSED = 2.0
"""Of 10, as systemd counts what a service could do. A server with sockets and helpers stays above 1."""


def values(text: str) -> dict[str, str]:
    """The directives; of one that stands several times, the last."""
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


def analyze(path: Path, *words: str) -> str:
    command = ["systemd-analyze", *words, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.linux
@pytest.mark.parametrize("directory", ["/var/lib/keystead", "/srv/my data/100%/$HOME"])
def test_systemd_understands_every_line_and_finds_little_that_the_service_could_harm(
    tmp_path: Path, directory: str
) -> None:
    path = tmp_path / "keystead.service"
    path.write_text(keystead("systemd", "--dir", directory, "--user", "root").output)
    analyze(path, "verify")
    report = analyze(path, "security", "--offline=true", "--no-pager")
    level = re.search(r"exposure level for keystead.service: ([\d.]+)", report)
    assert level is not None
    assert float(level[1]) < MOST_EXPOSED + 0.5  # run as root for want of another user, which counts


def test_it_starts_the_program_that_printed_it(tmp_path: Path) -> None:
    words = shlex.split(values(keystead("systemd", "--dir", tmp_path / "data").output)["ExecStart"])
    version = subprocess.run([words[0], "--version"], capture_output=True, text=True, timeout=60)
    assert version.stdout.startswith("keystead ")
    assert words[1:] == ["serve", "--dir", str(tmp_path / "data")]


def test_the_settings_file_is_named_by_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "keystead.toml").write_text('dir = "data"\nshutdown-timeout = "40s"\n')
    printed = values(keystead("systemd", "--config", "keystead.toml", cwd=tmp_path).output)
    assert printed["ExecStart"].endswith(f"serve --dir {tmp_path}/data --config {tmp_path}/keystead.toml")
    assert int(printed["TimeoutStopSec"]) > 40, "the server is not killed while it waits for its clients"


def test_a_directory_below_var_lib_is_made_by_systemd_and_any_other_one_is_opened_to_the_server() -> None:
    state = values(unit("keystead", PROGRAM, load({"dir": "/var/lib/keystead"}, {})))
    assert (state["StateDirectory"], "ReadWritePaths" in state) == ("keystead", False)
    other = values(unit("keystead", PROGRAM, load({"dir": "/srv/data"}, {})))
    assert (other["ReadWritePaths"], "StateDirectory" in other) == ("/srv/data", False)


def test_home_directories_are_hidden_unless_the_store_or_the_program_is_in_one() -> None:
    assert values(unit("keystead", PROGRAM, load({"dir": "/srv/data"}, {})))["ProtectHome"] == "yes"
    assert values(unit("keystead", PROGRAM, load({"dir": "/home/ada/data"}, {})))["ProtectHome"] == "read-only"
    program = ["/home/ada/.venv/bin/keystead"]
    assert values(unit("keystead", program, load({"dir": "/srv/data"}, {})))["ProtectHome"] == "read-only"


def test_special_signs_in_paths_stand_for_themselves() -> None:
    printed = unit("keystead", PROGRAM, load({"dir": '/srv/100% "$x"'}, {}))
    assert r'--dir "/srv/100%% \"$$x\""' in printed
    assert r'ReadWritePaths="/srv/100%% \"$x\""' in printed


def test_what_a_restart_cannot_cure_is_not_restarted() -> None:
    prevented = values(unit("keystead", PROGRAM, Settings()))["RestartPreventExitStatus"].split()
    hopeless = {USAGE, DamagedData.exit_code, DirectoryUnusable.exit_code, ConfigurationError.exit_code}
    assert set(map(int, prevented)) == hopeless
    assert DiskFailure.exit_code not in hopeless


def test_only_the_server_is_told_to_stop_for_the_last_sync_needs_its_helper() -> None:
    assert values(unit("keystead", PROGRAM, Settings()))["KillMode"] == "mixed"


@pytest.mark.parametrize("user", ["", "a b", "root\nExecStart=/bin/sh", "ü"])
def test_a_name_that_is_no_system_user_is_refused(user: str) -> None:
    assert keystead("systemd", "--user", user).status == USAGE
