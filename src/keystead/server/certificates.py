"""What this server shows to prove who it is, and whose word it takes for who a client is.

Owns: the TLS context that new connections begin with, and reading its files anew. Must not know: sockets, users.
"""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING, Any

from keystead.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from keystead.config.settings import Settings

log = logging.getLogger("keystead.server")


class Certificates:
    """The server's certificate and the authorities it believes."""

    def __init__(self, settings: Settings) -> None:
        """Read the files. ConfigurationError when they cannot be used."""
        self.context = read_context(settings)
        """For connections that begin now. Never changed, only replaced: those that have begun keep theirs."""

    def reload(self, settings: Settings) -> bool:
        """Read the files again; False, and the old ones stay, when the new ones cannot be used."""
        try:
            self.context = read_context(settings)
        except ConfigurationError as reason:
            log.error("the certificates in use stay: %s", reason)
            return False
        log.info("read the certificates anew; new connections get them")
        return True


def read_context(settings: Settings) -> ssl.SSLContext:
    """The context that the settings describe. ConfigurationError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A client could make us negotiate again and again, which costs us more than it.
    context.options |= ssl.OP_NO_RENEGOTIATION
    assert settings.tls_cert_file is not None
    try:
        # Without a function OpenSSL would ask whoever sits at the terminal.
        context.load_cert_chain(
            settings.tls_cert_file, settings.tls_key_file, password=lambda: settings.tls_key_password
        )
    except (OSError, ValueError) as error:
        key = settings.tls_key_file or settings.tls_cert_file
        raise _unusable(f"certificate {settings.tls_cert_file} with the key {key}", error) from error
    wanted = settings.tls_auth_clients
    if wanted == "auto":
        wanted = "yes" if settings.tls_ca_cert_file else "no"
    if wanted != "no":
        assert settings.tls_ca_cert_file is not None
        _believe(context, settings.tls_ca_cert_file)
        context.verify_mode = ssl.CERT_REQUIRED if wanted == "yes" else ssl.CERT_OPTIONAL
    return context


def _believe(context: ssl.SSLContext, authorities: Path) -> None:
    try:
        context.load_verify_locations(authorities)
    except (OSError, ValueError) as error:
        raise _unusable(f"authorities {authorities}", error) from error


def _unusable(what: str, error: Exception) -> ConfigurationError:
    reason = {
        "KEY_VALUES_MISMATCH": "the key belongs to another certificate",
        "BAD_DECRYPT": "the password of the key is wrong (tls-key-file-pass)",
        "BAD_PASSWORD_READ": "the key has a password (tls-key-file-pass)",
    }.get(getattr(error, "reason", None) or "")
    return ConfigurationError(f"cannot use the {what}: {reason or getattr(error, 'strerror', None) or error}")


def common_name(certificate: dict[str, Any] | None) -> str | None:
    """The name of the subject of a certificate, as `getpeercert` gives it; the last one when there are several."""
    subject = (certificate or {}).get("subject", ())
    names = [value for part in subject for kind, value in part if kind == "commonName"]
    return names[-1] if names else None
