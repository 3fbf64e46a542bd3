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
    cpu_seconds: float


def family(pid: int) -> list[Process]:
    """The process, its descendants, and whoever else is in the session it leads (a helper may outlive its parent)."""
    everyone = _everyone()
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


def cpu_seconds(pid: int) -> float:
    """Processor time that the family has used so far, in and below the system."""
    return sum(process.cpu_seconds for process in family(pid))


def end(process: subprocess.Popen[bytes], patience_s: float = 20.0) -> None:
    """SIGTERM to the leader, SIGKILL to it after `patience_s` seconds and to what it left behind after another."""
    members = family(process.pid)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience_s)
    patient_until = time.monotonic() + (1.0 if process.returncode is not None else 0.0)
    while left := _left_behind(process.pid, members):
        if time.monotonic() > patient_until:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.poll()
        time.sleep(0.01)
    process.wait()


def _left_behind(leader: int, members: list[Process]) -> list[int]:
    """Those known before, by start time too as an id may be given away, and who joined the session since."""
    known = {(member.pid, member.started) for member in members}
    return [
        process.pid
        for process in _everyone()
        if (process.pid, process.started) in known or (process.session == leader and process.pid != leader)
    ]


def _everyone() -> list[Process]:
    return _linux_processes() if sys.platform.startswith("linux") else _ps_processes()


def _linux_processes() -> list[Process]:
    page_bytes, ticks = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        # What follows the name, which may hold blanks: field 0 here is the third of proc(5).
        fields = text.rpartition(")")[2].split()
        if fields[0] != "Z":
            parent, session, pages = int(fields[1]), int(fields[3]), int(fields[21])
            cpu = (int(fields[11]) + int(fields[12])) / ticks
            found.append(Process(int(entry.name), parent, session, fields[19], pages * page_bytes, cpu))
    return found


def _ps_processes() -> list[Process]:
    columns = "pid=,ppid=,sess=,rss=,time=,stat=,lstart="
    done = subprocess.run(["ps", "-axo", columns], capture_output=True, text=True, check=True)
    found = []
    for line in done.stdout.splitlines():
        pid, parent, session, kilobytes, cpu, state, started = line.split(maxsplit=6)
        if not state.startswith("Z"):
            leader = int(session) if session.isdigit() else 0
            seconds = clock_seconds(cpu)
            found.append(Process(int(pid), int(parent), leader, started, int(kilobytes) * 1024, seconds))
    return found


def clock_seconds(text: str) -> float:
    """`1-02:03:04.5` as ps shows processor time: days, hours, minutes, seconds, the first ones only if need be."""
    days, _, clock = text.rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds + 86_400 * int(days or 0)
