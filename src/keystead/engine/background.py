"""Where slow disk work is done: in a thread, or right here in tests. One job at a time.

The jobs are plain functions that wait for the disk and hardly use the interpreter, so a thread costs the caller next to
nothing; only the merge of a checkpoint, which does compute, is another process.
"""

from __future__ import annotations

import contextlib
import errno
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import msgspec

from keystead.engine import giving_way
from keystead.engine.background_process import NO_SPACE_STATUS
from keystead.engine.compaction import compact
from keystead.engine.erasure import Erasure, Rewritten
from keystead.engine.forgetting import REQUEST_LENGTH, forget
from keystead.engine.history.indexing import build_missing
from keystead.engine.manifest import CheckpointRecord

if TYPE_CHECKING:
    from keystead.engine.files import Directory

T = TypeVar("T")


class Task(Generic[T]):
    """A job under way. When `done`, `result` returns what it returned or raises what it raised."""

    def __init__(self, job: Callable[[], T]) -> None:
        self._job = job
        self._result: T | None = None
        self._error: BaseException | None = None
        self.done = False

    def run(self) -> None:
        """Do the job, here."""
        try:
            self._result = self._job()
        except BaseException as error:
            self._error = error
        self.done = True

    def fail(self, error: BaseException) -> None:
        """It could not even be begun."""
        self._error, self.done = error, True

    def result(self) -> T:
        """What came of it; only when `done`."""
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # T may be None itself


class ProcessFailed(Exception):
    """A process that was to work on the files ended without a result. They are as they were."""


class CheckpointFailed(ProcessFailed):
    """The process that makes a checkpoint ended without one. Nothing is lost: the log has everything."""


class Background(Protocol):
    """Where jobs are done."""

    def start(self, job: Callable[[], T]) -> Task[T]:
        """Begin a job."""

    def compact(self, directory: Directory, number: int) -> CheckpointRecord:
        """Make a checkpoint of the sealed segments up to *number*; called from within a job."""

    def forget(self, directory: Directory, erasure: Erasure) -> Rewritten:
        """Write the sealed files again without what is to be erased; called from within a job."""

    def start_indexing(self, directory: Directory, *, verify: bool) -> Task[None]:
        """Begin to build the indexes that sealed segments lack, beside whatever job runs; see `build_missing`."""

    def stop(self) -> None:
        """End what runs; checkpoints and rewriting are abandoned, other jobs are waited for."""


class InlineBackground:
    """Does each job at once, in the caller: for tests and for tools that have nothing else to do."""

    def start(self, job: Callable[[], T]) -> Task[T]:
        """Do the job and return it done."""
        task = Task(job)
        task.run()
        return task

    def compact(self, directory: Directory, number: int) -> CheckpointRecord:
        """Merge here."""
        return compact(directory, number)

    def forget(self, directory: Directory, erasure: Erasure) -> Rewritten:
        """Rewrite here."""
        return forget(directory, erasure)

    def start_indexing(self, directory: Directory, *, verify: bool) -> Task[None]:
        """Build them here."""
        return self.start(lambda: build_missing(directory, verify=verify))

    def stop(self) -> None:
        """Nothing runs."""


class ThreadBackground:
    """A thread for each job, and a process of low priority for what computes."""

    def __init__(self) -> None:
        self._threads: set[threading.Thread] = set()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._stopping = False

    def start(self, job: Callable[[], T]) -> Task[T]:
        """Begin a job in a thread of its own: jobs are rare, minutes apart."""
        task = Task(job)
        thread = threading.Thread(target=task.run, name="keystead-maintenance", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no thread to be had: it is tried again in a second
            task.fail(OSError(errno.EAGAIN, str(error)))
        else:
            self._threads = {each for each in self._threads if each.is_alive()} | {thread}
        return task

    def compact(self, directory: Directory, number: int) -> CheckpointRecord:
        """Merge in another process."""
        try:
            output = self._run("keystead.engine.compaction", [directory.path, str(number)], b"")
            return _said(output, CheckpointRecord)
        except ProcessFailed as error:
            raise CheckpointFailed(str(error)) from error

    def forget(self, directory: Directory, erasure: Erasure) -> Rewritten:
        """Rewrite in another process."""
        request = msgspec.msgpack.encode(erasure)
        output = self._run("keystead.engine.forgetting", [directory.path], REQUEST_LENGTH.pack(len(request)) + request)
        return _said(output, Rewritten)

    def start_indexing(self, directory: Directory, *, verify: bool) -> Task[None]:
        """Build them in another process, and wait for it in a thread."""
        return self.start(lambda: self._index(directory, verify=verify))

    def _index(self, directory: Directory, *, verify: bool) -> None:
        self._run("keystead.engine.history.indexing", [directory.path, *["verify"] * verify], b"")

    def _run(self, module: str, arguments: list[str], request: bytes) -> bytes:
        """What a process says that is given *request*, and ends when this one does: it watches its standard input."""
        command = [sys.executable, "-P", giving_way.__file__, module, *arguments]
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        except OSError as error:  # no process or descriptor to be had: that says nothing about the disk
            raise ProcessFailed(f"starting {sys.executable}: {error.strerror}") from error
        self._processes.add(process)
        if self._stopping:
            process.kill()
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already: its status tells
            process.stdin.write(request)
            process.stdin.flush()
        # Not communicate(): that would close the pipe whose end tells the process that its parent is gone.
        assert process.stdout is not None
        assert process.stderr is not None
        output = process.stdout.read()
        errors = process.stderr.read()
        status = process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()
        self._processes.discard(process)
        if status == NO_SPACE_STATUS:
            raise OSError(errno.ENOSPC, f"no space left for {module.rpartition('.')[2]}")
        if status != 0:
            raise ProcessFailed(f"exit status {status}: {errors.decode('utf-8', 'replace').strip()[-500:]}")
        return output

    def stop(self) -> None:
        """Kill the processes and wait for the threads."""
        self._stopping = True
        for process in list(self._processes):
            process.kill()
        for thread in list(self._threads):
            thread.join()


def _said(output: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(output, type=kind)
    except msgspec.DecodeError as error:
        raise ProcessFailed(f"its process said {output[:500]!r}") from error
