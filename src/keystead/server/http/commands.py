"""POST /v1/commands: any command, its reply as JSON.

Each request stands for itself, so commands that change what a connection means are refused; their declarations say
which they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from keystead.commands.declaration import called_command
from keystead.execution.batches import Step, why_unknown
from keystead.resp.reading import ReadReply, read_reply
from keystead.server.http import bodies, transactions
from keystead.server.http.commands_document import COMMAND
from keystead.server.http.idempotency import HEADER
from keystead.server.http.notation import plain, shown, typed
from keystead.server.http.problems import Problem, problem_of_redis_error
from keystead.server.http.routes import Endpoint, Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from keystead.server.http.requests import Request
    from keystead.server.http.responses import Response


DATABASES: Final = 16


class Call(msgspec.Struct, forbid_unknown_fields=True):
    """A body that is an object."""

    command: list[msgspec.Raw]
    db: int | None = None


_decode_object = msgspec.json.Decoder(Call).decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode

NOTATIONS: dict[str, Callable[[ReadReply], Any]] = {
    "json": plain,
    "base64": lambda reply: plain(reply, in_base64=True),
    "typed": typed,
}


def post_command(request: Request) -> Response | None:
    """Execute the command that the body names."""
    parameters = request.parameters(("db", "reply"))
    notation = NOTATIONS.get(parameters.get("reply", "json"))
    if notation is None:
        raise Problem(400, f"The parameter 'reply' is one of: {', '.join(NOTATIONS)}.")
    args = bodies.decoded(request, lambda body: _command(request, body))
    check_command(args)

    def respond(replies: list[bytes]) -> Response:
        return bodies.answer({"reply": notation(succeeded(replies[0]))})

    if HEADER in request.headers and writes(args):
        return transactions.execute(request, [Step(args)], respond, all_or_nothing=False)
    request.start(args, lambda reply: request.answer(respond([reply])))
    return None


def _command(request: Request, body: bytes) -> list[bytes]:
    if body.lstrip()[:1] == b"[":
        return bodies.command_of(_decode_array(body))
    call = _decode_object(body)
    if call.db is not None:
        if not 0 <= call.db < DATABASES:
            raise ValueError(f"there are databases 0 to {DATABASES - 1}")
        request.connection.server.behind.choose_database(request, call.db)
    return bodies.command_of(call.command)


def check_command(args: list[bytes], instead: str = "/v1/batch") -> None:
    """Problem for what is no command, or none that a request can have executed."""
    command = called_command(args)
    if command is None:
        raise problem_of_redis_error(why_unknown(args))
    if command.connection_state:
        raise problem_of_redis_error(
            f"ERR '{command.name}' changes the state of a connection, and each request stands for itself; "
            f"send what belongs together to {instead}"
        )


def writes(args: list[bytes]) -> bool:
    """Whether the command may change data."""
    command = called_command(args)
    return command is not None and "write" in command.flags


def succeeded(reply: bytes) -> ReadReply:
    """The reply, read. Problem when it is an error."""
    if not reply:
        return ReadReply("_", None)  # of a command after which the server ends
    read = read_reply(reply)
    if read.kind == "-":
        raise problem_of_redis_error(shown(read.value))
    return read


ROUTE = Route(b"/v1/commands", {b"POST": Endpoint(post_command, changes_data=True)}, {"post": COMMAND})
