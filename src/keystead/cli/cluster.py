"""keystead cluster dev: a cluster of real servers on this machine and Keystead in front of it, by one command.

Everything ends with the command, and nothing is kept.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from keystead.cli import UsageError
from keystead.cli.options import CommandLine, load_again
from keystead.cli.progress import many

if TYPE_CHECKING:
    from keystead.cluster.development import DevelopmentCluster
    from keystead.config import Settings

_DESCRIPTION: Final = """\
Try Keystead in front of a cluster: starts servers of Redis or Valkey,
whichever is installed, joins them, and serves them until Ctrl-C.

Nothing is kept: the servers write no files but their logs, in a temporary
directory. It is for trying things, not for data."""

_SETTINGS: Final = ("host", "port", "http-port", "requirepass", "loglevel", "cluster-acknowledge")
_TERMINATED: Final = 143


def run_cluster(arguments: list[str]) -> int:
    """Start everything, serve, and stop everything."""
    if arguments[:1] == ["dev"]:
        arguments = arguments[1:]
    elif arguments[:1] not in (["-h"], ["--help"]):
        raise UsageError("keystead cluster has one subcommand: keystead cluster dev")
    line = CommandLine("cluster dev", _DESCRIPTION, _SETTINGS)
    line.add_figure("--shards", 3, "primaries, among which the keys are divided")
    line.add_figure("--replicas", 1, "replicas of each")
    line.own.add_argument(
        "--server", metavar="PROGRAM", help="what a node is [valkey-server, else redis-server, as found in PATH]"
    )
    parsed, settings = line.parse(arguments)

    from keystead.cli.log_output import set_up_log
    from keystead.cluster.development import DevelopmentCluster
    from keystead.server import cluster_app, listeners

    set_up_log(settings)
    listeners.close(listeners.bind(settings))  # a taken port is told before six servers are started for nothing
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))  # until the server takes it: unwinds, and so stops
    with tempfile.TemporaryDirectory(prefix="keystead-cluster-") as folder:
        directory = Path(folder)
        cluster = DevelopmentCluster(directory, shards=parsed.shards, replicas=parsed.replicas, server=parsed.server)
        print(f"starting {many(parsed.shards * (1 + parsed.replicas), 'server')} …", flush=True)
        cluster.start()
        try:
            print(_where(cluster, settings), flush=True)

            def in_front(settings: Settings) -> Settings:
                return replace(settings, cluster=tuple(cluster.addresses), directory=directory / "keystead")

            cluster_app.serve(in_front(settings), lambda: in_front(load_again(parsed)))
        finally:
            cluster.stop()
    return 0


def _where(cluster: DevelopmentCluster, settings: Settings) -> str:
    """What runs, and where to connect."""
    node = cluster.nodes[0]
    about = node.info("server")
    server = f"Valkey {about['valkey_version']}" if "valkey_version" in about else f"Redis {about['redis_version']}"
    places = []
    if settings.port:
        places.append((f"redis-cli -p {settings.port}", "Keystead in front of it, for any Redis client"))
    if settings.http_port:
        host = settings.hosts[0]
        shown = f"[{host}]" if ":" in host else host
        places.append((f"http://{shown}:{settings.http_port}/", "its console and HTTP API"))
    places.append((f"redis-cli -c -p {node.port}", "the cluster itself"))
    width = max(len(place) for place, _ in places) + 3
    lines = [f"  {place:<{width}}{what}" for place, what in places]
    return (
        f"{many(len(cluster.nodes), 'server')} of {server} make a cluster; Ctrl-C ends them. "
        f"Their logs are below {node.directory.parent}.\n\n" + "\n".join(lines) + "\n"
    )
