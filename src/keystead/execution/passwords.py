"""Passwords as they are kept: never themselves, only what a given one can be compared with.

    scrypt$15$8$1$<salt>$<digest>    set by a person (`>password`): log2 of N, r, p, then salt and digest in base64
    token$<64 hexadecimal digits>    a random token that we made, by its SHA-256
    <64 hexadecimal digits>          SHA-256, as Redis writes it (`#hash`)

scrypt takes some 80 ms and 32 MiB on purpose, so that a stolen file is of little use; whoever verifies one does so in
another thread. A random token of 256 bits cannot be guessed, so SHA-256 is enough for it. Must not know: users.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

SALT_BYTES = 16
DIGEST_BYTES = 32
LOG2_N, BLOCK_SIZE, PARALLEL = 15, 8, 1
MOST_MEMORY_BYTES = 1 << 28
"""What a record may ask for, so that a line in a file cannot take the machine's memory."""
MOST_PARALLEL = 16

TOKEN_PREFIX = "ks_"
_SCRYPT = re.compile(r"scrypt\$([0-9]{1,2})\$([0-9]{1,3})\$([0-9]{1,2})\$([A-Za-z0-9+/]{22,}=*)\$([A-Za-z0-9+/]{43}=)")
_SHA256 = re.compile(r"(token\$)?([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Sha256:
    """A digest that costs nothing to compare with."""

    digest: bytes
    is_token: bool = False
    """It is that of a random token, which lets its user in without a name."""
    from_settings: bool = False
    """It is that of `requirepass`, which lives in the configuration and is not written to the ACL file."""

    def fits(self, password: bytes) -> bool:
        return hmac.compare_digest(sha256(password), self.digest)

    def __str__(self) -> str:
        return f"token${self.digest.hex()}" if self.is_token else self.digest.hex()


@dataclass(frozen=True, slots=True)
class Scrypt:
    """A digest that costs much to compare with."""

    log2_n: int
    block_size: int
    parallel: int
    salt: bytes
    digest: bytes

    def fits(self, password: bytes) -> bool:
        """Takes as long as the parameters say; to be called in another thread."""
        return hmac.compare_digest(self._digest_of(password), self.digest)

    def _digest_of(self, password: bytes) -> bytes:
        return _scrypt(password, self.salt, self.log2_n, self.block_size, self.parallel)

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"scrypt${self.log2_n}${self.block_size}${self.parallel}${salt}${digest}"


Password: TypeAlias = Sha256 | Scrypt


def hashed(password: bytes) -> Scrypt:
    """A record for a new password, with a salt of its own; as slow as verifying it."""
    salt = os.urandom(SALT_BYTES)
    return Scrypt(LOG2_N, BLOCK_SIZE, PARALLEL, salt, _scrypt(password, salt, LOG2_N, BLOCK_SIZE, PARALLEL))


def parsed(text: str) -> Password | None:
    """The record that *text* writes down; None when it is none."""
    digest = _SHA256.fullmatch(text)
    if digest is not None:
        return Sha256(bytes.fromhex(digest[2]), is_token=digest[1] is not None)
    found = _SCRYPT.fullmatch(text)
    if found is None:
        return None
    log2_n, block_size, parallel = map(int, found.groups()[:3])
    if not (1 <= log2_n <= 24 and block_size >= 1 and 1 <= parallel <= MOST_PARALLEL):
        return None
    if _memory_bytes(log2_n, block_size, parallel) > MOST_MEMORY_BYTES:
        return None
    try:
        salt, key = (base64.b64decode(part, validate=True) for part in found.groups()[3:])
    except ValueError:
        return None
    return Scrypt(log2_n, block_size, parallel, salt, key)


@lru_cache(maxsize=1)
def decoy() -> Scrypt:
    """What a password is compared with where there is none to compare it with: it takes as long, and nothing fits."""
    return Scrypt(LOG2_N, BLOCK_SIZE, PARALLEL, os.urandom(SALT_BYTES), os.urandom(DIGEST_BYTES))


def new_token() -> str:
    """A random token of 256 bits, recognizable as ours."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def of_token(token: str) -> Sha256:
    """A token's record."""
    return Sha256(sha256(token.encode()), is_token=True)


def sha256(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()


def _scrypt(password: bytes, salt: bytes, log2_n: int, block_size: int, parallel: int) -> bytes:
    return hashlib.scrypt(
        password,
        salt=salt,
        n=1 << log2_n,
        r=block_size,
        p=parallel,
        maxmem=_memory_bytes(log2_n, block_size, parallel) + (1 << 20),
        dklen=DIGEST_BYTES,
    )


def _memory_bytes(log2_n: int, block_size: int, parallel: int) -> int:
    return 128 * block_size * ((1 << log2_n) + parallel)
