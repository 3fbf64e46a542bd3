"""A repository's place in object storage that speaks S3's protocol, through the library obstore (`keystead[backup]`).

Owns: what of that library is used. Must not know: what is kept there. Credentials, region and endpoint come from where
the library takes them: the variables AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL …, or the
machine's own role.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from keystead.backup.failures import PlaceFailure

try:
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import S3Store
except ImportError:
    raise PlaceFailure("s3://", "object storage needs the extra: pip install 'keystead[backup]'") from None

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

_PART_BYTES = 8 << 20
"""Larger objects travel in parts of this size, a few at a time."""
_PARTS_AT_ONCE = 4
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3")
_RETRY: RetryConfig = {"max_retries": 4, "retry_timeout": timedelta(seconds=30)}


class ObjectStorage:
    """A `Place` (places.py). Writing an object whole is what object storage does by itself."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        # An endpoint that is named with http:// is meant so: a server in the same rack, a test.
        plain = any(os.environ.get(name, "").startswith("http://") for name in _ENDPOINTS)
        options: ClientConfig = {"allow_http": plain, "connect_timeout": "5s", "timeout": "60s"}
        with self._failing():
            self._store = S3Store.from_url(self.address, client_options=options, retry_config=_RETRY)

    def sizes(self, kind: str) -> dict[str, int]:
        """Names and sizes."""
        with self._failing():
            return {meta["path"]: meta["size"] for page in obstore.list(self._store, f"{kind}/") for meta in page}

    def read(self, name: str) -> Iterator[bytes]:
        """The object as it arrives."""
        with self._failing():
            for chunk in obstore.get(self._store, name).stream(min_chunk_size=1 << 20):
                yield bytes(chunk)

    def put(self, name: str, chunks: Iterable[bytes]) -> None:
        """Small objects in one request, larger ones in parts that become the object at the end."""
        following = iter(chunks)
        start = b""
        for chunk in following:
            start += chunk
            if len(start) > _PART_BYTES:
                break
        with self._failing():
            if len(start) <= _PART_BYTES:
                obstore.put(self._store, name, start, use_multipart=False)
            else:
                self._put_in_parts(name, start, following)

    def _put_in_parts(self, name: str, start: bytes, following: Iterator[bytes]) -> None:
        failed: list[BaseException] = []

        def all_chunks() -> Iterator[bytes]:
            yield start
            try:
                yield from following
            except BaseException as error:
                failed.append(error)  # the library would wrap it
                raise

        try:
            obstore.put(self._store, name, all_chunks(), chunk_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE)
        except BaseException:
            if failed:
                raise failed[0] from None
            raise

    def remove(self, name: str) -> None:
        """Delete the object."""
        with self._failing(), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._store, name)

    def remove_unfinished(self, kind: str) -> None:
        """Parts of an interrupted upload are no object; the bucket's life-cycle rules remove them."""

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (BaseError, ValueError, OSError) as error:
            raise PlaceFailure(self.address, _reason(error)) from error


def _reason(error: Exception) -> str:
    """What the storage said, if it said anything; else the first paragraph: the rest repeats it for programmers."""
    text = str(error).split("\n\n", 1)[0]
    said = re.search(r"<Message>(.*?)</Message>", text, re.DOTALL)
    return " ".join((said[1] if said else text).split())
