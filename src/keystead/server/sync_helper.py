"""The process that syncs: given open files over a socket, it syncs them and answers with an errno and the time it took.

Run as a program with the number of its end of a socket pair. A disk that stalls then stalls this process and not the
server's loop, and no lock of the interpreter stands between the end of a sync and the server. It shares the server's
open file descriptions, so it sees each write error exactly as the server would.

Ends when the socket closes, which is when its parent ends, however that happens. Imports as little as it can: it starts
in a few milliseconds and takes a few megabytes.
"""

import _signal  # type: ignore[import-not-found]  # `signal` and `socket` take longer to import than all the rest
import _socket
import os
import sys
import time

REQUEST = b"S"
ERRNO_BYTES = 4
ANSWER_BYTES = 12
"""An errno, 0 for success, and how long the sync took in nanoseconds; both in the machine's byte order."""
MOST_FILES = 16

_DESCRIPTOR_BYTES = 4


def serve(channel: _socket.socket) -> None:
    """Answer requests until the other end closes."""
    space = _socket.CMSG_SPACE(MOST_FILES * _DESCRIPTOR_BYTES)
    while True:
        request, messages, _, _ = channel.recvmsg(1, space)
        if not request:
            return
        descriptors = [descriptor for _, _, data in messages for descriptor in _descriptors(data)]
        began_ns = time.perf_counter_ns()
        failure = sync(descriptors)
        took_ns = time.perf_counter_ns() - began_ns
        order = sys.byteorder
        channel.send(failure.to_bytes(ERRNO_BYTES, order) + took_ns.to_bytes(ANSWER_BYTES - ERRNO_BYTES, order))


def sync(descriptors: list[int]) -> int:
    """Sync and close them all; 0, or the errno of the first that failed. After a failure nothing is tried again."""
    try:
        for descriptor in descriptors:
            if sys.platform == "darwin":
                import fcntl

                fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # fsync there leaves data in the drive's cache
            else:
                os.fdatasync(descriptor)
    except OSError as error:
        return error.errno or 5
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return 0


def _descriptors(data: bytes) -> list[int]:
    ends = range(_DESCRIPTOR_BYTES, len(data) + 1, _DESCRIPTOR_BYTES)
    return [int.from_bytes(data[end - _DESCRIPTOR_BYTES : end], sys.byteorder) for end in ends]


if __name__ == "__main__":
    # A stop is for the server to handle: it still needs syncs while it drains.
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    _signal.signal(_signal.SIGTERM, _signal.SIG_IGN)
    try:
        serve(_socket.socket(fileno=int(sys.argv[1])))
    except ConnectionError:
        sys.exit(0)  # the server was killed: whoever waited for an answer is gone
