"""Addresses to listen on: TCP and Unix sockets, bound before anything else so that a taken one is known at once."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from keystead.errors import ConfigurationError, PortTaken

if TYPE_CHECKING:
    from keystead.config.settings import Settings


def bind(settings: Settings) -> list[socket.socket]:
    """Sockets bound to every address of *settings*, not listening yet. PortTaken, ConfigurationError."""
    sockets: list[socket.socket] = []
    try:
        if settings.port:
            sockets += [bind_tcp(host, settings.port, settings.tcp_keepalive_s) for host in settings.hosts]
        if settings.unix_path is not None:
            sockets.append(bind_unix(settings.unix_path, settings.unix_mode))
    except BaseException:
        close(sockets)
        raise
    if not sockets and not settings.http_port:
        raise ConfigurationError("there is no address to listen on: port and http-port are 0 and unix is not set")
    return sockets


def bind_http(settings: Settings) -> list[socket.socket]:
    """Sockets bound to every HTTP address of *settings*, not listening yet. PortTaken, ConfigurationError."""
    sockets: list[socket.socket] = []
    try:
        if settings.http_port:
            hosts = settings.http_hosts or settings.hosts
            sockets += [bind_tcp(host, settings.http_port, settings.tcp_keepalive_s) for host in hosts]
    except BaseException:
        close(sockets)
        raise
    return sockets


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


def close(sockets: list[socket.socket]) -> None:
    """Close them, and remove what the Unix ones left in the file system."""
    remove_paths(sockets)
    for listener in sockets:
        listener.close()


def remove_paths(sockets: list[socket.socket]) -> None:
    """Remove the names of Unix sockets, which would outlive them. To be called before they are closed."""
    for listener in sockets:
        if listener.family == socket.AF_UNIX and listener.fileno() >= 0:
            Path(listener.getsockname()).unlink(missing_ok=True)


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
