"""The Redis protocol, without I/O: bytes in, commands out; Python values in, bytes out.

`requests` owns the request grammar, `inline` its human-typed form, `plain` a faster road for the plainest chunks of it,
`runs` one that is faster still for one command many times over, `replies` the encoders of RESP2 and RESP3. Nothing here
knows a socket, a command's meaning or the store.
"""

from keystead.resp.replies import (
    EMPTY_ARRAY,
    NULL2,
    NULL3,
    NULL_ARRAY,
    NULL_ARRAY2,
    OK,
    ONE,
    PONG,
    QUEUED,
    ZERO,
    Encoded,
    Members,
    NullArray,
    Pairs,
    Reply,
    Verbatim,
    bulk,
    encode2,
    encode3,
    error,
    integer,
    push,
)
from keystead.resp.requests import (
    Limits,
    ProtocolError,
    QueryBufferExceeded,
    RequestParser,
)
from keystead.resp.runs import LEAST_RUN_BYTES, Run

__all__ = [
    "EMPTY_ARRAY",
    "LEAST_RUN_BYTES",
    "NULL2",
    "NULL3",
    "NULL_ARRAY",
    "NULL_ARRAY2",
    "OK",
    "ONE",
    "PONG",
    "QUEUED",
    "ZERO",
    "Encoded",
    "Limits",
    "Members",
    "NullArray",
    "Pairs",
    "ProtocolError",
    "QueryBufferExceeded",
    "Reply",
    "RequestParser",
    "Run",
    "Verbatim",
    "bulk",
    "encode2",
    "encode3",
    "error",
    "integer",
    "push",
]
