"""The REST dialect of Upstash, so that its published clients work unchanged.

    POST /                ["SET", "k", "v"]              {"result": "OK"} or {"error": "ERR …"}
    POST /pipeline        [["SET", "k", "v"], …]         one of these for each command, in an array
    POST /multi-exec      the same, as one transaction
    GET  /set/k/v?EX=100  a body is the argument behind those of the path; parameters come last

Replies are those of RESP2. Every request counts as one that writes, whatever its method: a page of another site must
not be able to delete a key by an image's address. Commands that change a connection's state are refused, as in
`commands`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from keystead import resp
from keystead.execution.batches import Failure, Step
from keystead.resp.reading import ReadReply, read_reply
from keystead.server.http import bodies, console, transactions
from keystead.server.http import upstash_document as document
from keystead.server.http.commands import check_command, writes
from keystead.server.http.idempotency import HEADER
from keystead.server.http.notation import shown, to_base64
from keystead.server.http.problems import Problem, problem_of_redis_error
from keystead.server.http.requests import percent_decoded
from keystead.server.http.responses import Response
from keystead.server.http.routes import Dialect, Endpoint, Handler, Route

if TYPE_CHECKING:
    from keystead.server.http.requests import Request

TOKEN = b"_token"
INSTEAD = "/multi-exec or /v1/batch"
MOST_COMMANDS = 1000
SLICE_COMMANDS = 100
"""Commands of a pipeline that are executed in one turn of the loop."""

STATUSES = frozenset((401, 403, 405, 413, 421, 422, 429, 501, 503, 504))
"""Every other failure is 400."""
OCTETS = b"application/octet-stream"


_decode_command = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_commands = msgspec.json.Decoder(list[list[msgspec.Raw]]).decode


# --- Answers ----------------------------------------------------------------------------------------------------------


def flat(reply: ReadReply) -> Any:
    """A reply as RESP2 would have it, as the Python value that encodes to that: maps and sets are arrays, doubles
    strings, truth values integers."""
    kind, value = reply
    match kind:
        case _ if value is None:
            return None
        case "*" | "~" | ">" | "%":
            return [flat(part) for part in value]
        case "#":
            return int(value)
        case "+":
            return value.decode("utf-8", "surrogateescape")
        case "-" | "!":
            return resp.Encoded(resp.error(value.decode("utf-8", "surrogateescape")))
        case _:
            return value


class Form(NamedTuple):
    """How the client wants its answers."""

    in_base64: bool
    in_resp2: bool

    @classmethod
    def of(cls, request: Request) -> Form:
        """By the headers Upstash-Encoding and Upstash-Response-Format. Problem for what they cannot say."""
        encoding = request.headers.get(b"upstash-encoding", b"").lower()
        form = request.headers.get(b"upstash-response-format", b"json").lower()
        if encoding not in (b"", b"base64"):
            raise Problem(400, "ERR the header Upstash-Encoding can only be base64")
        if form not in (b"json", b"resp2"):
            raise Problem(400, "ERR the header Upstash-Response-Format can only be json or resp2")
        if encoding and form == b"resp2":
            raise Problem(400, "ERR replies in resp2 cannot be in base64")
        return cls(encoding == b"base64", form == b"resp2")

    def one(self, reply: bytes) -> Response:
        """The answer to one command."""
        read = _read(reply)
        status = _status_of(shown(read.value)) if read.kind == "-" else 200
        if self.in_resp2:
            return Response(status, resp.encode2(flat(read)), OCTETS)
        return bodies.answer(self._told(read), status)

    def all(self, replies: list[bytes]) -> Response:
        """The answer to many."""
        read = [_read(reply) for reply in replies]
        if self.in_resp2:
            return Response(200, resp.encode2([flat(reply) for reply in read]), OCTETS)
        return bodies.answer([self._told(reply) for reply in read])

    def _told(self, reply: ReadReply) -> dict[str, Any]:
        if reply.kind == "-":
            return {"error": shown(reply.value)}
        return {"result": self._in_json(flat(reply))}

    def _in_json(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._in_json(part) for part in value]
        if isinstance(value, str):
            value = value.encode("utf-8", "surrogateescape")
            if value == b"OK":
                return "OK"  # the one string that is never encoded
        if isinstance(value, bytes):
            return to_base64(value) if self.in_base64 else shown(value)
        return value


def _status_of(error: str) -> int:
    """400; what is wrong with a cluster is told as it is elsewhere, for it says what may be sent again."""
    problem = problem_of_redis_error(error)
    return problem.status if problem.has_kind else 400


def _read(reply: bytes) -> ReadReply:
    return read_reply(reply) if reply else ReadReply("_", None)  # of a command after which the server ends


def told(problem: Problem) -> Response:
    """Whatever else goes wrong, in this dialect's words."""
    status = problem.status if problem.status in STATUSES else 400
    response = bodies.answer({"error": problem.redis_error or problem.detail}, status)
    return response._replace(headers=tuple(problem.headers.items()))


