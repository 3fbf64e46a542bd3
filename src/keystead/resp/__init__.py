"""The Redis protocol, without I/O: bytes in, commands out; Python values in, bytes out.

`requests` owns the request grammar, `inline` its human-typed form, `plain` a faster road for the plainest chunks of it,
`replies` the encoders of RESP2 and RESP3. Nothing here knows a socket, a command's meaning or the store.
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

__all__ = [
    "EMPTY_ARRAY",
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
    "NullArray",
    "Pairs",
    "ProtocolError",
    "QueryBufferExceeded",
    "Reply",
    "RequestParser",
    "Verbatim",
    "bulk",
    "encode2",
    "encode3",
    "error",
    "integer",
    "push",
]
