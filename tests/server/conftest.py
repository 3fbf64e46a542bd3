"""What the tests of TLS share: certificates, and servers that have them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from server import certificates
from server.encrypted import TlsServer, serving


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates.make(tmp_path_factory.mktemp("tls"), "default", "nobody")


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of an authority that the server does not know."""
    return certificates.make(tmp_path_factory.mktemp("foreign"), "default")


@pytest.fixture
def tls(tmp_path: Path, folder: Path) -> Iterator[TlsServer]:
    """Client certificates are not asked for."""
    with serving(tmp_path / "data", folder) as server:
        yield server


@pytest.fixture
def mutual(tmp_path: Path, folder: Path) -> Iterator[TlsServer]:
    """Client certificates may be shown; who shows none needs a password."""
    options = ("--tls-ca-cert-file", str(folder / "ca.crt"), "--tls-auth-clients", "optional", "--requirepass", "x")
    with serving(tmp_path / "data", folder, *options) as server:
        yield server
