"""The digest of a view: stores with the same digest hold the same keys, values and expiries. Follows docs/backup.md.

Owns: what is digested, in which order. Must not know: where the files come from, what the digest is compared with.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
from xxhash import xxh3_128

from keystead.engine.checkpoint import Progress, read_checkpoint
from keystead.engine.keyspace import SHARDS, SYSTEM_KEYSPACE
from keystead.engine.recovery import Recovered, read_sealed
from keystead.engine.view import View

if TYPE_CHECKING:
    from keystead.engine.files import Directory
    from keystead.engine.manifest import Manifest

PASS_BYTES = 512 << 20
"""About how much of the files one pass holds in memory, as a compaction does."""
_encode = msgspec.msgpack.Encoder().encode


class ViewDigest:
    """Takes in shards in order. The bytes are those of docs/backup.md, "Digest"."""

    def __init__(self) -> None:
        self._digest = xxh3_128()
        self.keys = 0
        """Of all databases; not those of the system."""

    def add(self, view: View, shards: range) -> None:
        """The next shards of every database."""
        keyspaces = [view.keyspaces.get(number) for number in (*view.databases, SYSTEM_KEYSPACE)]
        for i in shards:
            for database, keyspace in enumerate(keyspaces):
                if keyspace is None or not keyspace.shards[i]:
                    continue
                shard, expires = keyspace.shards[i], keyspace.expires[i]
                times = [] if expires is None else sorted(expires.items())
                self._digest.update(_encode((i, database, sorted(shard.items()), times)))
                self.keys += len(shard) if database < len(view.databases) else 0

    def hexdigest(self) -> str:
        """32 hex digits."""
        return self._digest.hexdigest()


def digested(directory: Directory, manifest: Manifest, digest: ViewDigest) -> Iterator[Progress]:
    """Read the newest generation, all of it sealed, into *digest*, in passes of bounded memory. DamagedData."""
    generation = manifest.current
    passes = max(1, -(-generation.stored_bytes() // PASS_BYTES))
    bounds = [SHARDS * i // passes for i in range(passes + 1)]
    total, done = passes * generation.stored_bytes(), 0
    for low, high in itertools.pairwise(bounds):
        wanted = range(low, high)
        recovered = Recovered(View(manifest.seed, wanted))
        if generation.checkpoint is not None:
            steps = read_checkpoint(directory, manifest.store_id, generation.checkpoint, recovered.view, wanted)
            for step in steps:
                yield Progress(done + step.done, total)
            recovered.position = generation.checkpoint.position
            done += generation.checkpoint.length
        for record in generation.segments:
            for step in read_sealed(directory, manifest.store_id, record, recovered):
                yield Progress(done + step.done, total)
            done += record.length or 0
        digest.add(recovered.view, wanted)
