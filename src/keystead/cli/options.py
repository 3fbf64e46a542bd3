"""Options of a command: argparse, with the settings as options and with messages that suggest the right name."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterable
from typing import Any, NoReturn

from keystead.cli import UsageError
from keystead.config import Setting, Settings, declared, load
from keystead.config.sources import suggested_setting, suggestion
from keystead.config.values import YesNo
from keystead.errors import ConfigurationError

_WIDEST_HELP = 100
_SETTING = "setting:"


class CommandLine(argparse.ArgumentParser):
    """The parser of one command. `settings` names the settings that are options of it, beside its own."""

    def __init__(self, name: str, description: str, settings: Iterable[str], epilog: str = "") -> None:
        super().__init__(
            prog=f"keystead {name}",
            usage=f"keystead {name} [OPTIONS]",
            description=description,
            epilog=epilog,
            allow_abbrev=False,  # an abbreviation that works today is an error when a setting is added
            add_help=False,
            formatter_class=_formatter,
        )
        self.own = self.add_argument_group("options")
        self._settings = list(settings)
        self._times: list[str] = []
        self._add_settings()

    def add_figure(self, option: str, default: int | None, description: str) -> None:
        """An option whose value is a whole number above zero; a default of None is no bound."""
        shown = "all" if default is None else default
        self.own.add_argument(option, type=_positive, default=default, metavar="N", help=f"{description} [{shown}]")

    def add_time(self, option: str, description: str, *, metavar: str = "TIME", **others: Any) -> None:
        """An option whose value is a time as people write it: `-10m` too, which argparse would take for an option.

        *others* as `argparse` has them.
        """
        self._times.append(option)
        self.own.add_argument(option, metavar=metavar, help=description, **others)

    def parse(self, arguments: list[str]) -> tuple[argparse.Namespace, Settings]:
        """The command's own options, and the settings from all sources."""
        self.own.add_argument("-h", "--help", action="help", help="show this and exit")
        parsed, unknown = self.parse_known_args(self._with_times_joined(arguments))
        if unknown:
            self._refuse(unknown[0])
        return parsed, load_again(parsed)

    def _with_times_joined(self, arguments: list[str]) -> list[str]:
        joined: list[str] = []
        for argument in arguments:
            if joined and joined[-1] in self._times and argument[:1] == "-" and argument[1:2].isdigit():
                joined[-1] += f"={argument}"
            else:
                joined.append(argument)
        return joined

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; {self.prog} --help tells the options")

    def _refuse(self, argument: str) -> NoReturn:
        name = argument.partition("=")[0]
        if not name.startswith("-"):
            raise UsageError(f"unexpected argument {argument}{self._meant_directory(argument)}")
        options = [option for action in self._actions for option in action.option_strings]
        meant = suggested_setting(name.strip("-")) if len(self._settings) > 1 else None
        hint = f"; did you mean --{meant}?" if meant else suggestion(name, options)
        if set(self._settings) >= set(declared()):  # serve: every option is a setting
            raise ConfigurationError(f"unknown option {name}{hint}")
        raise UsageError(f"unknown option {name}{hint}")

    @staticmethod
    def _meant_directory(argument: str) -> str:
        return f"; did you mean --dir {argument}?" if os.path.isdir(argument) else ""

    def _add_settings(self) -> None:
        self.own.add_argument(
            "--config", dest=_SETTING + "config", metavar="FILE", help="read settings from this TOML file [none]"
        )
        groups = {self.own.title: self.own}
        for name in self._settings:
            setting = declared()[name]
            title = setting.group.lower() if len(self._settings) > 1 else self.own.title
            if title not in groups:
                groups[title] = self.add_argument_group(title)
            text = setting.description.replace("%", "%%")
            # A switch that is off may be named alone: --insecure is --insecure yes.
            alone: dict[str, Any] = {"nargs": "?", "const": "yes"} if _is_switch(setting) else {}
            groups[title].add_argument(
                f"--{name}",
                dest=_SETTING + name,
                metavar=setting.kind.placeholder,
                **alone,
                help=f"{text} [{setting.default}]" if setting.default else text,
            )
            if setting.secret:
                groups[title].add_argument(
                    f"--{name}-file", dest=f"{_SETTING}{name}-file", metavar="PATH", help=f"Read {name} from this file."
                )


def _is_switch(setting: Setting) -> bool:
    return isinstance(setting.kind, YesNo) and setting.default == "no"


def load_again(parsed: argparse.Namespace) -> Settings:
    """The settings from the command line as parsed, and from the other sources as they are now. ConfigurationError."""
    given = {
        name.removeprefix(_SETTING): text
        for name, text in vars(parsed).items()
        if name.startswith(_SETTING) and text is not None
    }
    return load(given, os.environ)


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above zero")
    return int(text)


def _formatter(prog: str) -> argparse.HelpFormatter:
    width = min(_WIDEST_HELP, shutil.get_terminal_size().columns)
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=34, width=width)
