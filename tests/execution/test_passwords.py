"""What is kept of a password, and how it is written down."""

from __future__ import annotations

import pytest

from keystead.execution.passwords import Scrypt, Sha256, decoy, hashed, new_token, of_token, parsed, sha256

SHA256 = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
SALT = "A" * 22 + "=="
DIGEST = "A" * 43 + "="


def test_a_hashed_password_fits_itself_and_nothing_else() -> None:
    record = hashed(b"sesame")
    assert record.fits(b"sesame")
    assert not record.fits(b"Sesame")
    assert not record.fits(b"")


def test_two_hashes_of_one_password_differ() -> None:
    assert hashed(b"x") != hashed(b"x")


@pytest.mark.parametrize("record", [hashed(b"x"), Sha256(sha256(b"x")), of_token("ks_x")])
def test_what_is_written_down_reads_back(record: Scrypt | Sha256) -> None:
    assert parsed(str(record)) == record


def test_redis_hashes_are_read() -> None:
    record = parsed(SHA256)
    assert record is not None
    assert record.fits(b"password")


@pytest.mark.parametrize(
    "text",
    [
        "",
        SHA256[:-1],
        SHA256.upper(),
        SHA256 + "0",
        "token$" + SHA256[1:],
        f"scrypt$15$8$1${SALT}",
        f"scrypt$15$8$1${SALT}${DIGEST[1:]}",
        f"scrypt$15$8$1${SALT[:-1]}${DIGEST}",
        f"scrypt$0$8$1${SALT}${DIGEST}",
        f"scrypt$15$0$1${SALT}${DIGEST}",
        f"scrypt$15$8$0${SALT}${DIGEST}",
        f"scrypt$15$8$17${SALT}${DIGEST}",
        f"scrypt$25$8$1${SALT}${DIGEST}",
        f"scrypt$20$8$1${SALT}${DIGEST}",
        f"bcrypt$15$8$1${SALT}${DIGEST}",
    ],
)
def test_anything_else_is_no_record(text: str) -> None:
    """Also what would take more memory than a login may."""
    assert parsed(text) is None


def test_other_parameters_are_read_and_used() -> None:
    record = parsed(f"scrypt$4$1$2${SALT}${DIGEST}")
    assert record == Scrypt(4, 1, 2, bytes(16), bytes(32))
    assert not record.fits(b"x")


def test_nothing_fits_the_decoy_which_costs_as_much_as_a_password() -> None:
    ours = hashed(b"x")
    assert not decoy().fits(b"x")
    assert (decoy().log2_n, decoy().block_size, decoy().parallel) == (ours.log2_n, ours.block_size, ours.parallel)


def test_tokens_differ_and_are_recognizable() -> None:
    tokens = {new_token() for _ in range(10)}
    assert len(tokens) == 10
    assert {token[:3] for token in tokens} == {"ks_"}
    assert all(len(token) >= 46 for token in tokens), "32 random bytes"
