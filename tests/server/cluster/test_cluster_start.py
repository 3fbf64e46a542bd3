"""Starts that cannot succeed end with a status and a sentence that says what is wrong; those that can, serve."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from clusters import Cluster, make_certificates, running_cluster
from front_doors import cluster_options, failed_start, start_front_door, until
from http_client import HttpConnection
from keystead.config import Settings
from keystead.errors import ConfigurationError
from keystead.server.cluster_app import client_options
from servers import Server, free_port, running

UNAVAILABLE = 69
MISCONFIGURED = 78


def test_nobody_at_the_address_is_a_clear_error(tmp_path: Path) -> None:
    address = ("127.0.0.1", free_port())
    status, said = failed_start(tmp_path / "door", *cluster_options([address]))
    assert status == UNAVAILABLE
    assert f"127.0.0.1:{address[1]}" in said
    assert "Traceback" not in said


def test_a_name_that_leads_nowhere_is_a_clear_error(tmp_path: Path) -> None:
    status, said = failed_start(tmp_path / "door", "--cluster", "no-such-host.invalid:6379")
    assert status == UNAVAILABLE
    assert "no-such-host.invalid:6379" in said


def test_a_server_that_is_no_cluster_is_a_clear_error(redis: Server, tmp_path: Path) -> None:
    status, said = failed_start(tmp_path / "door", *cluster_options([redis.address]))
    assert status == UNAVAILABLE
    assert "cluster" in said.lower()
    assert "Traceback" not in said


def test_a_wrong_password_is_a_clear_error_and_the_right_one_may_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("open sesame\n")
    with running_cluster(tmp_path / "cluster", shards=3, replicas=0, password="open sesame") as cluster:
        for options in ((), ("--cluster-password", "wrong")):
            status, said = failed_start(tmp_path / "door", *cluster_options(cluster.addresses), *options)
            assert status == UNAVAILABLE
            assert "password" in said.lower() or "auth" in said.lower()
            assert "wrong" not in said.replace("wrong password", ""), "the password is told"
        options = ("--cluster-password-file", str(secret), "--cluster-acknowledge", "async")
        with running(start_front_door(tmp_path / "door", cluster.addresses, *options)) as door:
            http = HttpConnection(door.http_address)
            assert http.ask("PUT", "/v1/keys/k", b"v").status == 201
            assert http.ask("GET", "/v1/cluster").json["acknowledge"] == "async"
            http.close()


def test_slots_that_nobody_serves_are_a_clear_error(tmp_path: Path) -> None:
    with running_cluster(tmp_path / "cluster", shards=3, replicas=0) as cluster:
        node = cluster.nodes[0]
        node.call("CLUSTER", "DELSLOTS", 7)
        status, said = failed_start(tmp_path / "door", *cluster_options([(node.host, node.port)]))
        assert status == UNAVAILABLE
        assert "slot" in said


def test_tls_to_the_nodes_works_and_its_mismatches_are_clear_errors(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path / "certificates")
    trusted = ("--cluster-tls", "yes", "--cluster-tls-ca-cert-file", str(certificates.authority))
    certified = (
        *("--cluster-tls-cert-file", str(certificates.client_certificate)),
        *("--cluster-tls-key-file", str(certificates.client_key)),
    )
    with running_cluster(tmp_path / "cluster", replicas=0, certificates=certificates) as cluster:
        for options, reason in (((), "TLS"), (("--cluster-tls", "yes"), "certificate is not accepted")):
            status, said = failed_start(tmp_path / "door", *cluster_options(cluster.addresses), *options)
            assert status == UNAVAILABLE
            assert reason in said
            assert "Traceback" not in said
        for options in (trusted, (*trusted, *certified)):
            more = (*options, "--cluster-acknowledge", "async")
            with running(start_front_door(tmp_path / "door", cluster.addresses, *more)) as door:
                http = HttpConnection(door.http_address)
                assert http.ask("PUT", "/v1/keys/k", b"v").status in (201, 204)
                http.close()


def test_a_cluster_that_speaks_no_tls_is_a_clear_error(cluster: Cluster, tmp_path: Path) -> None:
    status, said = failed_start(tmp_path / "door", *cluster_options(cluster.addresses), "--cluster-tls", "yes")
    assert status == UNAVAILABLE
    assert "TLS" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--cluster", "nonsense"), "addresses with ports"),
        (("--cluster", "host:0"), "between 1 and 65535"),
        (("--cluster", "::1:6379"), "[::1]:6379"),
        (("--cluster-acknowledge", "async"), "no cluster that it could be about"),
        (("--cluster", "a:1", "--cluster-acknowledge", "perhaps"), "replicated"),
        (("--cluster", "a:1", "--cluster-wait-timeout", "0"), "1ms"),
        (("--cluster", "a:1", "--cluster-tls-ca-cert-file", "/x"), "cluster-tls is not yes"),
        (("--cluster", "a:1", "--cluster-tls", "yes", "--cluster-tls-ca-cert-file", "/absent"), "cannot be used"),
        (("--cluster", "a:1", "--cluster-tls", "yes", "--cluster-tls-key-file", "/absent"), "cluster-tls-cert-file"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_anything_is_reached(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    status, text = failed_start(tmp_path / "door", *options)
    assert status == MISCONFIGURED
    assert said in text


def test_every_setting_of_the_cluster_reaches_its_client() -> None:
    settings = Settings(
        cluster=(("::1", 1),),
        cluster_username="u",
        cluster_password="p",
        cluster_acknowledge="async",
        cluster_wait_timeout_ms=250,
        cluster_timeout_ms=1500,
    )
    options = client_options(settings)
    assert (options.username, options.password, options.ssl) == ("u", "p", None)
    assert (options.acknowledge, options.wait_timeout_ms, options.timeout_s) == ("async", 250, 1.5)
    assert "p'" not in repr(options).replace("repr", "")


def test_certificates_that_cannot_be_used_are_named() -> None:
    for member in ("cluster_tls_ca_cert_file", "cluster_tls_cert_file"):
        settings = Settings(cluster=(("a", 1),), cluster_tls=True, **{member: Path("/absent.pem")})  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match=r"/absent\.pem"):
            client_options(settings)


def test_the_port_is_taken_before_the_cluster_is_looked_for(cluster: Cluster, tmp_path: Path) -> None:
    with running(start_front_door(tmp_path / "first", cluster.addresses)) as first:
        status, said = failed_start(tmp_path / "door", *cluster_options(cluster.addresses), "--port", str(first.port))
    assert status == UNAVAILABLE
    assert "listens" in said


def test_signals_are_those_of_a_store_but_for_the_checkpoint(cluster: Cluster, tmp_path: Path) -> None:
    with running(start_front_door(tmp_path / "door", cluster.addresses)) as door:
        door.process.send_signal(signal.SIGHUP)
        until(lambda: "reloaded" in door.log.read_text(), "SIGHUP")
        door.process.send_signal(signal.SIGUSR2)
        until(lambda: "no checkpoint" in door.log.read_text(), "SIGUSR2")
        assert door.stop() == 0
    assert not (tmp_path / "door" / "manifest").exists()


def test_shutdown_ends_the_front_door_and_leaves_the_cluster(cluster: Cluster, tmp_path: Path) -> None:
    with running(start_front_door(tmp_path / "door", cluster.addresses)) as door:
        client = door.connect()
        client.send(b"*1\r\n$8\r\nSHUTDOWN\r\n")
        assert door.process.wait(20) == 0
        client.close()
    assert all(node.running for node in cluster.nodes)
