"""What type checkers make of stores: mypy --strict infers keys and values from how a store was opened."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import dataclasses
import keystead

@dataclasses.dataclass
class User:
    name: str

reveal_type(keystead.open("d"))  # Store[str, bytes]
reveal_type(keystead.open("d", keys="str"))  # Store[str, bytes]
reveal_type(keystead.open("d", keys="bytes"))  # Store[bytes, bytes]
reveal_type(keystead.open("d", keys=bytes, db=3))  # Store[bytes, bytes]
reveal_type(keystead.open("d", values=keystead.text))  # Store[str, str]
reveal_type(keystead.open("d", values=keystead.json))  # Store[str, Any]
reveal_type(keystead.open("d", values=keystead.json(int)))  # Store[str, int]
reveal_type(keystead.open("d", values=keystead.msgpack(User), fsync="never"))  # Store[str, User]
reveal_type(keystead.open("d", keys=bytes, values=keystead.msgpack(list[User])))  # Store[bytes, list[User]]
reveal_type(keystead.connect("redis://h"))  # Store[str, bytes]
reveal_type(keystead.connect("redis://h", keys=bytes, values=keystead.text))  # Store[bytes, str]

with keystead.open("d", values=keystead.msgpack(User)) as db:
    reveal_type(db)  # Store[str, User]
    reveal_type(db["a"])  # User
    reveal_type(db.get("a"))  # User | None
    reveal_type(db.get("a", 5))  # User | int
    reveal_type(db.pop("a"))  # User
    reveal_type(db.pop("a", None))  # User | None
    reveal_type(dict(db))  # dict[str, User]
    reveal_type(list(db.items(prefix="a")))  # list[tuple[str, User]]
    reveal_type(db.ttl("a"))  # float | None
    reveal_type(db.increment("a"))  # int
    reveal_type(db.get_many(["a"]))  # dict[str, User]
    with db.transaction() as tx:
        reveal_type(tx)  # Transaction[str, User]
        reveal_type(tx["a"])  # User

async def main() -> None:
    reveal_type(await db.aget("a"))  # User | None
    reveal_type(await db.apop("a"))  # User
    async with db.atransaction() as tx:
        reveal_type(tx["a"])  # User
    async for pair in db.aitems():
        reveal_type(pair)  # tuple[str, User]
"""

WRONG = """
import keystead
db = keystead.open("d")
db["a"] = "text"
db[b"a"] = b"bytes"
db.set("a", 5)
keystead.open("d", fsync="sometimes")
keystead.open("d", maxmemroy=5)
keystead.open("d", values="json")
keystead.open("d", keys=int)
"""


def mypy(program: str, tmp_path: Path) -> list[str]:
    file = tmp_path / "program.py"
    file.write_text(textwrap.dedent(program))
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", str(tmp_path), str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=tmp_path, check=False)
    return ended.stdout.splitlines()


def plain(kind: str) -> str:
    """A type without its modules."""
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", kind)


def test_keys_and_values_are_inferred(tmp_path: Path) -> None:
    output = mypy(PROGRAM, tmp_path)
    found = [plain(line.split('"')[1]) for line in output if "Revealed type" in line]
    stated = [line.split("# ")[1] for line in PROGRAM.splitlines() if "reveal_type" in line]
    assert found == stated
    assert [line for line in output if ": error:" in line] == []


def test_wrong_uses_are_errors(tmp_path: Path) -> None:
    lines = {int(line.split(":")[1]) for line in mypy(WRONG, tmp_path) if ": error:" in line}
    assert lines == set(range(4, 11))
