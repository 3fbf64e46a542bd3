"""The kinds of value a setting can have: text to value, value to text.

Every source (command line, environment, file, CONFIG SET) hands over text, and one `parse` takes it. The reasons are
worded as Redis words them, because CONFIG SET answers with them. Knows no setting by name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, Protocol

from keystead.config.machine import memory_limit_bytes

AUTO: Final = "auto"
AUTO_MEMORY_SHARE: Final = 0.6
"""The rest is left to buffers of clients, the process that makes checkpoints, and the page cache of the log."""

_SIZES: Final = {"": 1, "b": 1, "k": 1000, "kb": 1 << 10, "m": 1000**2, "mb": 1 << 20, "g": 1000**3, "gb": 1 << 30}
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_NUMBER_AND_UNIT: Final = re.compile(r"([0-9]+)([a-z]*)", re.IGNORECASE)


class Kind(Protocol):
    """How one kind of value is read and shown."""

    placeholder: str
    """What stands for the value in a help text, such as SIZE."""

    def parse(self, text: str) -> Any:
        """The value. Raises ValueError with a reason that starts "argument …"."""

    def config_get(self, value: Any) -> str:
        """The value as CONFIG GET and a configuration file write it; `parse` takes it back."""


class Integer:
    placeholder = "N"

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        self.most = most

    def parse(self, text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,19}", text):
            raise ValueError("argument couldn't be parsed into an integer")
        value = int(text)
        if not self.least <= value <= self.most:
            raise ValueError(f"argument must be between {self.least} and {self.most} inclusive")
        return value

    def config_get(self, value: int) -> str:
        return str(value)


class Size:
    """Bytes. As in Redis, 1k is 1000 bytes and 1kb is 1024."""

    placeholder = "SIZE"

    def __init__(self, least: int = 0) -> None:
        self.least = least

    def parse(self, text: str) -> int:
        match = _NUMBER_AND_UNIT.fullmatch(text)
        scale = _SIZES.get(match[2].lower()) if match else None
        if match is None or scale is None:
            raise ValueError("argument must be a memory value, such as 512mb or 2gb")
        value = int(match[1]) * scale
        if not self.least <= value < 1 << 63:
            raise ValueError(f"argument must be between {self.least} and {(1 << 63) - 1} inclusive")
        return value

    def config_get(self, value: int) -> str:
        return str(value)


class MemoryLimit(Size):
    """A size, or `auto`: a share of the memory that this process may use."""

    placeholder = "SIZE"

    def parse(self, text: str) -> int:
        if text.lower() == AUTO:
            return int(memory_limit_bytes() * AUTO_MEMORY_SHARE)
        return super().parse(text)


class Seconds:
    """A length of time in whole seconds; 30 is 30 seconds, 7d is seven days."""

    placeholder = "TIME"

    def parse(self, text: str) -> int:
        match = _NUMBER_AND_UNIT.fullmatch(text)
        scale = _SECONDS.get(match[2].lower()) if match else None
        if match is None or scale is None:
            raise ValueError("argument must be a length of time, such as 30s, 12h or 7d")
        value = int(match[1]) * scale
        if value >= 1 << 31:
            raise ValueError(f"argument must be between 0 and {(1 << 31) - 1} inclusive")
        return value

    def config_get(self, value: int) -> str:
        return str(value)


class Milliseconds(Seconds):
    """A length of time that may be shorter than a second: 250ms; without a unit it is seconds, as everywhere."""

    def parse(self, text: str) -> int:
        match = re.fullmatch(r"([0-9]{1,10})ms", text, re.IGNORECASE)
        value = int(match[1]) if match else super().parse(text) * 1000
        if not 0 < value < 1 << 31:
            raise ValueError(f"argument must be between 1ms and {(1 << 31) - 1}ms")
        return value

    def config_get(self, value: int) -> str:
        return f"{value}ms"


class YesNo:
    placeholder = "yes|no"

    def parse(self, text: str) -> bool:
        try:
            return {"yes": True, "no": False}[text.lower()]
        except KeyError:
            raise ValueError("argument must be 'yes' or 'no'") from None

    def config_get(self, value: bool) -> str:
        return "yes" if value else "no"


class Choice:
    """One of a few words. `redis_words` are what Redis calls some of them; both are taken, CONFIG GET shows Redis'."""

    def __init__(self, *words: str, redis_words: dict[str, str] | None = None) -> None:
        self.words = words
        self._to_redis = redis_words or {}
        self._from_redis = {theirs: ours for ours, theirs in self._to_redis.items()}
        self.placeholder = "|".join(words)

    def parse(self, text: str) -> str:
        word = self._from_redis.get(text.lower(), text.lower())
        if word not in self.words:
            raise ValueError(f"argument(s) must be one of the following: {', '.join(self.words)}")
        return word

    def config_get(self, value: str) -> str:
        return self._to_redis.get(value, value)


