"""Writes the pages that are derived from the code: `make docs`. tests/test_docs.py compares them with what is there."""

from __future__ import annotations

from pathlib import Path

from keystead.commands.manual import render as commands_page
from keystead.config import FIXED_PARAMETERS, Setting, declared
from keystead.execution.cluster.manual import render as cluster_commands_page

FOLDER = Path(__file__).parent

_CONFIGURATION_HEAD = """\
# Configuration

<!-- Derived from src/keystead/config/settings.py by `make docs`; do not edit. -->

A setting comes from, strongest first:

1. the command line: `keystead serve --max-clients 500`
2. the environment: `KEYSTEAD_MAX_CLIENTS=500`
3. a TOML file, when one is named by `--config FILE` or `KEYSTEAD_CONFIG`: `max-clients = 500`
4. its default

An unknown setting is an error that suggests the right one, in every source, because a misspelt limit is no limit (exit
status 78). An empty environment variable counts as not set. No file is read unless it is named.

Sizes are bytes, or have a unit: `kb`, `mb`, `gb` (1024), `k`, `m`, `g` (1000). Times are seconds, or have a unit: `s`,
`m`, `h`, `d`, `w`; where less than a second makes sense also `ms`. Where the column *while running* has a name,
`CONFIG SET` changes the setting under that name, and `CONFIG REWRITE` writes it to the file. `CONFIG GET` shows all.
"""

_CONFIGURATION_TAIL = """
## Fixed

`CONFIG GET` also answers these, for clients that ask; they cannot be changed: {fixed}.
"""


_TABLE_HEAD = """\
| setting | value | default | what it does | while running |
| --- | --- | --- | --- | --- |
"""


def configuration_page() -> str:
    """docs/configuration.md."""
    parts = [_CONFIGURATION_HEAD]
    group = ""
    for setting in declared().values():
        if setting.group != group:
            group = setting.group
            parts.append(f"\n## {group}\n\n{_TABLE_HEAD}")
        parts.append(_row(setting))
    fixed = ", ".join(
        f"`{name}` = `{value}`" if value else f"`{name}` (empty)" for name, value in FIXED_PARAMETERS.items()
    )
    return "".join(parts) + _CONFIGURATION_TAIL.format(fixed=fixed)


def _row(setting: Setting) -> str:
    name = f"`{setting.name}`"
    if setting.secret:
        name += f"<br>`{setting.name}-file`"
    value = setting.kind.placeholder.replace("|", "\\|")
    default = f"`{setting.default}`" if setting.default else "none"
    live = f"`{setting.redis_name}`" if setting.reloadable else "restart"
    return f"| {name} | {value} | {default} | {setting.description} | {live} |\n"


PAGES = {
    "configuration.md": configuration_page,
    "commands.md": commands_page,
    "cluster-commands.md": cluster_commands_page,
}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
