"""keystead systemd: prints a unit file that runs `keystead serve` with no more rights than it needs.

The unit is printed rather than installed: whoever administers a machine wants to read it first.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

from keystead.cli import UsageError
from keystead.cli.options import CommandLine
from keystead.config import Settings

_DESCRIPTION: Final = """\
Print a systemd unit that serves a data directory as the system's user keystead
(or another one), who must exist. To install it, as root:

  keystead systemd --dir /var/lib/keystead >/etc/systemd/system/keystead.service
  systemctl enable keystead && systemctl start keystead

Settings are read from the file that --config names; systemctl reload reads it
again."""

_USER: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]*")
_STATE: Final = Path("/var/lib")
_HOMES: Final = (Path("/home"), Path("/root"), Path("/run/user"))
_CLOSING_S: Final = 20
"""What a stop takes beside waiting for clients: the last sync, a checkpoint that is told to end."""


def run_systemd(arguments: list[str]) -> int:
    """Print the unit."""
    command_line = CommandLine("systemd", _DESCRIPTION, ["dir"])
    command_line.own.add_argument(
        "--user", default="keystead", metavar="NAME", help="the system's user who runs the server [keystead]"
    )
    parsed, settings = command_line.parse(arguments)
    if not _USER.fullmatch(parsed.user):
        raise UsageError(f"a system user cannot be named {parsed.user!r}")
    print(unit(parsed.user, _program(), settings), end="")
    return 0


def _program() -> list[str]:
    """How this very installation is started, whatever the path of the service manager is."""
    script = Path(sys.prefix) / "bin" / "keystead"
    return [str(script)] if script.exists() else [sys.executable, "-m", "keystead"]


def unit(user: str, program: list[str], settings: Settings) -> str:
    """The text of the unit."""
    directory = settings.directory.absolute()
    options = ["serve", "--dir", str(directory)]
    if settings.config_file is not None:
        options += ["--config", str(settings.config_file.absolute())]
    start = " ".join(map(_quoted, program)) + " " + " ".join(_quoted(word).replace("$", "$$") for word in options)
    at_home = any(path.is_relative_to(home) for path in (directory, Path(program[0])) for home in _HOMES)
    return _UNIT.format(
        user=user,
        start=start,
        stop_s=settings.shutdown_timeout_s + _CLOSING_S,
        directory=_directory_lines(directory, user),
        homes="read-only" if at_home else "yes",
    )


def _directory_lines(directory: Path, user: str) -> str:
    """What makes the data directory the one place that can be written to."""
    if directory.is_relative_to(_STATE) and directory != _STATE:
        return f"StateDirectory={_quoted(str(directory.relative_to(_STATE)))}\nStateDirectoryMode=0700"
    return f"# It must be there, and belong to {user}.\nReadWritePaths={_quoted(str(directory))}"


def _quoted(word: str) -> str:
    """A word of a unit file that stands for itself."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if re.search(r"[\s\"'\\;]", word) else text


_UNIT: Final = """\
[Unit]
Description=Keystead, a durable key-value store
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=notify
NotifyAccess=main
ExecStart={start}
ExecReload=/bin/kill -HUP $MAINPID
User={user}
{directory}
UMask=0077

# Each percent of the store that is read gives the start half a minute more.
TimeoutStartSec=60
TimeoutStopSec={stop_s}
WatchdogSec=30
# Only the server is told to stop; it ends its own helpers, which the last sync needs.
KillMode=mixed
Restart=on-failure
RestartSec=1
# No restart cures a bad command line (2), damaged data (65), a directory without access (73), bad configuration (78).
RestartPreventExitStatus=2 65 73 78
LimitNOFILE=65536

# It needs files, sockets, and processes of its own; nothing else.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome={homes}
PrivateTmp=yes
PrivateDevices=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""