class Text:
    placeholder = "TEXT"

    def parse(self, text: str) -> str:
        if not text.isprintable() and any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError("argument must be UTF-8 text")  # the file that CONFIG REWRITE writes can hold no other
        return text

    def config_get(self, value: str) -> str:
        return value


class FilePath:
    """A path; the empty text is none."""

    placeholder = "PATH"

    def parse(self, text: str) -> Path | None:
        return Path(text).expanduser() if text else None

    def config_get(self, value: Path | None) -> str:
        return str(value) if value is not None else ""


class Directory(FilePath):
    placeholder = "DIR"

    def parse(self, text: str) -> Path:
        if not text:
            raise ValueError("argument must be the name of a directory")
        return Path(text).expanduser()

    def config_get(self, value: Path | None) -> str:
        return str(value.absolute()) if value is not None else ""


class Hosts:
    """Addresses to listen on, separated by commas or spaces."""

    placeholder = "ADDRESS"

    def parse(self, text: str) -> tuple[str, ...]:
        hosts = tuple(text.replace(",", " ").split())
        if not hosts:
            raise ValueError("argument must be an address, such as 127.0.0.1 (0.0.0.0 for all)")
        return hosts

    def config_get(self, value: tuple[str, ...]) -> str:
        return " ".join(value)


class Names:
    """Any number of names, separated by commas or spaces."""

    def __init__(self, placeholder: str) -> None:
        self.placeholder = placeholder

    def parse(self, text: str) -> tuple[str, ...]:
        return tuple(text.replace(",", " ").split())

    def config_get(self, value: tuple[str, ...]) -> str:
        return " ".join(value)


class Addresses:
    """Any number of machines and ports, separated by commas or spaces: `10.0.0.1:6379`, `[::1]:6379`, `node-1:6379`."""

    placeholder = "HOST:PORT"

    def parse(self, text: str) -> tuple[tuple[str, int], ...]:
        return tuple(self._address(each) for each in text.replace(",", " ").split())

    @staticmethod
    def _address(text: str) -> tuple[str, int]:
        host, _, port = text.rpartition(":")
        is_bracketed = host.startswith("[") and host.endswith("]")
        name = host[1:-1] if is_bracketed else host
        if not name or (":" in name and not is_bracketed) or not re.fullmatch(r"[0-9]{1,5}", port):
            raise ValueError("argument must be addresses with ports, such as 10.0.0.1:6379 or [::1]:6379")
        if not 0 < int(port) < 1 << 16:
            raise ValueError("argument must have ports between 1 and 65535")
        return name, int(port)

    def config_get(self, value: tuple[tuple[str, int], ...]) -> str:
        return " ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in value)


class FileMode:
    """Permissions of a file in octal, as chmod takes them."""

    placeholder = "MODE"

    def parse(self, text: str) -> int:
        if not re.fullmatch(r"0?[0-7]{3}", text):
            raise ValueError("argument must be an octal file mode, such as 700 or 770")
        return int(text, 8)

    def config_get(self, value: int) -> str:
        return format(value, "o")
