"""What the service manager is told of this process: one datagram each, to the socket that NOTIFY_SOCKET names.

The protocol (sd_notify(3)) is twenty lines, and the packages that speak it are older than it. Without a service manager
every call does nothing. Must not know: why the state changes.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

log = logging.getLogger("keystead.server")


class ServiceManager:
    """Tells systemd, or whoever set NOTIFY_SOCKET, what the process does."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = _watchdog_s(environ)
        """A sign of life is expected this often; 0 for never. Given at half that time by the loop."""
        self._status = ""

    def tell(self, **fields: object) -> None:
        """Send these fields, such as READY=1. What cannot be sent is not worth stopping for."""
        if not self._address:
            return
        message = "\n".join(f"{name}={value}" for name, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.setblocking(False)
                channel.sendto(message.encode(), self._address)
        except OSError as error:
            log.debug("the service manager was not told %s: %s", message, error)

    def loading(self, done: int, total: int) -> None:
        """So much of the store was read. Each new percent gives the start half a minute more."""
        status = f"reading the store, {100 * done // max(1, total)} %"
        if status != self._status:
            self._status = status
            self.tell(STATUS=status, EXTEND_TIMEOUT_USEC=30_000_000)

    def ready(self, status: str) -> None:
        """Clients are served, from the start or again after `reloading`."""
        self.tell(READY=1, STATUS=status)

    def reloading(self) -> None:
        """Settings are being read; `ready` follows."""
        self.tell(RELOADING=1, MONOTONIC_USEC=time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)

    def alive(self) -> None:
        """The loop still turns."""
        self.tell(WATCHDOG=1)

    def stopping(self) -> None:
        """No new clients; the last replies go out."""
        self.tell(STOPPING=1, STATUS="stopping")


def _watchdog_s(environ: Mapping[str, str]) -> float:
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0  # meant for another process
    text = environ.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isascii() and text.isdigit() else 0.0
