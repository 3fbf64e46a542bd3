"""What one client was told about keys that it alone writes, and which values a fault may leave in them.

Each write of a key has a version, one above the last. A key's value says its version, so a value that is found tells
which writes it holds. A key whose write has an unknown outcome is left alone from then on: so at most one write of it
is in doubt, and what may be found is exact: the last acknowledged version or the doubtful one. An INCR that was done
twice shows as one too many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

Read = Callable[[list[bytes]], list[bytes | None]]


@dataclass
class Findings:
    """Acknowledged writes that are not there, and everything that may never be."""

    lost: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        self.lost += other.lost
        self.wrong += other.wrong


@dataclass
class Ledger:
    """The keys of one client; `size` is the length of a value in bytes, at the least."""

    name: str
    size: int
    acknowledged: int = 0
    versions: dict[bytes, int] = field(default_factory=dict)
    """Of keys that are in use: what was acknowledged last."""
    doubtful: dict[bytes, int] = field(default_factory=dict)
    """Of keys that are left alone: the version that may be there or not, above the acknowledged one."""
    pairs: dict[bytes, bytes] = field(default_factory=dict)
    """Keys that are only ever written together, in one transaction."""
    _made: int = 0

    def new_key(self, kind: str) -> bytes:
        """A key never used before. Counters hold their version alone, as INCR makes it."""
        self._made += 1
        key = b"%s:%s:%d" % (self.name.encode(), kind.encode(), self._made)
        self.versions[key] = 0
        return key

    def new_pair(self) -> tuple[bytes, bytes]:
        """Two keys of one slot."""
        self._made += 1
        tag = b"{%s:%d}" % (self.name.encode(), self._made)
        one, other = tag + b"one", tag + b"other"
        self.versions |= {one: 0, other: 0}
        self.pairs[one] = other
        return one, other

    def value(self, key: bytes, version: int) -> bytes:
        """What the key holds when this version of it was written last."""
        if b":counter:" in key:
            return b"%d" % version
        head = b"%d of %s " % (version, key)
        return head.ljust(self.size, b".")

    def acknowledge(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            self.versions[key] += 1
            self.acknowledged += 1

    def doubt(self, keys: Iterable[bytes]) -> None:
        """The write under way may have been done, be done later, or never."""
        for key in keys:
            self.doubtful[key] = self.versions[key] + 1

    def usable(self, key: bytes) -> bool:
        return key not in self.doubtful

    def settle(self, read: Read) -> Findings:
        """Compare with what is there now. From here on that is what is known; the doubtful keys are forgotten."""
        findings = Findings()
        keys = list(self.versions)
        found = dict(zip(keys, read(keys), strict=True))
        for key, value in found.items():
            findings.add(self._judge(key, value))
        for one, other in self.pairs.items():
            if self._version(one, found[one]) != self._version(other, found[other]):
                findings.wrong.append(f"half of a transaction: {_short(found[one])} and {_short(found[other])}")
        for key in self.doubtful:
            del self.versions[key]
            self.pairs.pop(key, None)
        self.doubtful.clear()
        return findings

    def _judge(self, key: bytes, value: bytes | None) -> Findings:
        found, last = self._version(key, value), self.versions[key]
        if found is None:
            return Findings(wrong=[f"{key!r} holds {_short(value)}, which nobody wrote"])
        if found in (last, self.doubtful.get(key)):
            return Findings()
        if found < last:
            self.versions[key] = found
            return Findings(lost=last - found)
        return Findings(wrong=[f"{key!r} has version {found}, but {last} was the last that could be there"])

    def _version(self, key: bytes, value: bytes | None) -> int | None:
        """0 when absent, None when it is no value of this key."""
        if value is None:
            return 0
        digits = value.partition(b" ")[0]
        version = int(digits) if digits.isdigit() else 0
        return version if version and value == self.value(key, version) else None


def _short(value: bytes | None) -> str:
    return repr(value if value is None or len(value) < 60 else value[:50] + b"...")
