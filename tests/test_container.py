"""The Dockerfile: what can be known of the image without building it, and its health check, run as it stands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

from keystead.cli import COMMANDS
from keystead.config import declared
from servers import free_port, running, start_keystead_http

ROOT = Path(__file__).parent.parent
RULES = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]


class Instruction(NamedTuple):
    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """Those of the form that starts no shell."""
        found: list[str] = json.loads(self.text)
        return found


def instructions() -> list[list[Instruction]]:
    """Those of each stage, the last one being the image."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    stages: list[list[Instruction]] = [[]]
    for line in filter(None, lines):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            stages.append([])
        stages[-1].append(Instruction(name, rest))
    return stages[1:]


BUILD, IMAGE = instructions()


def only(name: str) -> Instruction:
    (found,) = [instruction for instruction in IMAGE if instruction.name == name]
    return found


def environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in only("ENV").text.split())


def health_check() -> list[str]:
    words: list[str] = json.loads(only("HEALTHCHECK").text.partition("CMD ")[2])
    return words


def is_sent(path: str) -> bool:
    """Whether .dockerignore lets the file into the build: the last rule that fits it, or a folder above it, decides."""
    parts = path.split("/")
    above = ["/".join(parts[: length + 1]) for length in range(len(parts))]
    sent = True
    for rule in RULES:
        pattern = rule.removeprefix("!").replace("**/", "*")
        if any(fnmatch(name, pattern) for name in above):
            sent = rule.startswith("!")
    return sent


def test_every_file_that_is_copied_exists_and_is_sent() -> None:
    copied = [instruction.text.split()[:-1] for instruction in BUILD if instruction.name == "COPY"]
    sources = [source for sources in copied for source in sources]
    assert {"pyproject.toml", "src"} <= set(sources)
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert [source for source in sources if not is_sent(source)] == []


@pytest.mark.parametrize(
    "path", [".git/config", "keystead-data/current", "tls/ca.key", ".venv/bin/python", "tests/wire.py", "users.acl"]
)
def test_data_keys_and_what_only_developers_need_are_not_sent(path: str) -> None:
    assert not is_sent(path)
    assert not is_sent("src/keystead/__pycache__/errors.cpython-313.pyc")


def test_everything_installed_is_pinned_by_its_hash_but_for_what_was_built_here() -> None:
    runs = [instruction.text for instruction in BUILD if instruction.name == "RUN"]
    installs = re.findall(r"pip (?:--python \S+ )?install ([^&]*)", " && ".join(runs))
    assert len(installs) == 3
    assert [words for words in installs if "--require-hashes" not in words and "dist/*.whl" not in words] == []
    assert not any(instruction.text.startswith("pip") for instruction in IMAGE), "what builds stays out of the image"


def test_the_server_is_not_root_and_owns_nothing_but_its_data() -> None:
    user = only("USER").text
    assert re.fullmatch(r"([1-9]\d*):\1", user), "a number, which Kubernetes can check"
    owner = user.partition(":")[0]
    assert f"install -d -o {owner} -g {owner} -m 700 /data" in only("RUN").text
    names = [instruction.name for instruction in IMAGE]
    assert names.index("RUN") < names.index("USER"), "the directory is made by root"
    assert names.index("RUN") < names.index("VOLUME"), "a volume takes the owner that the directory has by then"


def test_it_serves_the_volume_on_every_address_and_no_other_program_is_between() -> None:
    (command,) = only("CMD").words
    assert only("ENTRYPOINT").words == ["keystead"], "signals reach the server itself"
    assert command in COMMANDS
    given = environment()
    names = {setting.environment_name for setting in declared().values()}
    assert {name for name in given if name.startswith("KEYSTEAD_")} <= names
    assert given["KEYSTEAD_DIR"] == only("VOLUME").text
    assert given["KEYSTEAD_HOST"] == "0.0.0.0"
    assert only("EXPOSE").text.split() == [declared()["port"].default, given["KEYSTEAD_HTTP_PORT"]]


def run_health_check(port: int) -> int:
    program, *words = health_check()
    assert program == "python", "the image has no curl"
    variables = os.environ | {"KEYSTEAD_HTTP_PORT": str(port)}
    return subprocess.run([sys.executable, *words], env=variables, capture_output=True, timeout=60).returncode


def test_the_health_check_tells_a_server_that_lives_from_one_that_does_not(tmp_path: Path) -> None:
    with running(start_keystead_http(tmp_path / "data", "--requirepass", "secret")) as server:
        assert run_health_check(server.http_port) == 0
    assert run_health_check(free_port()) == 1


def test_without_a_user_the_container_says_how_to_make_one_and_stops(tmp_path: Path) -> None:
    variables = os.environ | environment() | {"KEYSTEAD_DIR": str(tmp_path), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "keystead", *only("CMD").words]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)
    assert done.returncode == 78
    assert "--requirepass-file" in done.stderr
