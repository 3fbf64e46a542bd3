"""ACL LOG: what is alike is counted, and there is a bound."""

from __future__ import annotations

from keystead.execution.acl_log import AclLog


class Clock:
    now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


def test_what_happens_again_within_a_minute_is_counted_and_moves_up() -> None:
    clock = Clock()
    log = AclLog(10, clock)
    log.add("key", "toplevel", b"k", b"alice", b"first")
    log.add("command", "toplevel", b"set", b"alice", b"")
    clock.now_ms += 60_000
    log.add("key", "toplevel", b"k", b"alice", b"last")
    newest = log.entries[0]
    assert (newest.id, newest.count, newest.client, newest.created_ms, newest.updated_ms) == (
        *(0, 2, b"last"),
        *(1_000_000, 1_060_000),
    )
    clock.now_ms += 60_001
    log.add("key", "toplevel", b"k", b"alice", b"")
    assert [entry.count for entry in log.entries] == [1, 2, 1]


def test_another_user_object_reason_or_context_is_another_entry() -> None:
    log = AclLog(10)
    log.add("key", "toplevel", b"k", b"alice", b"")
    log.add("key", "toplevel", b"k", b"bob", b"")
    log.add("key", "toplevel", b"l", b"alice", b"")
    log.add("command", "toplevel", b"k", b"alice", b"")
    log.add("key", "multi", b"k", b"alice", b"")
    assert [entry.id for entry in log.entries] == [4, 3, 2, 1, 0]


def test_the_oldest_go() -> None:
    log = AclLog(3)
    for number in range(5):
        log.add("auth", "toplevel", b"AUTH", b"%d" % number, b"")
    assert [entry.username for entry in log.entries] == [b"4", b"3", b"2"]
    log.configure(1)
    assert [entry.username for entry in log.entries] == [b"4"]
    log.configure(0)
    log.add("auth", "toplevel", b"AUTH", b"x", b"")
    assert log.entries == []


def test_only_the_newest_ten_are_looked_at() -> None:
    log = AclLog(100)
    for number in range(11):
        log.add("auth", "toplevel", b"AUTH", b"%d" % number, b"")
    log.add("auth", "toplevel", b"AUTH", b"0", b"")
    assert len(log.entries) == 12
