"""The server's side of verifying the log: one run at a time in a process of its own, and what the last one found.

Must not know: what is read (see execution/log_verifier), HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from keystead.execution.log_verifier import Damage, Report, Request
from keystead.server.reporting import ProcessFailed, reports_of

if TYPE_CHECKING:
    from keystead.engine.engine import Engine

log = logging.getLogger("keystead.server")

Result: TypeAlias = Literal["sound", "damaged", "failed"]

_MODULE: Final = "keystead.execution.log_verifier"
_decode = msgspec.json.Decoder(Report).decode


class Run(msgspec.Struct):
    """One verification."""

    began_ms: int
    ended_ms: int | None = None
    done_bytes: int = 0
    total_bytes: int = 0
    files: int = 0
    """Read to their end."""
    result: Result | None = None
    """None while it runs; "failed": it could not be carried out, see the server's log."""
    damage: list[Damage] = []


class Verification:
    """The last run, and the one under way."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.running = False
        self.last: Run | None = None

    async def run(self) -> None:
        """Verify every file. To be started only while none is `running`."""
        self.running = True
        run = self.last = Run(began_ms=_now_ms())
        run.result = None
        try:
            run.result = await self._verify(run)
        except (OSError, ProcessFailed) as error:
            log.error("the log could not be verified: %s", error)
            run.result = "failed"
        except asyncio.CancelledError:
            run.result = "failed"
            raise
        finally:
            self.running = False
            run.ended_ms = _now_ms()
        for damage in run.damage:
            log.error("damaged data in %s at byte %d: %s", damage.file, damage.offset, damage.reason)

    async def _verify(self, run: Run) -> Result:
        request = Request(self._engine.path, self._engine.log.durable_bytes())
        async with aclosing(reports_of(_MODULE, request)) as lines:
            async for line in lines:
                report = _decode(line)
                run.done_bytes, run.total_bytes, run.files = report.done_bytes, report.total_bytes, report.files
                run.damage += report.damage
        return "damaged" if run.damage else "sound"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
