"""The library that slows the disk covers each way to wait for it, and nothing else that writes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.figures import NotMeasured
from benchmarks.slow_fsync import slowing_environment

DELAY_MS = 5.0
PROGRAM = """
import ctypes, json, mmap, os, time
fd = os.open("file", os.O_RDWR | os.O_CREAT)
os.write(fd, bytes(8192))
mapped = mmap.mmap(fd, 4096)
synced = os.open("file", os.O_RDWR | os.O_DSYNC)
libc = ctypes.CDLL(None)
calls = {
    "fsync": lambda: os.fsync(fd),
    "fdatasync": lambda: os.fdatasync(fd),
    "msync": mapped.flush,
    "sync_file_range": lambda: libc.sync_file_range(fd, ctypes.c_long(0), ctypes.c_long(4096), 7),
    "pwritev2 with RWF_DSYNC": lambda: os.pwritev(fd, [b"x"], 0, os.RWF_DSYNC),
    "write to an O_DSYNC file": lambda: os.write(synced, b"x"),
    "syscall": lambda: libc.syscall({fdatasync}, fd),
}
found = {}
for name, call in calls.items():
    began = time.monotonic()
    call()
    found[name] = (time.monotonic() - began) * 1000
print(json.dumps(found))
"""
FDATASYNC = {"x86_64": 75, "aarch64": 83}[os.uname().machine] if sys.platform == "linux" else 0


@pytest.mark.skipif(sys.platform != "linux", reason="preloading is Linux' way")
def test_every_call_that_waits_for_the_disk_takes_at_least_the_delay(tmp_path: Path) -> None:
    """A lower bound, kept by the clock that the library sleeps on: no assertion about speed."""
    if shutil.which("cc") is None:
        with pytest.raises(NotMeasured, match="C compiler"):
            slowing_environment(tmp_path, DELAY_MS)
        return
    environment = os.environ | slowing_environment(tmp_path, DELAY_MS)
    program = PROGRAM.replace("{fdatasync}", str(FDATASYNC))
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    took_ms = json.loads(done.stdout)
    assert len(took_ms) == 7
    assert {name: took for name, took in took_ms.items() if took < DELAY_MS} == {}
