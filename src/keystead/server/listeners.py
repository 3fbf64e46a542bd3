"""Addresses to listen on: TCP and Unix sockets, bound before anything else so that a taken one is known at once."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from keystead.errors import ConfigurationError, PortTaken

if TYPE_CHECKING:
    from keystead.config.settings import Settings


Protocol: TypeAlias = Literal["resp", "http"]


class Listener(NamedTuple):
    """A bound socket, and what is spoken on it."""

    socket: socket.socket
    protocol: Protocol
    tls: bool = False

    def __str__(self) -> str:
        """The address as people write it, and what is special about it."""
        address = described(self.socket)
        if self.protocol == "http":
            return f"{'https' if self.tls else 'http'}://{address}"
        return address + (" (TLS)" if self.tls else "")


def bind(settings: Settings) -> list[Listener]:
    """Sockets bound to every address of *settings*, not listening yet. PortTaken, ConfigurationError."""
    found: list[Listener] = []
    try:
        for host, port, protocol, tls in places(settings):
            found.append(Listener(bind_tcp(host, port, settings.tcp_keepalive_s), protocol, tls))
        if settings.unix_path is not None:
            found.append(Listener(bind_unix(settings.unix_path, settings.unix_mode), "resp"))
    except BaseException:
        close(found)
        raise
    if not found:
        raise ConfigurationError("there is no address to listen on: every port is 0 and unix is not set")
    return found


def places(settings: Settings) -> list[tuple[str, int, Protocol, bool]]:
    """Host, port, protocol and whether it is encrypted, of every TCP address of *settings*."""
    resp: list[tuple[int, Protocol, bool]] = [(settings.port, "resp", False), (settings.tls_port, "resp", True)]
    http: list[tuple[int, Protocol, bool]] = [
        (settings.http_port, "http", False),
        (settings.http_tls_port, "http", True),
    ]
    found = [(host, *place) for host, place in product(settings.hosts, resp)]
    found += [(host, *place) for host, place in product(settings.http_hosts or settings.hosts, http)]
    return [place for place in found if place[1]]


def bind_tcp(host: str, port: int, keepalive_s: int = 0) -> socket.socket:
    """A TCP socket on an address or a name; silent clients are probed every so many seconds, 0 for never."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}: {error.strerror or error}") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if keepalive_s:
            _probe_silent_clients(listener, keepalive_s)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _refused(shown(host, port), error) from error
    listener.setblocking(False)
    return listener


def _probe_silent_clients(listener: socket.socket, after_s: int) -> None:
    """Accepted sockets inherit this. A client whose machine is gone is closed after twice that time."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    first_probe = "TCP_KEEPALIVE" if sys.platform == "darwin" else "TCP_KEEPIDLE"
    listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, first_probe), after_s)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, after_s // 3))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def bind_unix(path: Path, mode: int) -> socket.socket:
    """A Unix socket. One that a dead process left there is replaced; one that answers, or any other file, is not."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists():
            if not stat.S_ISSOCK(path.stat().st_mode) or _answers(path):
                raise PortTaken(str(path))
            path.unlink()
        # The socket must never be open to more people than it will be, not even for a moment.
        mask = os.umask(0o777 & ~mode)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        path.chmod(mode)
    except PortTaken:
        listener.close()
        raise
    except OSError as error:
        listener.close()
        raise _refused(str(path), error) from error
    listener.setblocking(False)
    return listener


def refuse_strangers(settings: Settings, requires_password: bool) -> None:
    """Raise ConfigurationError when other machines could reach a store that asks nobody who he is."""
    if requires_password or settings.insecure:
        return
    public = [host for host, *_ in places(settings) if not is_loopback(host)]
    if public:
        raise ConfigurationError(
            f"nobody has to log in, so every machine that reaches {public[0]} could read and change everything. Make a "
            "user (keystead user add NAME --role admin) or set a password (--requirepass-file PATH); or listen on "
            "127.0.0.1 only; or, if every machine of the network may do everything, say so with --insecure"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address or name; a name that leads anywhere else, or nowhere, is not."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)


def close(listeners: list[Listener]) -> None:
    """Close them, and remove what the Unix ones left in the file system."""
    remove_paths(listeners)
    for listener in listeners:
        listener.socket.close()


def remove_paths(listeners: list[Listener]) -> None:
    """Remove the names of Unix sockets, which would outlive them. To be called before they are closed."""
    for listener in listeners:
        bound = listener.socket
        if bound.family == socket.AF_UNIX and bound.fileno() >= 0:
            Path(bound.getsockname()).unlink(missing_ok=True)


def described(listener: socket.socket) -> str:
    """The address as people write it."""
    name = listener.getsockname()
    return str(name) if listener.family == socket.AF_UNIX else shown(name[0], name[1])


def shown(host: str, port: int) -> str:
    """host:port, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _refused(address: str, error: OSError) -> PortTaken | ConfigurationError:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(address)
    return ConfigurationError(f"cannot listen on {address}: {error.strerror or error}")