def token_of(request: Request) -> bytes | None:
    """?_token=…"""
    for pair in request.query.split(b"&"):
        name, _, value = pair.partition(b"=")
        if name == TOKEN:
            return percent_decoded(value)
    return None


# --- Requests ---------------------------------------------------------------------------------------------------------


def post_command(request: Request) -> Response | None:
    """POST /: the command is the body."""
    return _execute(request, bodies.decoded(request, lambda body: bodies.command_of(_decode_command(body))))


def command_in_path(request: Request) -> Response | None:
    """GET, HEAD, POST and PUT /set/k/v?EX=100."""
    args = [percent_decoded(piece) for piece in request.path[1:].split(b"/")]
    if request.body:
        args.append(request.body)
    return _execute(request, args + _arguments_of(request.query))


def _arguments_of(query: bytes) -> list[bytes]:
    """Parameters as arguments: name and value, or the name alone."""
    pairs = [pair.split(b"=", 1) for pair in query.split(b"&")]
    pieces = [piece for pair in pairs if pair[0] != TOKEN for piece in pair if piece]
    return [percent_decoded(piece.replace(b"+", b" ")) for piece in pieces]


def _execute(request: Request, args: list[bytes]) -> Response | None:
    form = Form.of(request)
    check_command(args, INSTEAD)
    if HEADER in request.headers and writes(args):
        return transactions.execute(request, [Step(args)], lambda replies: form.one(replies[0]), all_or_nothing=False)
    request.start(args, lambda reply: request.answer(form.one(reply)))
    return None


def post_pipeline(request: Request) -> Response | Awaitable[Response] | None:
    """POST /pipeline: commands one after the other; what others send may come between. With an Idempotency-Key they are
    one transaction, so that the answer to all of them can be kept."""
    form, commands = Form.of(request), _commands(request)
    if HEADER in request.headers and any(map(writes, commands)):
        for args in commands:
            check_command(args, INSTEAD)
        return transactions.execute(request, [Step(args) for args in commands], form.all, all_or_nothing=False)
    return _pipelined(request, commands, form)


async def _pipelined(request: Request, commands: list[list[bytes]], form: Form) -> Response:
    replies: list[bytes] = []
    for begin in range(0, len(commands), SLICE_COMMANDS):
        if begin:
            await asyncio.sleep(0)
        replies += await _replies(request, commands[begin : begin + SLICE_COMMANDS])
    return form.all(replies)


async def _replies(request: Request, commands: list[list[bytes]]) -> list[bytes]:
    """Executed, not durable yet: the answer as a whole waits for that."""
    refusals = [_refusal(args) for args in commands]
    accepted = [args for args, refusal in zip(commands, refusals, strict=True) if refusal is None]
    executed = iter(await request.calls.run_each(request.session, accepted))
    return [next(executed) if refusal is None else refusal for refusal in refusals]


def _refusal(args: list[bytes]) -> bytes | None:
    """The reply to what cannot be executed here."""
    try:
        check_command(args, INSTEAD)
    except Problem as problem:
        return resp.error(problem.redis_error or problem.detail)
    return None


def post_transaction(request: Request) -> Response | None:
    """POST /multi-exec: MULTI, the commands, EXEC."""
    form, commands = Form.of(request)._replace(in_resp2=False), _commands(request)
    for args in commands:
        check_command(args, INSTEAD)
    return transactions.execute(
        request, [Step(args) for args in commands], form.all, all_or_nothing=False, fail=_discarded
    )


def _discarded(failure: Failure) -> Problem:
    return Problem(400, "", redis_error=f"EXECABORT Transaction discarded because of: {failure.reason}")


def _commands(request: Request) -> list[list[bytes]]:
    commands = bodies.decoded(request, lambda body: [bodies.command_of(items) for items in _decode_commands(body)])
    if not 0 < len(commands) <= MOST_COMMANDS:
        raise Problem(400, f"ERR a pipeline has 1 to {MOST_COMMANDS} commands, not {len(commands)}")
    return commands


# --- Routes -----------------------------------------------------------------------------------------------------------

DIALECT = Dialect(told, token_of)


def _endpoints(handler: Handler, *methods: bytes) -> dict[bytes, Endpoint]:
    return dict.fromkeys(methods, Endpoint(handler, changes_data=True, dialect=DIALECT))


COMMAND = Route(b"/", {**_endpoints(post_command, b"POST"), **console.PAGE}, document.COMMAND)
PIPELINE = Route(b"/pipeline", _endpoints(post_pipeline, b"POST"), document.PIPELINE)
TRANSACTION = Route(b"/multi-exec", _endpoints(post_transaction, b"POST"), document.TRANSACTION)
ROUTES = [COMMAND, PIPELINE, TRANSACTION]
BY_COMMAND = Route(
    b"/", _endpoints(command_in_path, b"GET", b"HEAD", b"POST", b"PUT"), document.BY_COMMAND, "/{command}/{arguments}"
)
"""Where a path begins with a command's name."""
