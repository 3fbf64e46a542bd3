"""What is being measured just now: one line that changes on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import time
from typing import TextIO

_ERASE_LINE = "\r\x1b[K"


class Progress:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._changes = stream.isatty()
        self._began = time.monotonic()

    def show(self, text: str) -> None:
        """What is being done; elsewhere than on a terminal only `note` is kept."""
        if self._changes:
            width = shutil.get_terminal_size().columns - 1
            self._write(_ERASE_LINE + f"{self._elapsed()} {text}"[:width])

    def note(self, text: str) -> None:
        """Something to keep: a line of its own."""
        self._write(f"{_ERASE_LINE if self._changes else ''}{self._elapsed()} {text}\n")

    def clear(self) -> None:
        if self._changes:
            self._write(_ERASE_LINE)

    def _elapsed(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        return f"{minutes:2d}:{seconds:02d}"

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
