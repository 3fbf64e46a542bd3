"""`wrk` as the load over HTTP: one bounded measurement. What it sends is in wrk.lua."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import NotMeasured

PROGRAM = "wrk"
_SCRIPT = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True)
class HttpLoad:
    """What `connections` send, one request after the other; a `%d` in `path` is one of `keys` numbers."""

    method: str
    path: str
    keys: int = 0
    body: str = ""
    connections: int = 32


@dataclass(frozen=True)
class HttpResult:
    requests_per_s: float
    p50_ms: float
    p99_ms: float


def run(port: int, load: HttpLoad, seconds: float, cores: set[int]) -> HttpResult:
    """Send for so long from these cores. Raises NotMeasured, also when a request was refused or a connection broke."""
    words = [PROGRAM, "-t1", f"-c{load.connections}", f"-d{max(1, round(seconds))}s", "-s", str(_SCRIPT)]
    words += [f"http://127.0.0.1:{port}/", "--", load.method, load.path, str(load.keys), load.body]
    prefix = ["taskset", "-c", ",".join(map(str, sorted(cores)))] if cores else []
    try:
        done = subprocess.run([*prefix, *words], capture_output=True, text=True, timeout=60 + 10 * seconds, check=False)
    except FileNotFoundError:
        raise NotMeasured(f"{PROGRAM} is not installed") from None
    return parse(done.stdout + done.stderr)


def parse(text: str) -> HttpResult:
    """The result in what wrk printed. Raises NotMeasured, with the text, when there is none or requests failed."""
    lines = [line for line in text.splitlines() if line.startswith('{"requests"')]
    if len(lines) != 1:
        raise NotMeasured(f"{PROGRAM} printed no result: {' '.join(text.split())[-200:] or 'nothing'}")
    said = json.loads(lines[0])
    if said["refused"] or said["broken"] or not said["requests"]:
        raise NotMeasured(f"of {said['requests']} requests {said['refused']} were refused, {said['broken']} broke")
    rate = said["requests"] / said["microseconds"] * 1e6
    return HttpResult(requests_per_s=rate, p50_ms=said["p50_us"] / 1000, p99_ms=said["p99_us"] / 1000)
