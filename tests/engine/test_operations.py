"""The closed set of logged facts: recorded as tuples, decoded as Structs, the same bytes."""

from __future__ import annotations

import msgspec
import pytest

from keystead.engine import operations as op
from keystead.engine.operations import decode_entries, encode_entries

RECORDED = {
    op.PUT: ((op.PUT, 0, b"k", b"v"), op.Put(0, b"k", b"v")),
    op.PUT_EXPIRING: ((op.PUT_EXPIRING, 3, b"k", b"v", 17), op.PutExpiring(3, b"k", b"v", 17)),
    op.DELETE: ((op.DELETE, 0, b"k"), op.Delete(0, b"k")),
    op.EXPIRED: ((op.EXPIRED, 0, b"k"), op.Expired(0, b"k")),
    op.SET_EXPIRY: ((op.SET_EXPIRY, 0, b"k", 17), op.SetExpiry(0, b"k", 17)),
    op.PATCH: ((op.PATCH, 0, b"k", 4, b"data"), op.Patch(0, b"k", 4, b"data")),
    op.BIND: ((op.BIND, 15, 16), op.Bind(15, 16)),
    op.GROUP: ((op.GROUP, 2), op.Group(2)),
    op.AUTHOR: ((op.AUTHOR, "ada", "console"), op.Author("ada", "console")),
    op.PARTS: ((op.PARTS, 1, 70_000), op.Parts(1, 70_000)),
}


def test_every_tag_stands_for_one_operation_for_ever() -> None:
    """Tags are on disk: they never change and are never used again for something else."""
    assert list(RECORDED) == list(range(1, 11))


@pytest.mark.parametrize("tag", RECORDED)
def test_what_is_recorded_is_what_is_read(tag: int) -> None:
    """The tuple that is cheap to record and the Struct that is safe to read have the same bytes."""
    recorded, read = RECORDED[tag]
    assert decode_entries(encode_entries([recorded])) == [read]
    assert encode_entries([recorded]) == encode_entries([read])


@pytest.mark.parametrize(
    "entry",
    [
        (11, 0, b"k"),
        (0,),
        (16, 0, b"k", {}),
        (op.PUT, 0, b"k"),
        (op.PUT, 0, b"k", b"v", 1),
        (op.PUT, 0, "k", b"v"),
        (op.PUT, 0, b"k", "v"),
        (op.PUT, 0, b"k", 5),
        (op.PUT, b"0", b"k", b"v"),
        (op.DELETE, 0, None),
        (op.SET_EXPIRY, 0, b"k", 1.5),
        (op.AUTHOR, b"ada", "console"),
        (),
        7,
    ],
    ids=repr,
)
def test_entries_of_other_shapes_are_refused(entry: object) -> None:
    """A reader never guesses: an unknown tag was written by a newer version, a wrong type by nobody."""
    with pytest.raises(msgspec.DecodeError):
        decode_entries(msgspec.msgpack.encode([entry]))


def test_a_truncated_payload_is_refused() -> None:
    """At every byte."""
    payload = encode_entries([recorded for recorded, _ in RECORDED.values()])
    for length in range(len(payload)):
        with pytest.raises(msgspec.DecodeError):
            decode_entries(payload[:length])
