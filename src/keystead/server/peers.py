"""The two ends of a connection, as CLIENT LIST shows them."""

from __future__ import annotations


def named(end: object) -> tuple[bool, str]:
    """Whether an address is this machine's own, and how it is shown."""
    if isinstance(end, tuple):
        host, port = end[:2]
        local = host.startswith(("127.", "::ffff:127.")) or host == "::1"
        return local, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return True, f"{end}:0" if end else ""
