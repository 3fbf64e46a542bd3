"""CONFIG GET, SET and REWRITE as functions of Settings; the texts of Redis' error replies belong to the command."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path

from keystead.config.settings import FIXED_PARAMETERS, Setting, Settings, declared
from keystead.errors import ConfigurationError


def parameters() -> dict[str, Setting]:
    """Every setting by its name for CONFIG (lower case)."""
    return {setting.redis_name: setting for setting in declared().values()}


def shown(settings: Settings) -> dict[str, str]:
    """Every CONFIG parameter and its value, as CONFIG GET * answers; secrets too, as in Redis."""
    current = {
        name: setting.kind.config_get(getattr(settings, setting.attribute)) for name, setting in parameters().items()
    }
    return current | FIXED_PARAMETERS


class ParameterRefused(ConfigurationError):
    """CONFIG SET cannot do that. `parameter` is the name as given, `reason` starts "argument …" or "can't set …"."""

    def __init__(self, parameter: str, reason: str) -> None:
        super().__init__(parameter, reason)
        self.parameter = parameter
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.parameter}: {self.reason}"


class UnknownParameter(ParameterRefused):
    """There is no such parameter."""


def changed(settings: Settings, changes: Mapping[str, str]) -> Settings:
    """The settings after CONFIG SET of all `changes` (names in any case), or none of them.

    Raises UnknownParameter, ParameterRefused.
    """
    known = parameters()
    values = {}
    for given, text in changes.items():
        name = given.lower()
        if name in FIXED_PARAMETERS or (name in known and not known[name].reloadable):
            raise ParameterRefused(given, "can't set immutable config")
        if name not in known:
            raise UnknownParameter(given, "unknown parameter")
        try:
            values[known[name].attribute] = known[name].kind.parse(text)
        except ValueError as reason:
            raise ParameterRefused(given, str(reason)) from None
        if settings.cluster and known[name].of_store:
            raise ParameterRefused(given, "it is a setting of a store; in front of a cluster set it at the nodes")
    return dataclasses.replace(settings, **values)


def reread(running: Settings, read_before: Settings, read_now: Settings) -> tuple[Settings, list[str]]:
    """The settings after the sources were read again, and the names of changed ones that wait for a restart.

    Only what differs from the last reading is taken over, so that what CONFIG SET has changed stays.
    """
    values, waiting = {}, []
    for setting in declared().values():
        value = getattr(read_now, setting.attribute)
        if value == getattr(read_before, setting.attribute):
            continue
        if setting.reloadable:
            values[setting.attribute] = value
        else:
            waiting.append(setting.name)
    return dataclasses.replace(running, **values), waiting


def rewrite(settings: Settings, started_with: Settings) -> None:
    """Bring the configuration file up to what is set now: CONFIG REWRITE.

    Changes only the lines of settings that differ from `started_with`, and adds those that are missing; comments
    and order stay. Raises ConfigurationError when there is no file, OSError when it cannot be written.
    """
    path = settings.config_file
    if path is None:
        raise ConfigurationError("The server is running without a config file")
    path = path.resolve()  # a link stays a link
    lines = path.read_text(encoding="utf-8").splitlines()
    for setting in declared().values():
        value = getattr(settings, setting.attribute)
        if value != getattr(started_with, setting.attribute):
            _set_line(lines, setting, setting.kind.config_get(value))
    _replace_file(path, "\n".join(lines) + "\n")


def _set_line(lines: list[str], setting: Setting, text: str) -> None:
    import json

    # JSON's string escapes are all TOML's; every kind takes its value as text.
    line = f"{setting.name} = {json.dumps(text, ensure_ascii=False)}"
    suffix = "(-file)?" if setting.secret else ""
    key = re.compile(rf"""\s*["']?{re.escape(setting.name)}{suffix}["']?\s*=""")
    for number, old in enumerate(lines):
        if key.match(old):
            lines[number] = line
            return
    lines.append(line)


def _replace_file(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".new")
    with temporary.open("w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), path.stat().st_mode & 0o777)  # it may hold a password
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
