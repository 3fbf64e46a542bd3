"""Certificates for tests: made once a session by the command that makes them for users, some of them bad."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from keystead.cli.tls import Maker


def make(folder: Path, *clients: str) -> Path:
    """ca, server and one certificate for each client."""
    maker = Maker(folder, days=30)
    maker.server(["localhost", "127.0.0.1"])
    for client in clients:
        maker.client(client)
    return folder


def make_expired(folder: Path, user: str) -> None:
    """Replace the certificate of *user* by one that was valid until yesterday, of the same authority."""
    maker = Maker(folder, days=30)
    authority, authority_key = maker._authority
    old = x509.load_pem_x509_certificate((folder / f"{user}.crt").read_bytes())
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(old.subject).issuer_name(authority.subject)
    builder = builder.public_key(old.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=9)).not_valid_after(now - timedelta(days=1))
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    (folder / f"{user}.crt").write_bytes(builder.sign(authority_key, hashes.SHA256()).public_bytes(Encoding.PEM))
