"""A process that works for the server and tells how far it has come: one request in, lines of JSON out.

Owns: that it ends with its reader, whatever ends that. Must not know: what it works on.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator

import msgspec

_SAID_BYTES = 4096


class ProcessFailed(Exception):
    """It ended before its work was done; the text is what it said."""


async def reports_of(module: str, request: msgspec.Struct) -> AsyncGenerator[bytes, None]:
    """Each line that `python -m module` tells after *request*. ProcessFailed, OSError.

    Its standard input stays open: it ends with this server. To be closed by whoever stops reading early.
    """
    pipe = subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(msgspec.json.encode(request) + b"\n")
        async for line in process.stdout:
            yield line
        said = (await process.stderr.read(_SAID_BYTES)).decode("utf-8", "replace").strip()
        if await process.wait() != 0:
            raise ProcessFailed(said or f"it ended with status {process.returncode}")
    finally:
        if process.returncode is None:
            process.kill()
        await asyncio.shield(process.wait())
