"""The same repository in object storage: against an S3 of our own (moto), on loopback."""

from __future__ import annotations

import http.client
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from simulated_disk import SimulatedDisk
from stores import SMALL, opened, state_of
from workload import EMPTY_DISK

from backup.lives import away, back_up, newest, restored
from cli.stores import content, fill
from keystead.backup.failures import DamagedBackup, PlaceFailure
from keystead.backup.lease import LEASES, leased
from keystead.backup.object_storage import ObjectStorage
from keystead.backup.places import place_at, read_whole
from keystead.backup.repository import Repository
from keystead.engine.files import Directory
from keystead.engine.remembered import remembered

BUCKET = "backups"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def place(endpoint: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ObjectStorage:
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    connection = http.client.HTTPConnection(endpoint.removeprefix("http://"))
    connection.request("PUT", f"/{BUCKET}")
    assert connection.getresponse().status == 200
    connection.close()
    found = place_at(f"s3://{BUCKET}/{request.node.name}")
    assert isinstance(found, ObjectStorage)
    return found


def test_what_is_put_can_be_read_listed_and_removed(place: ObjectStorage) -> None:
    place.put("objects/a", [b"12", b"34"])
    place.put("snapshots/b", [])
    assert place.sizes("objects") == {"objects/a": 4}
    assert read_whole(place, "objects/a") == b"1234"
    place.remove("objects/a")
    place.remove("objects/a")
    assert place.sizes("objects") == {}
    with pytest.raises(FileNotFoundError):
        read_whole(place, "objects/a")


def test_a_large_object_travels_in_parts(place: ObjectStorage) -> None:
    data = bytes(range(256)) * 4096
    place.put("objects/large", [data] * 21)
    assert place.sizes("objects") == {"objects/large": 21 << 20}
    assert read_whole(place, "objects/large") == data * 21


@pytest.mark.parametrize("chunks", [1, 20], ids=["small", "in parts"])
def test_an_upload_whose_source_fails_leaves_nothing(place: ObjectStorage, chunks: int) -> None:
    def failing() -> Iterator[bytes]:
        for _ in range(chunks):
            yield bytes(1 << 20)
        raise DamagedBackup([])

    with pytest.raises(DamagedBackup):
        place.put("objects/a", failing())
    assert place.sizes("objects") == {}


def test_what_the_storage_says_is_passed_on_in_one_line(place: ObjectStorage) -> None:  # noqa: ARG001  # the variables
    with pytest.raises(PlaceFailure) as caught:
        ObjectStorage("s3://no-such-bucket/x").sizes("objects")
    assert str(caught.value) == "cannot use s3://no-such-bucket/x: The specified bucket does not exist"


def test_a_storage_that_does_not_answer_is_said_to_in_time(
    place: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(PlaceFailure, match=f"cannot use {place.address}: "):
        ObjectStorage(place.address).sizes("objects")


def test_a_lease_is_held_there_too(place: ObjectStorage) -> None:
    with leased(place):
        assert len(place.sizes(LEASES)) == 1
    assert place.sizes(LEASES) == {}


def test_a_store_is_backed_up_incrementally_and_restored(place: ObjectStorage) -> None:
    disk = SimulatedDisk(EMPTY_DISK)
    engine = opened(disk, SMALL)
    repository = Repository(place)
    for number in range(30):
        engine.databases[0].keyspace.put(b"%d" % number, b"value" * 10)
        engine.end_turn()
        engine.sync()
        engine.housekeep(1)
        if number % 10 == 9:
            before = repository.objects()
            assert back_up(disk, repository) == number + 1
            sealed = {name: size for name, size in before.items() if size > SMALL.segment_bytes}
            assert sealed.items() <= repository.objects().items()
    assert restored(newest(repository)) == (30, state_of(engine))
    _, elsewhere = away()
    back_up(disk, elsewhere)
    assert elsewhere.snapshots()[-1].digest == repository.snapshots()[-1].digest != ""


def test_the_command_line_backs_up_verifies_and_restores(place: ObjectStorage, tmp_path: Path) -> None:
    fill(tmp_path / "store", 30)

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "keystead", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert f"in {place.address}: transactions up to 30 of " in run(
        "backup", f"{place.address}/", "--dir", str(tmp_path / "store")
    )
    assert "30 keys" in run("backup", "verify", place.address)
    run("restore", place.address, "--to-sequence", "20", "--into", str(tmp_path / "back"))
    assert content(tmp_path / "back") == {b"k%d" % number: b"v%d" % number for number in range(20)}
    assert [backup.place for backup in remembered(Directory(str(tmp_path / "store")))] == [place.address]


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "keystead.backup.object_storage")
    with pytest.raises(PlaceFailure, match=r"pip install 'keystead\[backup\]'"):
        place_at("s3://bucket/x")
