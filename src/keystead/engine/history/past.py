"""The past of one store: what a key was, what all keys were, what changed, what is gone. Changes nothing on disk.

Owns: the questions that can be asked, and that each is answered from one state of the directory. Must not know: who
asks, how it is shown. The store may be open in another process, which appends, seals, makes checkpoints and drops files
meanwhile: a question that meets a dropped file is asked again of what is there then. Meant for a process of its own:
decoding takes the interpreter. For one thread at a time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from keystead.engine import manifest as manifests
from keystead.engine.format import MASK_64
from keystead.engine.history.answers import Behind, Difference, KeyChange, Moment, NotCommitted, Removed
from keystead.engine.history.differences import differences
from keystead.engine.history.kept import Kept, LatestUsed
from keystead.engine.history.key_changes import key_changes
from keystead.engine.history.removed import RecycleBin
from keystead.engine.history.retained_log import RetainedLog, State, alive
from keystead.engine.history.transactions import ATTEMPTS, HistoryDropped, Transaction, after
from keystead.engine.history.values_at import values_at
from keystead.engine.history.view_at import count_of, folders_of, give_back_keys, keys_of, view_at
from keystead.errors import DamagedData

if TYPE_CHECKING:
    from keystead.engine.files import Directory
    from keystead.engine.history.log_segment import LogSegment
    from keystead.engine.history.transactions import Databases
    from keystead.engine.view import View

__all__ = [
    "Behind",
    "Difference",
    "HistoryDropped",
    "KeyChange",
    "Moment",
    "NotCommitted",
    "Past",
    "Removed",
    "alive",
]

VIEWS_KEPT = 2
"""A view takes as much memory as the store did."""

SEGMENTS_HELD = 64
"""So many files are held open at once by whoever reads through the log, which may be thousands."""

T = TypeVar("T")


class Held(NamedTuple):
    """Some segments in a row, open: the transactions from *first* on and before *end* are in them."""

    kept: Kept
    segments: list[LogSegment]
    databases: Databases
    first: int
    end: int


class HeldBack(NamedTuple):
    """One segment, open, to be read backwards."""

    kept: Kept
    segment: LogSegment
    databases_at: Callable[[int], Databases]


class Past:
    """Answers questions about one directory. Close it, or use it in a `with` statement.

    Every question may raise HistoryDropped, whose *floor* is the first transaction that is still kept, for what
    retention has let go; NotCommitted for what has not happened yet; DamagedData.
    """

    def __init__(
        self, directory: Directory, until: int | None = None, between_frames: Callable[[], None] = lambda: None
    ) -> None:
        """As `refresh`. DamagedData when there is no store, or none that can be read.

        *between_frames* is called again and again while an answer is looked for. It may raise what ends that; the next
        question must then begin with a `refresh`.
        """
        self._directory = directory
        self._log = RetainedLog(directory, between_frames)
        self._views: LatestUsed[View] = LatestUsed(VIEWS_KEPT)
        self._keys: LatestUsed[list[bytes]] = LatestUsed(VIEWS_KEPT, lambda keys: give_back_keys(keys, between_frames))
        self._emptied: tuple[tuple[int, bytes, int | Behind | None], RecycleBin] | None = None
        """The recycle bin of which a page was asked for last, and where the next page begins."""
        self._until: int | None = None
        self.history_id = ""
        self.refresh(until)

    def refresh(self, until: int | None = None) -> None:
        """Take in what was committed before transaction *until*; None: every whole frame there is.

        In a store that is open in another process, what is behind the last sync may be taken back by a power cut: who
        must not tell of it says *until*. DamagedData.
        """
        self._until = until
        self._asked(self._follow)
        if until is not None and self.newest.sequence < until - 1:
            reason = f"the log ends before transaction {self.newest.sequence + 1}"
            raise DamagedData(f"{self._directory.path}/{manifests.MANIFEST_NAME}", 0, reason)

    def _follow(self) -> None:
        manifest = manifests.load(self._directory)
        if manifest is None:
            raise DamagedData(f"{self._directory.path}/{manifests.MANIFEST_NAME}", 0, "the file is missing")
        if manifest.history != self.history_id:
            self._forget_answers()
        self.history_id = manifest.history
        self._log.follow(manifest, MASK_64 if self._until is None else self._until)

    def _asked(self, question: Callable[[], T]) -> T:
        """The answer; when a file was dropped or replaced meanwhile, from those that are there instead."""
        missing: FileNotFoundError | None = None
        for _ in range(ATTEMPTS):
            try:
                if missing is not None:
                    self._follow()
                return question()
            except FileNotFoundError as error:
                missing = error
        assert missing is not None
        raise DamagedData(str(missing.filename), 0, "the file is missing")

    # --- Moments ----------------------------------------------------------------------------------------------------

    @property
    def floor(self) -> Moment:
        """The oldest moment that can be rebuilt: the state before the first transaction that is kept."""
        return self._log.floor

    @property
    def newest(self) -> Moment:
        """The last transaction that was taken in."""
        return self._log.newest

    def moment(self, sequence: int) -> Moment:
        """The moment after that transaction. HistoryDropped, NotCommitted."""
        return self._asked(lambda: self._log.moment(sequence))

    def moment_at(self, time_ms: int) -> Moment:
        """The last moment of that time or before it. HistoryDropped."""
        return self._asked(lambda: self._log.moment_at(time_ms))

    # --- Questions --------------------------------------------------------------------------------------------------

    def key_changes(self, database: int, key: bytes, count: int, before: int | None = None) -> list[KeyChange]:
        """The latest *count* changes of a key, before transaction *before*, newest first.

        Expiries without a sequence number are not counted: they come with the change that they end.
        """
        return self._asked(lambda: key_changes(self._log, database, key, count, before))

    def values_at(self, database: int, keys: Sequence[bytes], moment: Moment) -> dict[bytes, tuple[bytes, int]]:
        """Value and expiry of those of the keys that were there at that moment."""
        return self._asked(lambda: values_at(self._log, database, keys, moment))

    def view_at(self, moment: Moment) -> View:
        """All keys at that moment, for the caller to keep.

        Those whose time was up but that nobody had removed are in it: see `alive`.
        """
        return self._asked(lambda: view_at(self._log, moment))

    def kept_view(self, moment: Moment) -> View:
        """As `view_at`, for the caller to look at only: the views of the last few moments are kept."""
        return self._asked(lambda: self._kept_view(moment))

    def _kept_view(self, moment: Moment) -> View:
        return self._views.get(moment, lambda: view_at(self._log, moment))

    def raw_states(self, database: int, keys: Iterable[bytes], sequence: int) -> dict[bytes, State]:
        """Value and expiry of each key after that transaction, whether or not its time was up; None: no such key."""
        return self._asked(lambda: self._raw_states(database, keys, sequence))

    def _raw_states(self, database: int, keys: Iterable[bytes], sequence: int) -> dict[bytes, State]:
        keyspace = self._log.databases_at(sequence)[database]
        return {key: self._log.find(keyspace, key, sequence) for key in keys}

    def page_at(
        self, database: int, moment: Moment, prefix: bytes, after: bytes | None, limit: int
    ) -> list[tuple[bytes, bytes, int]]:
        """Key, value and expiry of the first *limit* keys at that moment that begin so and come behind *after*.

        The views of the last few moments are kept, so that further pages are quick.
        """
        view, keys = self._view_and_keys(database, moment)
        start = bisect_left(keys, prefix) if after is None or after < prefix else bisect_right(keys, after)
        page: list[tuple[bytes, bytes, int]] = []
        for key in keys[start : start + limit]:
            state = view.find(database, key)
            if state is None or not key.startswith(prefix):
                break
            page.append((key, *state))
        return page

    def folders_at(
        self, database: int, moment: Moment, prefix: bytes, delimiter: bytes, after: bytes | None, limit: int
    ) -> tuple[list[tuple[bytes, int | None]], int]:
        """The first *limit* folders of that moment with the numbers of their keys, and the keys beside them with None,
        behind *after*; how many keys there were that begin so. As quick as a page, whatever is in the folders."""
        _, keys = self._view_and_keys(database, moment)
        return list(islice(folders_of(keys, prefix, delimiter, after), limit)), count_of(keys, prefix)

    def _view_and_keys(self, database: int, moment: Moment) -> tuple[View, list[bytes]]:
        self._log.check(moment.sequence)
        view = self._asked(lambda: self._kept_view(moment))
        return view, self._keys.get((database, moment), lambda: self._keys_of(view, database, moment))

    def _keys_of(self, view: View, database: int, moment: Moment) -> list[bytes]:
        return keys_of(view, database, b"", moment.time_ms, self._log.between_frames)

    def differences(self, database: int, earlier: Moment, later: Moment, prefix: bytes = b"") -> Iterator[Difference]:
        """The keys that begin so and are not the same at the two moments, in order."""
        views = self.kept_view(earlier), self.kept_view(later)
        return differences(views, (earlier, later), database, prefix, self._log.between_frames)

    def removed(
        self, database: int, prefix: bytes, before: int | Behind | None, limit: int, deadline_s: float
    ) -> tuple[list[Removed], int | Behind | None]:
        """The recycle bin: keys that begin so, were there within what is kept, and are not there now; newest first.

        At most *limit*, and no more than are found by that time of `time.monotonic`. The second value is the *before*
        to go on with; None: that was all. It is a `Behind` where it goes on in the middle of a transaction, such as a
        flush.
        """
        return self._asked(lambda: self._removed(database, prefix, before, limit, deadline_s))

    def _removed(
        self, database: int, prefix: bytes, before: int | Behind | None, limit: int, deadline_s: float
    ) -> tuple[list[Removed], int | Behind | None]:
        place = database, prefix, before
        known, self._emptied = self._emptied, None  # one that is left in the middle is of no use
        recycle_bin = known[1] if known is not None and known[0] == place else RecycleBin(self._log, database, prefix)
        found, following = recycle_bin.page(before, limit, deadline_s)
        if following is not None:
            self._emptied = (database, prefix, following), recycle_bin
        return found, following

    def transactions(self, first: int, until: int) -> Iterator[Transaction]:
        """The transactions from *first* on and before *until*, in order. HistoryDropped, NotCommitted.

        Other questions may be asked meanwhile. What is dropped meanwhile is read to its end, as far as it is held open
        by then; whoever is slower than retention is told by HistoryDropped in the middle.
        """
        if first >= until:
            return iter(())
        return self._read(self._asked(lambda: self._held(first, until)), until)

    def _held(self, first: int, until: int) -> Held:
        log = self._log
        log.check(first - 1)
        log.check(until - 1)
        databases = log.databases_at(first - 1)
        segments = log.segments_between(first, until)
        end = segments[SEGMENTS_HELD].header.first_sequence if len(segments) > SEGMENTS_HELD else until
        kept = Kept(self._directory, most_files=SEGMENTS_HELD)
        try:
            return Held(kept, [segment.held_by(kept) for segment in segments[:SEGMENTS_HELD]], databases, first, end)
        except FileNotFoundError:
            kept.close()
            raise

    def _read(self, held: Held, until: int) -> Iterator[Transaction]:
        while True:
            shown = held.databases
            try:
                for segment in held.segments:
                    first = max(held.first, segment.header.first_sequence)
                    for transaction in segment.transactions_from(first, shown):
                        if transaction.sequence >= held.end:
                            break
                        yield transaction
                        shown = after(shown, transaction.operations)
            finally:
                held.kept.close()
            end = held.end
            if end >= until:
                return
            held = self._asked(lambda: self._held(end, until))  # noqa: B023 - called at once

    def transactions_back(self, before: int, first: int = 0) -> Iterator[Transaction]:
        """The transactions before *before* and from *first* on, newest first. HistoryDropped, NotCommitted.

        As `transactions`; but what retention lets go meanwhile is the end, as it is for whoever asks later.
        """
        if before <= first:
            return iter(())
        self._log.check(before - 1)
        return self._read_back(before, first)

    def _read_back(self, before: int, first: int) -> Iterator[Transaction]:
        while before > max(first, self.floor.sequence + 1):
            last = before - 1
            try:
                held = self._asked(lambda: self._held_back(last))  # noqa: B023 - called at once
            except HistoryDropped:
                return
            try:
                for transaction in held.segment.transactions_back(before, held.databases_at):
                    if transaction.sequence < first:
                        return
                    yield transaction
                    before = transaction.sequence
            finally:
                held.kept.close()
            if before > last:
                raise DamagedData(held.segment.path, 0, f"transaction {last} cannot be found")

    def _held_back(self, last: int) -> HeldBack:
        generation = self._log.generation_of(last - 1)  # where the transaction is: *last* may begin the next one
        generation.databases_at(last - 1)  # what that needs of earlier segments is known from here on
        kept = Kept(self._directory)
        try:
            return HeldBack(kept, self._log.segment_of(last).held_by(kept), generation.databases_at)
        except FileNotFoundError:
            kept.close()
            raise

    # --- Life -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let all files go."""
        self._log.close()
        self._forget_answers()

    def _forget_answers(self) -> None:
        self._views.clear()
        self._keys.clear()
        self._emptied = None

    def __enter__(self) -> Past:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
