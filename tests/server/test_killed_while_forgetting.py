"""A server that is killed while it forgets: what was answered is true, and a start finds the old files or the new."""

from __future__ import annotations

import contextlib
import threading
import time
from random import Random
from typing import TYPE_CHECKING

from cli.stores import keystead
from servers import running, start_keystead

if TYPE_CHECKING:
    from pathlib import Path

    from servers import Server

KILLS = 6
LONGEST_S = 1.2
"""About what forgetting takes in a small store."""


def files_with(server: Server, word: bytes) -> list[str]:
    return [
        path.name
        for path in server.directory.iterdir()
        if path.suffix in (".log", ".ckp") and word in path.read_bytes()
    ]


def test_what_was_answered_is_true_whenever_the_server_dies(tmp_path: Path) -> None:
    random = Random(5)
    directory = tmp_path / "data"
    kept = 0
    for number in range(KILLS):
        key, secret = f"key-{number}", b"secret-%d." % number
        with running(start_keystead(directory)) as server:
            connection = server.connect()
            for _ in range(3):
                connection.call("SET", key, secret)
                connection.call("INCR", "kept")
                connection.call("SAVE")
                kept += 1
            answered: list[bool] = []

            def forget() -> None:
                with contextlib.suppress(OSError, EOFError):
                    answered.append(connection.call("KS.FORGET", key).kind == "*")  # noqa: B023  # joined below

            asking = threading.Thread(target=forget)
            asking.start()
            time.sleep(random.uniform(0, LONGEST_S))
            server.kill()
            asking.join()
            connection.close()
            if answered == [True]:
                assert files_with(server, secret) == []
        assert keystead("check", "--dir", directory).status == 0
        with running(start_keystead(directory)) as server:
            connection = server.connect()
            assert connection.call("GET", "kept").value == b"%d" % kept
            assert connection.call("GET", key).value in ((None,) if answered == [True] else (None, secret))
            assert connection.call("KS.FORGET", key).kind == "*"
            assert files_with(server, secret) == []
            connection.close()
