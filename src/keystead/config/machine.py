"""What this machine, or the container around this process, gives us."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def memory_limit_bytes(cgroups: Path = _CGROUPS, own_cgroup: Path = _OWN_CGROUP) -> int:
    """The memory this process may use: the least of the physical memory and the limits of its control groups."""
    physical_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical_bytes, *_cgroup_limits(cgroups, own_cgroup)])


def _cgroup_limits(cgroups: Path, own_cgroup: Path) -> list[int]:
    """Limits of the group this process is in and of every group around it (versions 2 and 1); none off Linux."""
    try:
        lines = own_cgroup.read_text().splitlines()
    except OSError:
        return []
    limits = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            limits += _limits_upwards(cgroups, path, "memory.max")
        elif "memory" in controllers.split(","):
            limits += _limits_upwards(cgroups / "memory", path, "memory.limit_in_bytes")
    return limits


def _limits_upwards(root: Path, path: str, file_name: str) -> list[int]:
    # Inside a container the path may be that of the host and not exist here; the root of the mount is then our group.
    group = root / path.lstrip("/")
    limits = []
    for folder in (group, *group.parents):
        if folder.is_relative_to(root):
            try:
                text = (folder / file_name).read_text().strip()
            except OSError:
                continue
            if text.isdigit():  # "max" is no limit
                limits.append(int(text))
    return limits
