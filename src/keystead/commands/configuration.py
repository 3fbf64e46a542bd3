"""CONFIG: the settings while the server runs. Which there are is `keystead.config`'s business."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from keystead.commands.declaration import command, container
from keystead.commands.glob import compile_glob
from keystead.config import FIXED_PARAMETERS, ParameterRefused, changed, parameters, rewrite, shown
from keystead.errors import CommandError, ConfigurationError

if TYPE_CHECKING:
    from keystead.execution.session import Session

container("CONFIG", group="server", since="2.0.0", summary="A container for server configuration commands.")

config_command = partial(command, group="server", flags="admin noscript loading stale", reads="nothing")


@config_command(
    "CONFIG GET parameter [parameter ...]",
    since="2.0.0",
    complexity="O(N) when N is the number of configuration parameters provided",
    history=(("7.0.0", "Added the ability to pass multiple pattern parameters in one call"),),
    summary="Returns the effective values of configuration parameters.",
)
def config_get(session: Session, patterns: list[bytes]) -> dict[bytes, bytes]:
    known = shown(session.executor.settings)
    found: dict[str, str] = {}
    for pattern in patterns:
        if any(byte in b"*?[" for byte in pattern):
            matches = compile_glob(pattern, ignore_case=True)
            found |= {name: value for name, value in known.items() if matches(name.encode())}
        else:
            name = _text(pattern)  # shown as it was typed, as in Redis
            found |= {name: known[name.lower()]} if name.lower() in known else {}
    return {_bytes(name): _bytes(value) for name, value in found.items()}


@config_command(
    "CONFIG SET parameter value [parameter value ...]",
    since="2.0.0",
    takes="args",
    complexity="O(N) when N is the number of configuration parameters provided",
    hints="request_policy:all_nodes response_policy:all_succeeded",
    history=(("7.0.0", "Added the ability to set multiple parameters in one call."),),
    summary="Sets configuration parameters in-flight.",
)
def config_set(session: Session, args: list[bytes]) -> str:
    if len(args) % 2:
        raise CommandError("ERR syntax error")
    given = [(_text(name), _text(value)) for name, value in zip(args[2::2], args[3::2], strict=True)]
    _refuse_unknown_and_repeated([name for name, _ in given])
    try:
        settings = changed(session.executor.settings, dict(given))
    except ParameterRefused as refused:
        raise _failed(refused.parameter, refused.reason) from None
    session.executor.apply(settings)
    return "OK"


def _refuse_unknown_and_repeated(names: list[str]) -> None:
    known = parameters().keys() | FIXED_PARAMETERS.keys()
    for name in names:
        if name.lower() not in known:
            raise CommandError(f"ERR Unknown option or number of arguments for CONFIG SET - '{name}'")
    lower = [name.lower() for name in names]
    for at, name in enumerate(names):
        if name.lower() in lower[:at]:
            raise _failed(name, "duplicate parameter")


def _failed(name: str, reason: str) -> CommandError:
    return CommandError(f"ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")


@config_command("CONFIG RESETSTAT", since="2.0.0", summary="Resets the server's statistics.")
def config_resetstat(session: Session) -> str:
    session.executor.reset_statistics()
    return "OK"


@config_command("CONFIG REWRITE", since="2.8.0", summary="Persists the effective configuration to file.")
def config_rewrite(session: Session) -> str:
    executor = session.executor
    try:
        rewrite(executor.settings, executor.started_with)
    except ConfigurationError as refused:
        raise CommandError(f"ERR {refused}") from None
    except OSError as failure:
        raise CommandError(f"ERR Rewriting config file: {failure.strerror}") from None
    return "OK"


def _text(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
