"""keystead migrate between real servers, directories and a cluster, while a client writes."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.stores import content, fill, keystead
from clusters import Cluster, make_certificates, running_cluster
from migration.writing import Ask, ClusterDoor, Writer, differences
from servers import Server, free_port, running, start_keystead, start_redis

LIMIT_S = 90.0
OLD_KEYS = 5000
QUICK_SYNC = ("--repl-diskless-sync-delay", "0")


class Migrate:
    """A running `keystead migrate`."""

    def __init__(self, directory: Path, source: str, target: str, *options: str) -> None:
        self._output = (directory / f"migrate{time.monotonic_ns()}.log").open("w+b")
        self.state = directory / "state.json"
        command = [sys.executable, "-m", "keystead", "migrate", "--from", source, "--to", target]
        self.process = subprocess.Popen(
            [*command, "--state", str(self.state), *options],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    @property
    def output(self) -> str:
        return Path(self._output.name).read_text()

    def await_text(self, text: str) -> None:
        deadline_s = time.monotonic() + LIMIT_S
        while text not in self.output:
            assert time.monotonic() < deadline_s, self.output
            assert self.process.poll() is None or text in self.output, self.output
            time.sleep(0.01)

    def await_state(self) -> None:
        deadline_s = time.monotonic() + LIMIT_S
        while not self.state.exists():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline_s, self.output
            time.sleep(0.005)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def end(self) -> int:
        status = self.process.wait(LIMIT_S)
        assert "Traceback" not in self.output, self.output
        return status


@contextlib.contextmanager
def migrating(directory: Path, source: str, target: str, *options: str) -> Iterator[Migrate]:
    migrate = Migrate(directory, source, target, *options)
    try:
        yield migrate
    finally:
        if migrate.process.poll() is None:
            migrate.kill()
        assert migrate.process.stdin is not None
        migrate.process.stdin.close()
        migrate._output.close()


def url(server: Server) -> str:
    return f"redis://127.0.0.1:{server.port}"


def cluster_url(cluster: Cluster) -> str:
    return "cluster://" + ",".join(f"{host}:{port}" for host, port in cluster.addresses[:2])


def prefill(server: Server, count: int) -> None:
    with contextlib.closing(server.connect()) as connection:
        for first in range(0, count, 500):
            keys = range(first, min(count, first + 500))
            connection.send(b"".join(b"SET old:%d %d\r\n" % (i, i) for i in keys))
            for _ in keys:
                connection.receive()


def move_under_load(writer: Writer, source: str, target: str, directory: Path, ask: Ask | None, *options: str) -> None:
    """Begin, be killed in the middle of copying and of following, go on, cut over when told by a typed line; then the
    writer asks the new store, or nobody when there is no *ask*."""
    with migrating(directory, source, target, *options) as first:
        first.await_state()
        first.kill()
    with migrating(directory, source, target, *options) as second:
        second.await_text("cut over when the time has come")
        time.sleep(0.5)
        second.kill()
    with migrating(directory, source, target, *options) as third:
        third.await_text("going on where it ended")
        third.await_text("cut over when the time has come")
        third.type("cut over")
        third.await_text("cut over: ")
        if ask is not None:
            writer.switch(ask)
            time.sleep(0.5)
        else:
            writer.end_here()
        assert third.end() == 0, third.output
        assert "none differs" in third.output


@contextlib.contextmanager
def origin_of(kind: str, directory: Path) -> Iterator[tuple[Server, str, list[str]]]:
    """A server with some keys, how its keys are named as a source, and the options that go with it."""
    if kind == "directory":
        with running(start_keystead(directory / "origin")) as server:
            prefill(server, OLD_KEYS)
            yield server, str(directory / "origin"), ["--source-server", url(server)]
    else:
        with running(start_redis(directory / "origin", *QUICK_SYNC)) as server:
            prefill(server, OLD_KEYS)
            yield server, url(server), []


def writer_on(server: Server) -> Writer:
    writer = Writer(server.connect(), seed=server.port)
    writer.keys = {b"old:%d" % i: (b"%d" % i, 0) for i in range(OLD_KEYS)}
    writer.start()
    return writer


@pytest.mark.parametrize("kind", ["directory", "redis"])
def test_a_store_is_moved_to_a_server_while_a_client_writes_through_kills_and_the_cut_over(
    tmp_path: Path, kind: str
) -> None:
    with (
        origin_of(kind, tmp_path) as (origin, source, options),
        running(start_redis(tmp_path / "destination")) as destination,
        contextlib.closing(destination.connect()) as connection,
    ):
        writer = writer_on(origin)
        try:
            move_under_load(writer, source, url(destination), tmp_path, connection.call, *options, "--pause", "4")
        finally:
            keys = writer.stop()
        assert differences(keys, connection.call) == []
        assert writer.writes > 500


@pytest.mark.parametrize("kind", ["directory", "redis"])
def test_a_store_is_moved_to_a_cluster_while_a_client_writes_through_kills_and_the_cut_over(
    tmp_path: Path, cluster: Cluster, kind: str
) -> None:
    with contextlib.closing(ClusterDoor(cluster)) as door, origin_of(kind, tmp_path) as (origin, source, options):
        door.ask(b"FLUSHALL")
        writer = writer_on(origin)
        try:
            move_under_load(writer, source, cluster_url(cluster), tmp_path, door.ask, *options, "--pause", "4")
        finally:
            keys = writer.stop()
        assert differences(keys, door.ask) == []
        assert writer.writes > 500
        door.ask(b"FLUSHALL")


def test_a_server_is_moved_to_a_directory_while_a_client_writes_through_kills_and_the_cut_over(tmp_path: Path) -> None:
    with origin_of("redis", tmp_path) as (origin, source, _):
        writer = writer_on(origin)
        try:
            move_under_load(writer, source, str(tmp_path / "destination"), tmp_path, None, "--pause", "4")
        finally:
            keys = writer.stop()
    with (
        running(start_keystead(tmp_path / "destination")) as destination,
        contextlib.closing(destination.connect()) as connection,
    ):
        assert differences(keys, connection.call) == []


def test_a_cluster_is_moved_back_to_a_directory(tmp_path: Path, cluster: Cluster) -> None:
    with contextlib.closing(ClusterDoor(cluster)) as door:
        door.ask(b"FLUSHALL")
        for i in range(1000):
            door.ask(b"SET", b"key:%d" % i, b"%d" % i)
        with migrating(tmp_path, cluster_url(cluster), str(tmp_path / "data"), "--pause", "3") as migrate:
            migrate.await_text("cut over when the time has come")
            for i in range(0, 1000, 10):
                door.ask(b"APPEND", b"key:%d" % i, b"+")
            migrate.type("cut over")
            assert migrate.end() == 0, migrate.output
        door.ask(b"FLUSHALL")
    appended = {b"key:%d" % i: b"%d" % i + (b"" if i % 10 else b"+") for i in range(1000)}
    assert content(tmp_path / "data") == appended


COLLECTIONS = [
    "RPUSH list a b c",
    "HSET hash field value other 2",
    "SADD numbers 1 2 3",
    "SADD words one two 3",
    "ZADD scores 1.5 one 2 two",
    "XADD stream 1-1 field value",
    "XADD stream 2-1 field other",
    "SETBIT bits 1000 1",
    "PFADD visitors a b c",
]
CHANGES = ["LPUSH list d", "HINCRBY hash other 1", "SREM words 3", "ZINCRBY scores 3 one", "SADD numbers x"]


def test_keys_of_all_types_are_moved_from_a_server_to_a_cluster(tmp_path: Path, cluster: Cluster) -> None:
    with (
        contextlib.closing(ClusterDoor(cluster)) as door,
        running(start_redis(tmp_path / "origin", *QUICK_SYNC)) as origin,
        contextlib.closing(origin.connect()) as connection,
    ):
        door.ask(b"FLUSHALL")
        for command in COLLECTIONS:
            assert connection.call(*command.split()).kind != "-"
        connection.call(b"PEXPIREAT", b"hash", b"4000000000000")
        with migrating(tmp_path, url(origin), cluster_url(cluster), "--pause", "3") as migrate:
            migrate.await_text("cut over when the time has come")
            for command in CHANGES:
                assert connection.call(*command.split()).kind != "-"
            migrate.type("cut over")
            assert migrate.end() == 0, migrate.output
        with contextlib.closing(origin.connect()) as connection:  # all clients were cut off at the end of the pause
            for key in (b"list", b"hash", b"bits", b"visitors", b"stream", b"scores"):
                assert door.ask(b"DUMP", key) == connection.call(b"DUMP", key)
                assert door.ask(b"PEXPIRETIME", key) == connection.call(b"PEXPIRETIME", key)
            for key in (b"numbers", b"words"):
                assert sorted(door.ask(b"SMEMBERS", key).value) == sorted(connection.call(b"SMEMBERS", key).value)
        door.ask(b"FLUSHALL")


def test_a_server_that_lets_nobody_follow_it_is_copied_on_demand(tmp_path: Path) -> None:
    with (
        origin_of("redis", tmp_path) as (origin, source, _),
        running(start_redis(tmp_path / "destination")) as destination,
        contextlib.closing(origin.connect()) as one,
        contextlib.closing(destination.connect()) as other,
    ):
        one.call(b"ACL", b"SETUSER", b"mover", b"on", b">secret", b"~*", b"+@all", b"-psync", b"-sync", b"-replconf")
        password = tmp_path / "password"
        password.write_text("secret\n")
        as_mover = source.replace("redis://", "redis://mover@")
        options = ("--from-password-file", str(password), "--pause", "3")
        with migrating(tmp_path, as_mover, url(destination), *options) as refused:
            assert refused.end() == 1
            assert "does not let itself be followed" in refused.output
            assert "--copy moves keys without" in refused.output
            assert not refused.state.exists()
        with migrating(tmp_path, as_mover, url(destination), "--copy", *options) as migrate:
            migrate.await_text("cut over when the time has come")
            one.call(b"SET", b"old:1", b"changed")
            one.call(b"DEL", b"old:2")
            one.call(b"SET", b"new", b"value", b"PXAT", b"4000000000000")
            migrate.type("cut over")
            assert migrate.end() == 0, migrate.output
        assert (other.call(b"GET", b"old:1").value, other.call(b"GET", b"old:2").value) == (b"changed", None)
        assert other.call(b"PEXPIRETIME", b"new").value == 4000000000000
        assert other.call(b"DBSIZE").value == OLD_KEYS  # one less and one more


def test_a_signal_cuts_over_and_what_comes_to_the_source_later_is_reported(tmp_path: Path) -> None:
    with (
        origin_of("redis", tmp_path) as (origin, source, _),
        running(start_redis(tmp_path / "destination")) as destination,
        contextlib.closing(origin.connect()) as late,
        migrating(tmp_path, source, url(destination), "--pause", "2") as migrate,
    ):
        migrate.await_text("cut over when the time has come")
        migrate.process.send_signal(signal.SIGUSR1)
        migrate.await_text("cut over: ")
        late.call(b"CLIENT", b"UNPAUSE")
        late.call(b"SET", b"late", b"v")
        assert migrate.end() == 1
        assert "1 change came to" in migrate.output
        with migrating(tmp_path, source, url(destination)) as again:
            assert again.end() == 1
            assert "was cut over" in again.output


def test_a_migration_begun_with_cut_over_runs_a_command_and_ends_by_itself(tmp_path: Path) -> None:
    fill(tmp_path / "data", 300)
    with running(start_redis(tmp_path / "destination")) as destination:
        mark = tmp_path / "switched"
        run = keystead(
            "migrate", "--from", tmp_path / "data", "--to", url(destination), "--state", tmp_path / "state.json",
            "--cut-over", "--then", f"touch {mark}",
        )  # fmt: skip
        assert run.status == 0, run.errors
        assert "300 keys compared, none differs (digest " in run.output
        assert mark.exists()
        assert json.loads((tmp_path / "state.json").read_text())["phase"] == "cut over"


def test_a_planted_difference_is_found_by_comparing(tmp_path: Path) -> None:
    fill(tmp_path / "data", 300)
    with (
        running(start_redis(tmp_path / "destination")) as destination,
        contextlib.closing(destination.connect()) as connection,
    ):
        ends = ("migrate", "--from", tmp_path / "data", "--to", url(destination), "--state", tmp_path / "state.json")
        assert keystead(*ends, "--cut-over").status == 0
        same = keystead(*ends, "--compare")
        assert (same.status, "300 keys compared, none differs, digest " in same.output) == (0, True)
        connection.call(b"SET", b"k7", b"other")
        connection.call(b"PEXPIREAT", b"k8", b"4000000000000")
        connection.call(b"DEL", b"k9")
        connection.call(b"SET", b"k300", b"v300")
        differing = keystead(*ends, "--compare")
        assert differing.status == 1
        assert "4 keys differ between source and target" in differing.errors
        assert sorted(differing.output.splitlines()) == [
            "b'k300': only in the target",
            "b'k7': another value",
            "b'k8': expires at 4000000000000 instead of 0",
            "b'k9': missing in the target",
        ]


# --- What is refused before anything is changed ----------------------------------------------------------------------


def refused(tmp_path: Path, source: str | Path, target: str | Path, *options: str | Path) -> str:
    run = keystead("migrate", "--from", source, "--to", target, "--state", tmp_path / "state.json", *options)
    assert run.status != 0
    assert not (tmp_path / "state.json").exists()
    return run.errors


def test_numbered_databases_are_refused_unless_one_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "data", 3)
    fill(tmp_path / "data", 2, database=5)
    with running(start_redis(tmp_path / "destination")) as destination:
        errors = refused(tmp_path, tmp_path / "data", url(destination))
        assert "3 keys in database 0, 2 keys in database 5" in errors
        assert "--database N" in errors
        ends = ("migrate", "--from", tmp_path / "data", "--to", url(destination), "--state", tmp_path / "state.json")
        moved = keystead(*ends, "--database", "5", "--cut-over")
        assert moved.status == 0, moved.errors
        with contextlib.closing(destination.connect()) as connection:
            assert connection.call(b"DBSIZE").value == 2


def test_types_that_a_directory_does_not_hold_are_counted_and_refused(tmp_path: Path) -> None:
    with (
        running(start_redis(tmp_path / "origin")) as origin,
        contextlib.closing(origin.connect()) as connection,
    ):
        for command in COLLECTIONS:
            connection.call(*command.split())
        errors = refused(tmp_path, url(origin), tmp_path / "data")
    assert "1 of type hash, 1 of type list, 2 of type set, 1 of type stream, 1 of type zset" in errors


def test_a_target_with_keys_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "data", 3)
    fill(tmp_path / "other", 1)
    assert "not empty: it has 1 keys" in refused(tmp_path, tmp_path / "data", tmp_path / "other")
    assert len(content(tmp_path / "other")) == 1


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "data", 3)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "letter.txt").write_text("Dear all")
    assert "there is no Keystead data in it" in refused(tmp_path, tmp_path / "data", tmp_path / "files")
    assert "no such directory" in refused(tmp_path, tmp_path / "none", tmp_path / "new")
    assert "same directory" in refused(tmp_path, tmp_path / "data", tmp_path / "data")
    assert "http:// is no kind of store" in refused(tmp_path, tmp_path / "data", "http://localhost")
    assert "Connection refused" in refused(tmp_path, tmp_path / "data", f"redis://127.0.0.1:{free_port()}")


def test_a_node_of_a_cluster_is_no_server_of_its_own(tmp_path: Path, cluster: Cluster) -> None:
    fill(tmp_path / "data", 3)
    node = f"127.0.0.1:{cluster.nodes[0].port}"
    assert f"write cluster://{node}" in refused(tmp_path, tmp_path / "data", f"redis://{node}")
    assert f"write cluster://{node}" in refused(tmp_path, f"redis://{node}", tmp_path / "new")


def test_a_cluster_without_replicas_is_refused_unless_none_is_waited_for(tmp_path: Path) -> None:
    fill(tmp_path / "data", 100)
    with running_cluster(tmp_path / "cluster", replicas=0) as alone:
        errors = refused(tmp_path, tmp_path / "data", cluster_url(alone))
        assert "has no replica" in errors
        assert "--acknowledge async" in errors
        ends = ("migrate", "--from", tmp_path / "data", "--to", cluster_url(alone), "--state", tmp_path / "state.json")
        moved = keystead(*ends, "--acknowledge", "async", "--cut-over")
        assert moved.status == 0, moved.errors


def test_keys_are_moved_to_a_cluster_that_is_encrypted_and_asks_for_a_certificate(tmp_path: Path) -> None:
    fill(tmp_path / "data", 100)
    certificates = make_certificates(tmp_path / "certificates")
    with running_cluster(tmp_path / "cluster", certificates=certificates, password="secret") as encrypted:
        password = tmp_path / "password"
        password.write_text("secret\n")
        target = cluster_url(encrypted).replace("cluster://", "clusters://")
        ends = ("migrate", "--from", tmp_path / "data", "--to", target, "--state", tmp_path / "state.json")
        proof = ("--to-ca", certificates.authority, "--to-cert", certificates.client_certificate)
        proof = (*proof, "--to-key", certificates.client_key)
        moved = keystead(*ends, *proof, "--to-password-file", password, "--cut-over")
        assert moved.status == 0, moved.errors


def test_a_keystead_server_is_moved_by_its_directory_or_copied(tmp_path: Path) -> None:
    with running(start_keystead(tmp_path / "data")) as origin, running(start_redis(tmp_path / "to")) as destination:
        prefill(origin, 100)
        assert "move its data directory" in refused(tmp_path, url(origin), url(destination))
        ends = ("migrate", "--from", url(origin), "--to", url(destination), "--state", tmp_path / "state.json")
        moved = keystead(*ends, "--copy", "--cut-over", "--pause", "2")
        assert moved.status == 0, moved.errors
        assert keystead(*ends, "--compare").status == 0


def test_a_server_that_serves_another_directory_is_not_paused(tmp_path: Path) -> None:
    fill(tmp_path / "data", 3)
    with running(start_keystead(tmp_path / "served")) as server, running(start_redis(tmp_path / "to")) as destination:
        errors = refused(tmp_path, tmp_path / "data", url(destination), "--source-server", url(server))
    assert "serves another directory" in errors
