"""A single key brought back from the past, while others write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from in_process import InProcessServer
from keystead.engine.history.questions import Question
from keystead.execution.historian import Answered, CallOff, InPlace


class Slow(InPlace):
    """Answers what was asked, after something else has happened."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def ask(self, question: Question, answered: Answered) -> CallOff:
        def later(outcome: object) -> None:
            self.meanwhile()
            answered(outcome)  # type: ignore[arg-type]  # handed on

        return super().ask(question, later)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[InProcessServer]:
    server = InProcessServer(tmp_path / "data")
    yield server
    server.close()


def test_a_key_that_somebody_else_made_meanwhile_is_left_alone(server: InProcessServer) -> None:
    keyspace = server.engine.databases[0].keyspace
    historian = Slow(server.engine)
    historian.meanwhile = lambda: keyspace.put(b"k", b"of somebody else")
    server.executor.historian = historian
    connection = server.connect()
    connection.send(b"SET k old\r\nDEL k\r\nKS.RESTORE k LAST\r\nGET k\r\n")
    replies = [connection.receive() for _ in range(4)]
    assert replies[2].value == b"CONFLICT the key exists; name the moment whose value it shall have"
    assert replies[3].value == b"of somebody else"
