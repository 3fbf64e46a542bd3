"""A server's processes, as the system shows them: who belongs to it, how much memory they hold, how they end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    session: int
    started: str
    resident_bytes: int


def family(pid: int) -> list[Process]:
    """The process, its descendants, and whoever else is in the session it leads (a helper may outlive its parent)."""
    everyone = _linux_processes() if sys.platform.startswith("linux") else _ps_processes()
    members = {process.pid for process in everyone if process.pid == pid or process.session == pid}
    grew = bool(members)
    while grew:
        children = {process.pid for process in everyone if process.parent in members}
        grew = not children <= members
        members |= children
    return [process for process in everyone if process.pid in members]


def resident_bytes(pid: int) -> int:
    """Resident memory of the whole family. Pages that two of them share count twice."""
    return sum(process.resident_bytes for process in family(pid))


def end(process: subprocess.Popen[bytes], patience_s: float = 20.0) -> None:
    """SIGTERM to the leader and SIGKILL to what is left of its family after `patience_s` seconds."""
    members = family(process.pid)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience_s)
    deadline = time.monotonic() + 1.0
    while (left := _still_running(members)) and process.returncode is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _still_running(members: list[Process]) -> list[int]:
    """Compares start times too: a process id may have been given to somebody else meanwhile."""
    everyone = _linux_processes() if sys.platform.startswith("linux") else _ps_processes()
    running = {(process.pid, process.started) for process in everyone}
    return [member.pid for member in members if (member.pid, member.started) in running]


def _linux_processes() -> list[Process]:
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        fields = text.rpartition(")")[2].split()
        if fields[0] != "Z":
            resident = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
            found.append(Process(int(entry.name), int(fields[1]), int(fields[3]), fields[19], resident))
    return found


def _ps_processes() -> list[Process]:
    columns = "pid=,ppid=,sess=,rss=,stat=,lstart="
    done = subprocess.run(["ps", "-axo", columns], capture_output=True, text=True, check=True)
    found = []
    for line in done.stdout.splitlines():
        pid, parent, session, kilobytes, state, started = line.split(maxsplit=5)
        if not state.startswith("Z"):
            leader = int(session) if session.isdigit() else 0
            found.append(Process(int(pid), int(parent), leader, started, int(kilobytes) * 1024))
    return found
