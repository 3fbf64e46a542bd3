"""Snapshots of real servers, and what becomes of them when they are cut, changed or made up."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from golden_snapshots import GOLDEN, told
from hypothesis import given, settings
from hypothesis import strategies as st

from keystead.migration.replica.crc64 import crc64
from keystead.migration.replica.failures import DamagedSnapshot, UnknownSnapshot, ValueTooLarge
from keystead.migration.replica.incoming import Incoming
from keystead.migration.replica.rdb import Snapshot
from keystead.migration.source import Record, SourceFailed

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = sorted(path.stem for path in GOLDEN.glob("*.rdb"))
MAGIC = b"REDIS0011"
END = b"\xff"


def chunks(data: bytes, size: int) -> Callable[[], bytes]:
    """The data a chunk a call, then nothing."""
    pieces = iter([data[start : start + size] for start in range(0, len(data), size)])
    return lambda: next(pieces, b"")


def records(data: bytes, size: int = 1 << 16, max_value_bytes: int = 1 << 24) -> list[Record]:
    return list(Snapshot(Incoming(chunks(data, size), max_value_bytes)).records())


def sealed(body: bytes, magic: bytes = MAGIC) -> bytes:
    """A snapshot that has this between its magic and its end."""
    whole = magic + body + END
    return whole + crc64(whole).to_bytes(8, "little")


def only(body: bytes, magic: bytes = MAGIC) -> Record:
    (record,) = records(sealed(body, magic))
    return record


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 1000, 1 << 16])
def test_every_key_of_a_golden_snapshot_is_told_as_the_server_told_it(name: str, size: int) -> None:
    found = [
        [record.database, record.key.hex(), record.kind, told_value(record), record.expires_at_ms]
        for record in records((GOLDEN / f"{name}.rdb").read_bytes(), size)
    ]
    expected = json.loads((GOLDEN / f"{name}.json").read_text())
    assert len(expected) > 50
    assert sorted(found) == sorted(expected)


def told_value(record: Record) -> str:
    return told(record.kind, record.value)


def test_functions_are_passed_over_and_counted() -> None:
    snapshot = Snapshot(Incoming(chunks((GOLDEN / "redis-7.0.rdb").read_bytes(), 4096)))
    assert len(list(snapshot.records())) > 50
    assert snapshot.functions == 1


def test_a_snapshot_cut_anywhere_is_refused() -> None:
    whole = (GOLDEN / "redis-7.0.rdb").read_bytes()
    for end in [*range(0, len(whole), 997), *range(len(whole) - 20, len(whole))]:
        with pytest.raises(DamagedSnapshot):
            records(whole[:end])


def test_a_snapshot_with_any_bit_changed_is_refused() -> None:
    whole = (GOLDEN / "redis-7.0.rdb").read_bytes()
    for bit in range(0, len(whole) * 8, 9173):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((SourceFailed, UnknownSnapshot)):
            records(bytes(changed))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(1, 50))
def test_noise_behind_the_magic_is_refused_or_read_but_nothing_else(noise: bytes, size: int) -> None:
    try:
        records(MAGIC + noise, size)
    except (SourceFailed, UnknownSnapshot):
        return
    checksums = (crc64(MAGIC + noise[:-8]).to_bytes(8, "little"), bytes(8))
    assert noise[-9:] in [END + checksum for checksum in checksums]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\x00\x01k" + b"\x81" + (1 << 60).to_bytes(8, "big") + b"x", id="a string"),
        pytest.param(b"\x00\x01k" + b"\x80" + (1 << 31).to_bytes(4, "big") + b"x", id="a string of 32 bits"),
        pytest.param(b"\x00\x01k\xc3\x05" + b"\x81" + (1 << 60).to_bytes(8, "big") + b"\x20\x00\xe0\xff\x00", id="LZF"),
        pytest.param(b"\x00\x01k\xc3\x05" + b"\x80" + (1 << 20).to_bytes(4, "big") + b"\x00a\xe0\xff\x00", id="LZF 2"),
        pytest.param(b"\x02\x01k" + b"\x81" + (1 << 60).to_bytes(8, "big") + b"\x01x", id="members of a set"),
        pytest.param(b"\x15\x01k" + b"\x81" + (1 << 60).to_bytes(8, "big") + b"\x01x", id="entries of a stream"),
    ],
)
def test_a_declared_length_takes_no_memory(body: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises((DamagedSnapshot, ValueTooLarge)):
            records(MAGIC + body, max_value_bytes=1 << 62)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_value_over_the_bound_is_refused_whatever_its_type() -> None:
    strings = b"\x40\x64" + b"x" * 100
    for body in (b"\x00\x01k\x43\xe8" + b"x" * 1000, b"\x01\x01k\x0a" + strings * 10):
        with pytest.raises(ValueTooLarge):
            records(sealed(body), 50, 900)


def test_times_in_seconds_databases_and_hints_are_read() -> None:
    body = (
        b"\xfa\x09redis-ver\x055.0.0"
        b"\xfe\x03\xfb\x02\x01\xf4\x05\x02\x01"
        b"\xfd" + (1_900_000_000).to_bytes(4, "little") + b"\xf9\x05\x00\x01a\x01b"
        b"\xf8\x80\x00\x00\x00\x63\x00\x01c\xc0\xff"
    )
    assert records(sealed(body)) == [
        Record(3, b"a", "string", b"b", 1_900_000_000_000),
        Record(3, b"c", "string", b"-1", 0),
    ]


# The types that no server at hand writes, as their source has them.

PAIR = b"\x01f\x01v"
TIME = (1_900_000_000_000).to_bytes(8, "little")
MODULE_ID = (0x20000000000 << 10 | 3).to_bytes(8, "big")


@pytest.mark.parametrize(
    ("magic", "code", "value", "since"),
    [
        pytest.param(b"REDIS0006", 3, b"\x03\x01a\x041.25\x01b\xfe\x01c\xfd", 6, id="scores as text"),
        pytest.param(b"REDIS0011", 21, b"\x00\x00" + b"\x00" * 7 + b"\x01\x01g\x00\x00\x00\x01" + bytes(25)
                     + b"\x01\x01c" + TIME + TIME + b"\x01" + bytes(16), 11, id="stream"),
        pytest.param(b"REDIS0012", 24, TIME + b"\x02\x00" + PAIR + b"\x05" + PAIR, 12, id="fields that expire"),
        pytest.param(b"REDIS0012", 25, TIME + b"\x03lp!", 12, id="listpack of fields that expire"),
        pytest.param(b"VALKEY080", 22, b"\x02" + PAIR + TIME + PAIR + b"\xff" * 8, 80, id="Valkey's fields"),
        pytest.param(b"REDIS0010", 7, b"\x81" + MODULE_ID + b"\x01\x05\x02\x40\x50\x03....\x04........\x05\x02ab\x00",
                     8, id="a module's value"),
    ],
)  # fmt: skip
def test_types_of_other_versions_end_where_they_end(magic: bytes, code: int, value: bytes, since: int) -> None:
    found = records(sealed(b"%c\x01k%b\x00\x05after\x01x" % (code, value), magic), 7)
    payload = b"%c%b" % (code, value) + since.to_bytes(2, "little")
    assert [record.value for record in found] == [payload + crc64(payload).to_bytes(8, "little"), b"x"]


def test_the_same_number_is_another_type_for_redis_and_for_valkey() -> None:
    redis = records(sealed(b"\x16\x01k\x01\x00" + PAIR, b"REDIS0012"))
    valkey = records(sealed(b"\x16\x01k\x01" + PAIR + TIME, b"VALKEY080"))
    assert [found[0].kind for found in (redis, valkey)] == ["hash", "hash"]


def test_an_empty_collection_is_no_key() -> None:
    assert records(sealed(b"\x01\x01k\x00\x00\x01a\x01b")) == [Record(0, b"a", "string", b"b", 0)]


def test_what_a_module_wrote_beside_the_keys_is_passed_over() -> None:
    assert only(b"\xf7\x81" + MODULE_ID + b"\x02\x01\x05\x03abc\x00\x00\x01a\x01b").key == b"a"


@pytest.mark.parametrize("head", [b"REDIS0099", b"VALKEY081"])
def test_a_snapshot_of_a_newer_version_is_told_from_a_damaged_one(head: bytes) -> None:
    with pytest.raises(UnknownSnapshot, match="version"):
        records(head + END)


def test_slots_on_their_way_to_a_valkey_are_waited_for() -> None:
    with pytest.raises(SourceFailed, match="slots"):
        records(sealed(b"\xf3\x03job\x01\x00\x05", b"VALKEY080"))
    with pytest.raises(UnknownSnapshot, match="part 243"):  # the same byte stands for something else in Redis
        records(sealed(b"\xf3\x01", b"REDIS0013"))


def test_a_type_that_nobody_knows_names_the_key() -> None:
    with pytest.raises(UnknownSnapshot, match="b'k'"):
        records(sealed(b"\x40\x01k"))


def test_what_is_no_snapshot_is_refused() -> None:
    with pytest.raises(DamagedSnapshot):
        records(b"-ERR no such thing\r\n")
