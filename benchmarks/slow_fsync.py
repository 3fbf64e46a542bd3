"""Builds the library that slows every wait for the disk, and says how to put it under a server."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.figures import NotMeasured

SOURCE = Path(__file__).with_name("slow_fsync.c")


def slowing_environment(directory: Path, delay_ms: float) -> dict[str, str]:
    """Environment under which fsync and its like take that long in a program and all it starts.

    Compiles into `directory`. Raises NotMeasured on a machine without a C compiler or without LD_PRELOAD.
    """
    if not sys.platform.startswith("linux"):
        raise NotMeasured("slowing fsync needs LD_PRELOAD, so Linux")
    compiler = shutil.which("cc")
    if compiler is None:
        raise NotMeasured("slowing fsync needs a C compiler (cc)")
    library = directory / "slow_fsync.so"
    build = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotMeasured(f"{SOURCE.name} does not compile here: {' '.join(done.stderr.split())[:200]}")
    return {"LD_PRELOAD": str(library), "SLOW_FSYNC_US": str(int(delay_ms * 1000))}
