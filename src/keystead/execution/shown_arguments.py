"""How a command's arguments are shown to operators: in the slow log and to monitors. Passwords are not."""

from __future__ import annotations

REDACTED = b"(redacted)"


def without_secrets(args: list[bytes]) -> list[bytes]:
    """The arguments with passwords replaced; the list itself where there are none."""
    match [argument.lower() for argument in args[:2]]:
        case [b"auth", *_]:
            return [args[0], *[REDACTED] * (len(args) - 1)]
        case [b"hello", *_]:
            return _hello(args)
        case [b"acl", b"setuser"]:
            return [*args[:2], *[REDACTED] * (len(args) - 2)]
        case [b"config", b"set"]:
            return _config_set(args)
    return args


def _hello(args: list[bytes]) -> list[bytes]:
    shown = list(args)
    for at, argument in enumerate(args[:-2]):
        if at >= 2 and argument.lower() == b"auth":
            shown[at + 1] = shown[at + 2] = REDACTED
    return shown


def _config_set(args: list[bytes]) -> list[bytes]:
    shown = list(args)
    for at in range(2, len(args) - 1, 2):
        if args[at].lower() == b"requirepass":
            shown[at + 1] = REDACTED
    return shown


_ESCAPES = {
    **{byte: b"\\x%02x" % byte for byte in (*range(32), *range(127, 256))},
    **dict(zip(b'\a\b\t\n\r"\\', (b"\\a", b"\\b", b"\\t", b"\\n", b"\\r", b'\\"', b"\\\\"), strict=True)),
}


def quoted(argument: bytes) -> bytes:
    """The argument in double quotes, printable on one line and readable back by redis-cli."""
    if argument.isalnum():
        return b'"%b"' % argument
    return b'"%b"' % b"".join(_ESCAPES.get(byte) or bytes((byte,)) for byte in argument)
