"""keystead tls init: what it makes, what it keeps, what it refuses."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cli.stores import keystead
from keystead.cli import main
from keystead.errors import ConfigurationError

BAD_CONFIGURATION = 78
USAGE = 2


def made(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_makes_an_authority_a_server_and_clients_that_openssl_accepts(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    done = keystead("tls", "init", "--to", folder, "--client", "alice", "--name", "db.example", "--name", "10.0.0.7")
    assert done.status == 0, done
    assert set(made(folder)) == {f"{name}.{kind}" for name in ("ca", "server", "alice") for kind in ("crt", "key")}
    for name, purpose in (("server", "sslserver"), ("alice", "sslclient")):
        words = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", str(folder / "ca.crt")]
        verified = subprocess.run([*words, str(folder / f"{name}.crt")], capture_output=True, text=True, timeout=60)
        assert verified.stdout.endswith("OK\n"), verified
    words = ["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", str(folder / "server.crt")]
    names = subprocess.run(words, capture_output=True, text=True, timeout=60).stdout
    assert "DNS:db.example, IP Address:10.0.0.7" in names


def test_nobody_but_the_owner_can_read_the_keys(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    assert keystead("tls", "init", "--to", folder, "--client", "alice").status == 0
    keys = list(folder.glob("*.key"))
    assert len(keys) == 3
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_is_there_is_kept_and_what_is_missing_is_made_by_the_same_authority(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    assert keystead("tls", "init", "--to", folder).status == 0
    before = made(folder)
    assert keystead("tls", "init", "--to", folder, "--client", "bob").status == 0
    after = made(folder)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"bob.crt", "bob.key"}


def test_the_advice_names_commands_with_the_files_that_were_made(tmp_path: Path) -> None:
    output = keystead("tls", "init", "--to", tmp_path / "tls", "--client", "alice").output
    assert f"keystead serve --tls-port 7443 --tls-cert-file {tmp_path}/tls/server.crt" in output
    assert f"--cert {tmp_path}/tls/alice.crt --key {tmp_path}/tls/alice.key" in output


@pytest.mark.parametrize("user", ["", "ca", "server", "../alice", "x" * 65])
def test_a_name_that_cannot_be_a_file_or_a_subject_is_refused(tmp_path: Path, user: str) -> None:
    done = keystead("tls", "init", "--to", tmp_path / "tls", "--client", user)
    assert done.status == USAGE
    assert not (tmp_path / "alice.crt").exists()


def test_another_file_in_place_of_the_authority_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("no certificate")
    (tmp_path / "ca.key").write_text("no key")
    assert keystead("tls", "init", "--to", tmp_path).status == BAD_CONFIGURATION
    assert made(tmp_path) == {"ca.crt": b"no certificate", "ca.key": b"no key"}


def test_without_the_library_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    assert main(["tls", "init", "--to", str(tmp_path / "tls")]) == ConfigurationError.exit_code
    assert "pip install 'keystead[tls]'" in capsys.readouterr().err


def test_another_subcommand_is_a_usage_error() -> None:
    assert keystead("tls", "show").status == USAGE
