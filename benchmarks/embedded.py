"""The in-process stores under measurement, each as its users would use it, opened at one of two durabilities.

`never`: nothing waits for the disk. `always`: a set is synced to the disk before it returns.
"""

from __future__ import annotations

import importlib
import os
import shelve
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Durability = Literal["never", "always"]
Items = Iterable[tuple[Any, bytes]]


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Store:
    """An open store. `finish` returns once all sets so far have been carried out."""

    get: Callable[[Any], Any]
    put: Callable[[Any, bytes], Any]
    fill: Callable[[Items], None]
    close: Callable[[], Any]
    finish: Callable[[], Any] = _nothing


@dataclass(frozen=True)
class StoreKind:
    """`package` is what must be importable, `durability` what each of the two modes means for this store."""

    package: str
    opens: Callable[[Path, Durability], Store]
    durability: dict[Durability, str]
    keys_are_text: bool = False


def open_keystead(directory: Path, durability: Durability) -> Store:
    keystead = importlib.import_module("keystead")
    db = keystead.open(directory, keys=bytes, fsync=durability)
    return Store(db.__getitem__, db.__setitem__, db.update, db.close)


def open_diskcache(directory: Path, durability: Durability) -> Store:
    diskcache = importlib.import_module("diskcache")
    synchronous = {"never": 0, "always": 2}[durability]
    cache = diskcache.Cache(str(directory), eviction_policy="none", size_limit=2**40, sqlite_synchronous=synchronous)

    def fill(items: Items) -> None:
        with cache.transact():
            for key, value in items:
                cache[key] = value

    return Store(cache.__getitem__, cache.__setitem__, fill, cache.close)


def open_sqlitedict(directory: Path, durability: Durability) -> Store:
    sqlitedict = importlib.import_module("sqlitedict")
    path = str(directory / "data.sqlite")
    plain = {"journal_mode": "WAL", "encode": bytes, "decode": bytes, "outer_stack": False}
    db = sqlitedict.SqliteDict(path, autocommit=durability == "never", **plain)
    if durability == "never":
        return Store(db.__getitem__, db.__setitem__, db.update, db.close, finish=db.commit)
    # The package turns syncing off when it connects; outside a transaction it can be turned on again.
    db.conn.execute("PRAGMA synchronous=FULL")

    def put(key: str, value: bytes) -> None:
        db[key] = value
        db.commit()

    return Store(db.__getitem__, put, db.update, db.close, finish=db.commit)


def open_lmdb(directory: Path, durability: Durability) -> Store:
    lmdb = importlib.import_module("lmdb")
    environment = lmdb.open(str(directory), map_size=2**32, sync=durability == "always", max_readers=64)

    def get(key: bytes) -> Any:
        with environment.begin() as transaction:
            return transaction.get(key)

    def put(key: bytes, value: bytes) -> None:
        with environment.begin(write=True) as transaction:
            transaction.put(key, value)

    def fill(items: Items) -> None:
        with environment.begin(write=True) as transaction:
            for key, value in items:
                transaction.put(key, value)

    return Store(get, put, fill, environment.close)


def open_rocksdict(directory: Path, durability: Durability) -> Store:
    rocksdict = importlib.import_module("rocksdict")
    db = rocksdict.Rdict(str(directory), rocksdict.Options(raw_mode=True))
    if durability == "always":
        options = rocksdict.WriteOptions()
        options.sync = True
        db.set_write_options(options)

    def fill(items: Items) -> None:
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in items:
            batch.put(key, value)
        db.write(batch)

    return Store(db.__getitem__, db.__setitem__, fill, db.close)


def open_shelve(directory: Path, durability: Durability) -> Store:
    shelf = shelve.open(str(directory / "data"))  # noqa: SIM115 - closed by whoever opened the store
    lock = threading.Lock()  # a shelf is not safe from several threads

    def put_synced(key: str, value: bytes) -> None:
        with lock:
            shelf[key] = value
            shelf.sync()
            for file in directory.iterdir():
                _sync_file(file)

    put = shelf.__setitem__ if durability == "never" else put_synced
    return Store(shelf.__getitem__, put, shelf.update, shelf.close)


def _sync_file(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


OURS = "keystead"
STORES: dict[str, StoreKind] = {
    OURS: StoreKind("keystead", open_keystead, {"never": "fsync never", "always": "fsync always"}),
    "diskcache": StoreKind(
        "diskcache", open_diskcache, {"never": "WAL, synchronous=OFF", "always": "WAL, synchronous=FULL"}
    ),
    "sqlitedict": StoreKind(
        "sqlitedict",
        open_sqlitedict,
        {"never": "WAL, synchronous=OFF, sets queued", "always": "WAL, synchronous=FULL, commit() after each set"},
        keys_are_text=True,
    ),
    "lmdb": StoreKind("lmdb", open_lmdb, {"never": "sync=False", "always": "sync=True"}),
    "rocksdict": StoreKind("rocksdict", open_rocksdict, {"never": "log, sync=False", "always": "log, sync=True"}),
    "shelve": StoreKind(
        "shelve", open_shelve, {"never": "no sync()", "always": "sync() and fsync after each set"}, keys_are_text=True
    ),
}
