"""Where settings come from: command line > environment KEYSTEAD_* > configuration file > defaults.

A file is read only when it is named (--config or KEYSTEAD_CONFIG): a server whose settings depended on the directory it
was started in would surprise. Every source is checked whole, also what another source overrides; an unknown name is
always an error, because a misspelt limit is no limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from keystead.config.settings import Setting, Settings, declared
from keystead.errors import ConfigurationError

_ENVIRONMENT_PREFIX = "KEYSTEAD_"
_CONFIG_VARIABLE = "KEYSTEAD_CONFIG"
_FILE_SUFFIX = "-file"


@dataclass(frozen=True, slots=True)
class _Given:
    """One setting as somebody wrote it; `origin` says where, for messages."""

    name: str
    text: str
    origin: str


def load(options: Mapping[str, str], environ: Mapping[str, str]) -> Settings:
    """The settings from every source. `options` are those of the command line by name, without dashes.

    Raises ConfigurationError.
    """
    options = dict(options)
    file_name = options.pop("config", None) or environ.get(_CONFIG_VARIABLE)
    config_file = Path(file_name).expanduser() if file_name else None
    values: dict[str, Any] = {}
    for source in (
        _from_file(config_file) if config_file else [],
        _from_environment(environ),
        _from_options(options),
    ):  # the later wins
        values |= _parsed(source)
    settings = Settings(**values, config_file=config_file)
    _check_together(settings)
    # A front door has no data that would need a bound; CONFIG GET says so.
    return replace(settings, maxmemory_bytes=0) if settings.cluster else settings


def _check_together(settings: Settings) -> None:
    """What no setting can say of itself alone."""
    if not any((settings.port, settings.tls_port, settings.http_port, settings.http_tls_port, settings.unix_path)):
        raise ConfigurationError("nothing to listen on: every port is 0 and unix is not set")
    if settings.tls_port and settings.tls_port == settings.port:
        raise ConfigurationError("tls-port must be another than port")
    if settings.http_tls_port and settings.http_tls_port == settings.http_port:
        raise ConfigurationError("http-tls-port must be another than http-port")
    encrypted = settings.tls_port or settings.http_tls_port
    if encrypted and settings.tls_cert_file is None:
        name = "tls-port" if settings.tls_port else "http-tls-port"
        raise ConfigurationError(f"{name} needs tls-cert-file and tls-key-file; keystead tls init makes some to try")
    if settings.tls_cert_file is not None and not encrypted:
        raise ConfigurationError("tls-cert-file is set, but no tls-port or http-tls-port to use it on")
    if settings.tls_auth_clients in ("optional", "yes") and settings.tls_ca_cert_file is None:
        raise ConfigurationError(
            f"tls-auth-clients {settings.tls_auth_clients} needs tls-ca-cert-file, the authorities to believe"
        )

    _check_cluster(settings)


def _check_cluster(settings: Settings) -> None:
    for setting in declared().values():
        if getattr(settings, setting.attribute) == setting.kind.parse(setting.default):
            continue
        if setting.group == "Cluster" and not settings.cluster:
            raise ConfigurationError(f"{setting.name} is set, but no cluster that it could be about")
        if setting.of_store and settings.cluster:
            raise ConfigurationError(f"{setting.name} is a setting of a store, and in front of a cluster there is none")
    if not settings.cluster_tls and (settings.cluster_tls_ca_cert_file or settings.cluster_tls_cert_file):
        raise ConfigurationError("certificates for the cluster are set, but cluster-tls is not yes")
    if settings.cluster_tls_key_file and not settings.cluster_tls_cert_file:
        raise ConfigurationError("cluster-tls-key-file is set, but no cluster-tls-cert-file that it belongs to")


def suggestion(name: str, candidates: Iterable[str], before: str = "") -> str:
    """The end of a message about an unknown name: "; did you mean --port?", or nothing."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(candidates), n=1, cutoff=0.5)
    return f"; did you mean {before}{close[0]}?" if close else ""


def suggested_setting(name: str) -> str | None:
    """The setting that somebody who wrote `name` most likely wants; Redis' names lead to ours."""
    from difflib import get_close_matches

    by_name = {setting.redis_name: setting.name for setting in declared().values()} | {n: n for n in _known_names()}
    close = get_close_matches(name, by_name, n=1, cutoff=0.5)
    return by_name[close[0]] if close else None


def _known_names() -> Iterator[str]:
    for setting in declared().values():
        yield setting.name
        if setting.secret:
            yield setting.name + _FILE_SUFFIX


def _from_options(options: Mapping[str, str]) -> Iterator[_Given]:
    for name, text in options.items():
        yield _Given(name, text, f"--{name}")


def _from_environment(environ: Mapping[str, str]) -> Iterator[_Given]:
    names = {_environment_name(name): name for name in _known_names()}
    for variable, text in sorted(environ.items()):
        if not variable.startswith(_ENVIRONMENT_PREFIX) or variable == _CONFIG_VARIABLE:
            continue
        if variable not in names:
            meant = suggested_setting(variable.removeprefix(_ENVIRONMENT_PREFIX).lower().replace("_", "-"))
            hint = f"; did you mean {_environment_name(meant)}?" if meant else ""
            raise ConfigurationError(f"unknown setting {variable} in the environment{hint}")
        if text:  # an empty variable counts as not set: containers pass on what they were not given
            yield _Given(names[variable], text, variable)


def _environment_name(name: str) -> str:
    return _ENVIRONMENT_PREFIX + name.upper().replace("-", "_")


def _from_file(path: Path) -> Iterator[_Given]:
    import tomllib  # 5 ms that a start without a file need not spend

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot read the configuration file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not a TOML file: {error}") from None
    known = set(_known_names())
    for name, value in table.items():
        if name not in known:
            meant = suggested_setting(name)
            hint = f"; did you mean {meant}?" if meant else ""
            raise ConfigurationError(f"unknown setting {name} in {path}{hint}")
        yield _Given(name, _toml_text(name, value, path), f"{name} in {path}")


def _toml_text(name: str, value: object, path: Path) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case str():
            return value
        case int():
            return str(value)
        case list() if all(isinstance(item, str) for item in value):
            return ",".join(value)
        case _:
            raise ConfigurationError(f"{name} in {path} must be a text, a whole number, true or false")


def _parsed(source: Iterable[_Given]) -> dict[str, Any]:
    """Attributes of Settings and their values."""
    values: dict[str, Any] = {}
    for given in source:
        setting, text = _resolved(given)
        if setting.attribute in values:
            raise ConfigurationError(f"{given.origin}: {setting.name} is set twice")
        try:
            values[setting.attribute] = setting.kind.parse(text)
        except ValueError as reason:
            shown = "" if setting.secret else f' "{text}"'
            raise ConfigurationError(f"{given.origin}{shown}: {reason}") from None
    return values


def _resolved(given: _Given) -> tuple[Setting, str]:
    """The setting and its text; a secret's text may be in a file."""
    setting = declared().get(given.name)
    if setting is not None:
        return setting, given.text
    setting = declared()[given.name.removesuffix(_FILE_SUFFIX)]
    try:
        return setting, Path(given.text).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f'{given.origin} "{given.text}": cannot be read: {error}') from None
