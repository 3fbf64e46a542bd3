"""keystead serve: settings in, server runs until it is told to stop."""

from __future__ import annotations

from keystead.cli.options import CommandLine, load_again
from keystead.cli.progress import Progress
from keystead.config import declared

_DESCRIPTION = """\
Serve a data directory to Redis clients until SIGTERM or Ctrl-C; with --cluster
a Redis or Valkey Cluster.

Every option may also be set by an environment variable (--max-clients is
KEYSTEAD_MAX_CLIENTS) or in a TOML file (max-clients = 500). The command line
wins over the environment, and that over the file."""


def run_serve(arguments: list[str]) -> int:
    """Serve; returns when the server has stopped cleanly."""
    parsed, settings = CommandLine("serve", _DESCRIPTION, declared()).parse(arguments)
    from keystead.cli.log_output import set_up_log

    set_up_log(settings)
    if settings.cluster:
        from keystead.server import cluster_app

        cluster_app.serve(settings, lambda: load_again(parsed))
    else:
        from keystead.server import app

        app.serve(settings, Progress(f"reading {settings.directory}").update, lambda: load_again(parsed))
    return 0
