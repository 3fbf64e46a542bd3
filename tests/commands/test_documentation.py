"""COMMAND INFO, DOCS and permissions are views of the declarations, and as Redis has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from keystead.commands.catalogue import REGISTRY
from keystead.commands.documentation import CATEGORIES, categories, docs, every_command, info
from keystead.commands.manual import GROUPS
from keystead.resp import Members

if TYPE_CHECKING:
    from servers import Server


def plain(value: Any) -> Any:
    """As read from RESP2."""
    if isinstance(value, Members):
        return [plain(member) for member in value.members]
    if isinstance(value, dict):
        return [part for pair in value.items() for part in map(plain, pair)]
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.encode() if isinstance(value, str) else value


def read(reply: Any) -> Any:
    return [read(item) for item in reply.value] if isinstance(reply.value, list) else reply.value


def part(pairs: list[Any], name: bytes, order: Any = list) -> Any:
    """A value of a flat map. Redis' specifications may have notes, ours have none."""
    return order(dict(zip(pairs[::2], pairs[1::2], strict=True))[name])


@pytest.fixture(scope="module")
def redis_info(redis: Server) -> dict[bytes, list[Any]]:
    connection = redis.connect()
    entries = read(connection.call("COMMAND"))
    connection.close()
    return {entry[0]: entry for command in entries for entry in (command, *command[9])}


def test_what_redis_has_is_declared_as_redis_declares_it(redis_info: dict[bytes, list[Any]]) -> None:
    """Arity, flags, key positions, permissions, hints, key specifications: of everything that Redis 7.0 has too."""
    compared = 0
    for command in every_command():
        theirs = redis_info.get(command.name.encode())
        if theirs is None:
            continue
        ours = plain(info(command))
        for at in (2, 6, 7):
            assert sorted(ours[at]) == sorted(theirs[at]), command.name
        assert ours[:2] + ours[3:6] == theirs[:2] + theirs[3:6], command.name
        for our_spec, their_spec in zip(ours[8], theirs[8], strict=True):
            assert part(our_spec, b"flags", sorted) == part(their_spec, b"flags", sorted), command.name
            assert part(our_spec, b"begin_search") == part(their_spec, b"begin_search"), command.name
            assert part(our_spec, b"find_keys") == part(their_spec, b"find_keys"), command.name
        compared += 1
    assert compared > 100


NEWER = {"digest", "delex", "waitaof", "client|setinfo", "client|no-touch"}


def test_only_commands_known_to_be_newer_are_not_in_redis_7_0(redis_info: dict[bytes, list[Any]]) -> None:
    ours = {command.name for command in every_command() if command.name.encode() not in redis_info}
    assert {name for name in ours if not name.startswith("ks.")} == NEWER


@pytest.mark.parametrize("command", list(every_command()), ids=lambda command: command.name)
def test_a_declaration_is_complete(command: Any) -> None:
    assert command.summary.endswith(".")
    assert command.group in GROUPS
    assert command.since.count(".") == 2
    assert set(categories(command)) <= set(CATEGORIES)
    assert ("write" in command.flags) + ("readonly" in command.flags) < 2
    assert command.reads != "durable" or "readonly" in command.flags
    assert command.reads == "latest" or "write" not in command.flags
    keys_are_used = command.flags & {"write", "readonly"}
    assert not command.key_specs or keys_are_used or command.name == "watch"
    for spec in command.key_specs:
        assert spec.flags, "declare keys=…"
    assert docs(command)[b"summary"] == command.summary.encode()


def test_docs_show_the_tree_of_arguments() -> None:
    arguments: Any = docs(REGISTRY[b"getex"])[b"arguments"]
    key, expiration = arguments
    assert key == {b"name": b"key", b"type": b"key", b"key_spec_index": 0}
    assert expiration[b"type"] == b"oneof"
    assert expiration[b"flags"].members == ["optional"]
    assert expiration[b"arguments"][0] == {b"name": b"seconds", b"type": b"integer", b"token": b"EX"}
    assert expiration[b"arguments"][-1] == {b"name": b"persist", b"type": b"pure-token", b"token": b"PERSIST"}
