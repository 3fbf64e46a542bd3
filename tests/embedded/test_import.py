"""What importing costs: nothing that the program did not ask for."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"asyncio", "fastapi", "starlette", "uvicorn", "redis", "uvloop", "hiredis", "msgspec", "keystead.engine"}


def loaded_by(program: str) -> set[str]:
    ended = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(ended.stdout.split())


def test_importing_keystead_loads_next_to_nothing() -> None:
    loaded = loaded_by("import keystead")
    assert loaded & HEAVY == set()
    assert {name for name in loaded if name.startswith("keystead")} == {"keystead", "keystead.errors"}


def test_opening_a_store_loads_neither_asyncio_nor_a_web_framework_nor_a_client(tmp_path) -> None:
    program = f"import keystead\nwith keystead.open({str(tmp_path)!r}) as db: db['a'] = b'1'; list(db.items(prefix=''))"
    assert loaded_by(program) & (HEAVY - {"msgspec", "keystead.engine"}) == set()
