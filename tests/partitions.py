"""A network that can be cut: every server in a network namespace of its own, all joined by a bridge.

A packet that should not arrive is sent to a hardware address that nobody has, so it is lost as on a real network:
nobody is told, connections hang. (A route to nowhere would tell the sender at once; a firewall is not everywhere.)

The process that makes one must have a network of its own, `ALONE` in front of its command line gives it one; so nothing
is changed on the machine and nothing is left behind, whatever happens. That needs no root where users may have
namespaces; where they may not, `unshare` says so.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

ALONE = ("unshare", "--user", "--map-root-user", "--net", "--")
HERE = "10.0.0.254"
HOSTS = tuple(f"10.0.0.{number}" for number in range(1, 20))
_NOBODY = "02:00:00:00:ff:ff"
_WAITS_FOR_ITS_NETWORK = 'echo; read -r _; exec "$@" >&2'


class Network:
    """Give `launch` and HOSTS to a DevelopmentCluster. We ourselves are the host HERE."""

    def __init__(self) -> None:
        self._pids: dict[str, int] = {}
        self._cables = 0
        _ip(None, "link set lo up", "link add bridge type bridge", f"link set bridge address {_hardware(HERE)}")
        _ip(None, f"addr add {HERE}/24 dev bridge", "link set bridge up")

    def launch(self, host: str, command: list[str], log: Path) -> subprocess.Popen[bytes]:
        """Start a command on a host."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                ["unshare", "--net", "sh", "-c", _WAITS_FOR_ITS_NETWORK, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        self._cables += 1
        cable = f"cable{self._cables}"  # a new name each time: the system takes a while to clear a dead host away
        _ip(
            None, f"link add {cable} type veth peer name eth0 netns {process.pid}", f"link set {cable} master bridge up"
        )
        _ip(process.pid, "link set lo up", f"link set eth0 address {_hardware(host)}")
        _ip(process.pid, f"addr add {host}/24 dev eth0", "link set eth0 up")
        self._pids[host] = process.pid
        process.stdin.write(b"\n")
        process.stdin.close()
        process.stdout.close()
        return process

    def cut(self, these: Iterable[str], others: Iterable[str]) -> None:
        """From here on nothing arrives from one of these at one of the others, nor the other way."""
        self._tell(these, others, _NOBODY)

    def heal(self, these: Iterable[str], others: Iterable[str]) -> None:
        """What is sent from here on arrives."""
        self._tell(these, others, "")

    def _tell(self, these: Iterable[str], others: Iterable[str], hardware: str) -> None:
        ours, theirs = list(these), list(others)
        for host, far in [*((host, theirs) for host in ours), *((host, ours) for host in theirs)]:
            device = "bridge" if host == HERE else "eth0"
            _ip(
                self._pids.get(host),
                *(f"neigh replace {f} lladdr {hardware or _hardware(f)} dev {device} nud permanent" for f in far),
            )


def _hardware(host: str) -> str:
    """The same for a host that is started again, so that its neighbours find it where they knew it."""
    return f"02:00:00:00:00:{int(host.rpartition('.')[2]):02x}"


def _ip(pid: int | None, *commands: str) -> None:
    """Run ip, in the network of a process."""
    inside = ["nsenter", f"--net=/proc/{pid}/ns/net"] if pid is not None else []
    subprocess.run([*inside, "ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)
