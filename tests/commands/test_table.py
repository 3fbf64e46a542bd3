"""Tables and runners: how a declaration becomes what a client's word leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from keystead.commands.declaration import REGISTRY, Command, command, container
from keystead.commands.table import Table, runner
from keystead.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from executors import Stage


@pytest.fixture
def declare() -> Iterator[Any]:
    """Declares commands that exist for one test only."""
    known = dict(REGISTRY)
    yield command
    REGISTRY.clear()
    REGISTRY.update(known)


ABOUT: dict[str, Any] = {"group": "generic", "since": "1.0.0", "summary": "A test."}


def unwrapped(_: Command, run: Any) -> Any:
    return run


def table_of(*names: bytes) -> Table:
    table = Table()
    table.fill([REGISTRY[name] for name in names], runner, unwrapped)
    return table


def test_names_are_found_in_any_case(executor_stage: Stage) -> None:
    session = executor_stage.client().session
    table = table_of(b"echo")
    for name in (b"ECHO", b"echo", b"Echo", b"eChO"):
        assert table[name](session, [name, b"x"]) == b"$1\r\nx\r\n"


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ([b"nosuch"], "ERR unknown command 'nosuch', with args beginning with: "),
        ([b"NoSuch", b"a", b"b"], "ERR unknown command 'NoSuch', with args beginning with: 'a' 'b' "),
        ([b"n" * 200], f"ERR unknown command '{'n' * 128}', with args beginning with: "),
        ([b"n", b"a\0b"], "ERR unknown command 'n', with args beginning with: 'a' "),
        ([b"n", b"x" * 200], f"ERR unknown command 'n', with args beginning with: '{'x' * 128}' "),
    ],
)
def test_a_name_that_is_no_command_is_refused(executor_stage: Stage, args: list[bytes], text: str) -> None:
    with pytest.raises(CommandError) as refused:
        table_of(b"echo")[args[0]](executor_stage.client().session, args)
    assert refused.value.text == text


def test_a_parsed_handler_gets_arguments_and_gives_a_value(declare: Any, executor_stage: Stage) -> None:
    @declare("TESTED key increment [NX | XX] [COUNT count]", **ABOUT)
    def tested(_: object, key: bytes, increment: int, *, nx: bool = False, count: int = 7) -> list[object]:
        return [key, increment, int(nx), count]

    run = runner(REGISTRY[b"tested"])
    session = executor_stage.client().session
    assert run(session, [b"TESTED", b"k", b"5"]) == b"*4\r\n$1\r\nk\r\n:5\r\n:0\r\n:7\r\n"
    assert run(session, [b"TESTED", b"k", b"5", b"count", b"1", b"nx"]) == b"*4\r\n$1\r\nk\r\n:5\r\n:1\r\n:1\r\n"


@pytest.mark.parametrize("reads", ["nothing", "durable", "latest"])
def test_only_replies_that_depend_on_current_memory_wait(declare: Any, executor_stage: Stage, reads: str) -> None:
    declare("TESTED", **ABOUT, reads=reads)(lambda _: None)
    session = executor_stage.client().session
    runner(REGISTRY[b"tested"])(session, [b"TESTED"])
    assert session.must_wait is (reads == "latest")


def test_what_a_command_records_is_one_transaction_even_when_it_fails(declare: Any, executor_stage: Stage) -> None:
    @declare("TESTED", **ABOUT, flags="write")
    def tested(session: Any) -> None:
        session.db.keyspace.put(b"a", b"1")
        session.db.keyspace.put(b"b", b"2")
        raise CommandError("ERR half way")

    executor = executor_stage.executor
    session = executor_stage.client().session
    before = executor.engine.info().next_sequence
    with pytest.raises(CommandError):
        runner(REGISTRY[b"tested"])(session, [b"TESTED"])
    executor.engine.end_turn()
    assert executor.engine.info().next_sequence == before + 1


def test_containers_dispatch_their_subcommands_and_describe_them(declare: Any, executor_stage: Stage) -> None:
    container("TESTED", group="generic", since="1.0.0", summary="A container.")
    declare("TESTED ONE key", **ABOUT)(lambda _, key: key)
    session = executor_stage.client().session
    run = table_of(b"tested")[b"TESTED"]
    assert run(session, [b"tested", b"One", b"k"]) == b"$1\r\nk\r\n"
    assert b"ONE key" in run(session, [b"tested", b"help"])
    for args, text in (
        ([b"tested"], "ERR wrong number of arguments for 'tested' command"),
        ([b"tested", b"one"], "ERR wrong number of arguments for 'tested|one' command"),
        ([b"tested", b"Two"], "ERR unknown subcommand 'Two'. Try TESTED HELP."),
    ):
        with pytest.raises(CommandError) as refused:
            run(session, args)
        assert refused.value.text == text


def test_a_command_is_declared_once(declare: Any) -> None:
    with pytest.raises(ValueError, match="declared twice"):
        declare("GET key", **ABOUT)(lambda _: None)


def test_flags_that_are_none_are_refused(declare: Any) -> None:
    with pytest.raises(ValueError, match="unknown flags"):
        declare("TESTED", **ABOUT, flags="wirte")(lambda _: None)


def test_a_raw_handler_is_the_runner() -> None:
    assert runner(REGISTRY[b"get"]) is REGISTRY[b"get"].handler


def test_raw_handlers_have_their_arguments_counted_when_unpacking_fails(executor_stage: Stage) -> None:
    client = executor_stage.client()
    for line in ("GET", "GET a b", "SETEX a 1", "INCR"):
        name = line.split()[0].lower()
        assert client(line) == f"-ERR wrong number of arguments for '{name}' command\r\n".encode()


def test_every_raw_handler_answers_a_wrong_number_of_arguments(executor_stage: Stage) -> None:
    client = executor_stage.client()
    for declared in list(REGISTRY.values()):
        if declared.raw and declared.name != "exec":
            for count in range(8):
                if not declared.accepts(count + 1):
                    reply = client(" ".join([declared.name, *["1"] * count]))
                    assert reply == f"-{declared.arity_error}\r\n".encode()


def test_a_refilled_table_is_seen_by_who_uses_it(executor_stage: Stage) -> None:
    session = executor_stage.client().session
    table = table_of(b"echo")
    table.fill([REGISTRY[b"echo"]], runner, lambda *_: lambda *_: b"wrapped")
    assert table[b"ECHO"](session, [b"ECHO", b"x"]) == b"wrapped"
