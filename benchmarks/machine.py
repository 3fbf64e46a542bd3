"""Where and with what a run was made: processor, kernel, file system, versions, date, revision; no path, no host."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = (
    *("uvloop", "hiredis", "httptools", "fastapi", "uvicorn", "msgspec", "xxhash"),
    *("diskcache", "sqlitedict", "lmdb", "rocksdict"),
    *("redis", "valkey-glide"),
)


def describe_machine(directory: Path) -> dict[str, str | int | float]:
    """The machine, how busy it is, and the file system of `directory`, where the servers write."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "file_system": file_system(directory),
        "load_average_before": round(os.getloadavg()[0], 1),
    }


def describe_versions() -> dict[str, str]:
    """Versions of Python and of the packages that take part; a package that is not installed says so."""
    versions = {"python": f"{platform.python_implementation()} {platform.python_version()}"}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def describe_moment() -> dict[str, str | bool]:
    """Date in UTC, git revision, and whether the sources differ from that revision."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_revision": _git("rev-parse", "HEAD") or "unknown",
        "sources_changed_since": bool(_git("status", "--porcelain", "--", "src", "benchmarks")),
    }


def file_system(directory: Path) -> str:
    """Type of the file system a directory is on, "unknown" where the system does not tell."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    resolved = directory.resolve()
    found = [fields for line in mounts.splitlines() if resolved.is_relative_to((fields := line.split())[1])]
    return max(found, key=lambda fields: len(fields[1]))[2] if found else "unknown"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
