"""A signal that comes while a server is started takes effect when the server is known, so that it can be ended."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from keystead.cluster.development_node import DevelopmentNode, NodeOptions


def test_an_interrupt_between_a_start_and_the_note_of_it_leaves_no_server_behind(tmp_path: Path):
    def launch(_: str, __: list[str], ___: Path) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(["sleep", "60"])
        signal.raise_signal(signal.SIGINT)
        return process

    node = DevelopmentNode(tmp_path, NodeOptions("redis-server", "", 1000, None, ()), launch)
    with pytest.raises(KeyboardInterrupt):
        node.start()
    node.kill()
    assert node.process is not None
    assert node.process.returncode == -signal.SIGKILL
