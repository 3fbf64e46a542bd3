"""keystead tls init: an authority and certificates of its own, to try TLS with or to use between one's own machines.

The private keys never leave the directory, and nobody but its owner can read them. `cryptography` makes them; it is the
extra `keystead[tls]`, because sixteen megabytes are much for a command that is used once. To serve TLS needs only
Python.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from keystead.cli import UsageError
from keystead.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_DESCRIPTION = """\
Make an authority (ca.crt, ca.key), a certificate for the server (server.crt,
server.key), and one for each user that --client names (NAME.crt, NAME.key).
An authority that is there already is used, files that are there are kept."""

_CLOCK_SKEW = timedelta(minutes=5)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; {self.prog} --help tells the options")


def run_tls(arguments: list[str]) -> int:
    """Make what is missing, and say how to use it."""
    parser = _Parser(
        prog="keystead tls init",
        usage="keystead tls init [OPTIONS]",
        description=_DESCRIPTION,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--to", type=Path, default=Path("tls"), metavar="DIR", help="where to put them [tls]")
    parser.add_argument(
        "--name",
        action="append",
        metavar="NAME",
        help="a name or address by which clients call the server; may be repeated [localhost, 127.0.0.1, ::1]",
    )
    parser.add_argument(
        "--client", action="append", default=[], metavar="USER", help="a user to make a client certificate for"
    )
    parser.add_argument("--days", type=_days, default=365, metavar="N", help="how long they are valid [365]")
    if arguments[:1] != ["init"]:
        if arguments[:1] in (["-h"], ["--help"]):
            parser.print_help()
            return 0
        raise UsageError("keystead tls has one subcommand: keystead tls init")
    given = parser.parse_args(arguments[1:])
    try:
        maker = Maker(given.to, given.days)
    except ImportError:
        raise ConfigurationError(
            "keystead tls init needs the package cryptography: pip install 'keystead[tls]'"
        ) from None
    maker.server(given.name or ["localhost", "127.0.0.1", "::1"])
    for user in given.client:
        maker.client(user)
    print(_advice(given.to, given.client))
    return 0


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 3650:
        raise argparse.ArgumentTypeError("days are a whole number from 1 to 3650")
    return int(text)


def _advice(folder: Path, clients: list[str]) -> str:
    serve = f"keystead serve --tls-port 7443 --tls-cert-file {folder}/server.crt --tls-key-file {folder}/server.key"
    connect = f"redis-cli --tls -p 7443 --cacert {folder}/ca.crt"
    if clients:
        serve += f" --tls-ca-cert-file {folder}/ca.crt"
        connect += f" --cert {folder}/{clients[0]}.crt --key {folder}/{clients[0]}.key"
    return f"the files are in {folder}; for example:\n  {serve}\n  {connect}"


class Maker:
    """Makes certificates of one authority in one directory. ImportError without the library."""

    def __init__(self, folder: Path, days: int) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        self._x509, self._hashes, self._serialization, self._ec = x509, hashes, serialization, ec
        self._folder = folder
        self._days = days
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._authority: tuple[x509.Certificate, EllipticCurvePrivateKey] = self._load() or self._make_authority()

    def server(self, names: list[str]) -> None:
        """server.crt and server.key, for these host names and addresses."""
        x509 = self._x509
        alternatives = x509.SubjectAlternativeName([self._alternative(name) for name in names])
        self._issue("server", names[0], [alternatives], x509.oid.ExtendedKeyUsageOID.SERVER_AUTH)

    def client(self, user: str) -> None:
        """A certificate with which a client is that user."""
        if not user or user in ("ca", "server") or "/" in user or len(user) > 64:
            raise UsageError(f"a certificate cannot be made for a user named {user!r}")
        self._issue(user, user, [], self._x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH)

    def _alternative(self, name: str) -> x509.GeneralName:
        try:
            return self._x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            return self._x509.DNSName(name)

    def _load(self) -> tuple[x509.Certificate, EllipticCurvePrivateKey] | None:
        try:
            certificate = self._x509.load_pem_x509_certificate((self._folder / "ca.crt").read_bytes())
            key = self._serialization.load_pem_private_key((self._folder / "ca.key").read_bytes(), None)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"{self._folder}/ca.crt or ca.key is no authority of ours: {error}") from error
        assert isinstance(key, self._ec.EllipticCurvePrivateKey)
        return certificate, key

    def _make_authority(self) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
        x509 = self._x509
        key = self._ec.generate_private_key(self._ec.SECP256R1())
        name = self._named("Keystead development authority")
        usage = x509.KeyUsage(
            key_cert_sign=True,
            crl_sign=True,
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = self._builder(name, name, key).add_extension(usage, critical=True)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        certificate = builder.sign(key, self._hashes.SHA256())
        self._write("ca", certificate, key)
        return certificate, key

    def _issue(
        self, file: str, subject: str, extensions: list[x509.ExtensionType], usage: x509.ObjectIdentifier
    ) -> None:
        if (self._folder / f"{file}.crt").exists():
            return
        x509 = self._x509
        authority, authority_key = self._authority
        key = self._ec.generate_private_key(self._ec.SECP256R1())
        builder = self._builder(self._named(subject), authority.subject, key)
        for extension in (
            *extensions,
            x509.ExtendedKeyUsage([usage]),
            x509.BasicConstraints(ca=False, path_length=None),
        ):
            builder = builder.add_extension(extension, critical=False)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        self._write(file, builder.sign(authority_key, self._hashes.SHA256()), key)

    def _builder(self, subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = self._x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
        builder = builder.public_key(key.public_key()).serial_number(self._x509.random_serial_number())
        builder = builder.not_valid_before(now - _CLOCK_SKEW).not_valid_after(now + timedelta(days=self._days))
        return builder.add_extension(self._x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)

    def _named(self, name: str) -> x509.Name:
        return self._x509.Name([self._x509.NameAttribute(self._x509.NameOID.COMMON_NAME, name)])

    def _write(self, file: str, certificate: x509.Certificate, key: EllipticCurvePrivateKey) -> None:
        encoding = self._serialization.Encoding.PEM
        secret = key.private_bytes(
            encoding, self._serialization.PrivateFormat.PKCS8, self._serialization.NoEncryption()
        )
        # The key first: a certificate without its key would be taken for finished.
        _create(self._folder / f"{file}.key", secret, 0o600)
        _create(self._folder / f"{file}.crt", certificate.public_bytes(encoding), 0o644)


def _create(path: Path, data: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)  # else it would keep the permissions that it has
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
