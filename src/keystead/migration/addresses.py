"""Where keys are moved from and to, as people write it: a path, redis://…, rediss://…, cluster://…, clusters://….

Owns: reading these words. Must not know: how anything is reached. A password in an address is seen by whoever lists the
processes of the machine, so it may also come from elsewhere, as by an option that names a file.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from keystead.errors import EXIT_USAGE, KeysteadError

REDIS_PORT = 6379


class AddressRefused(KeysteadError):
    """What was written is no address of a store."""

    exit_code = EXIT_USAGE


class Tls(NamedTuple):
    """How an encrypted server proves who it is, and how we do; paths, "" for what is not given."""

    ca: str = ""
    """Certificates to trust instead of the system's."""
    certificate: str = ""
    key: str = ""


class ServerAddress(NamedTuple):
    """One server, or the nodes of a cluster that are asked for the others."""

    hosts: tuple[tuple[str, int], ...]
    cluster: bool = False
    username: str = ""
    password: str = ""
    database: int = 0
    tls: Tls | None = None

    def __str__(self) -> str:
        """As it is shown and compared: without the password."""
        scheme = ("cluster" if self.cluster else "redis") + ("s" if self.tls else "")
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        database = f"/{self.database}" if self.database else ""
        return f"{scheme}://{hosts}{database}"


_SCHEMES = {"redis": (False, False), "rediss": (False, True), "cluster": (True, False), "clusters": (True, True)}
"""Whether it is a cluster, and whether it is encrypted."""


def address_of(text: str, password: str = "", tls: Tls = Tls()) -> ServerAddress | None:  # noqa: B008 - immutable
    """The servers that *text* names; None: it is a path. AddressRefused. *password* counts when *text* has none."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return None
    if scheme not in _SCHEMES:
        known = ", ".join(f"{known}://" for known in _SCHEMES)
        raise AddressRefused(
            f"{scheme}:// is no kind of store that keys are moved from or to; there are {known} and paths"
        )
    cluster, encrypted = _SCHEMES[scheme]
    login, _, place = rest.rpartition("@")
    username, _, given = login.partition(":")
    hosts, _, path = place.partition("/")
    if cluster and path:
        raise AddressRefused(f"{_without_login(scheme, place)}: a cluster has no numbered databases")
    if path and not (path.isascii() and path.isdigit()):
        raise AddressRefused(f"{_without_login(scheme, place)}: /{path} is no number of a database")
    return ServerAddress(
        tuple(_host(host, scheme, place) for host in hosts.split(",")),
        cluster,
        unquote(username),
        unquote(given) or password,
        int(path or 0),
        tls if encrypted else None,
    )


def _host(text: str, scheme: str, place: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        raise AddressRefused(f"{_without_login(scheme, place)}: {text or 'nothing'} is no host:port")
    return host, port or REDIS_PORT


def _without_login(scheme: str, place: str) -> str:
    return f"{scheme}://{place}"
