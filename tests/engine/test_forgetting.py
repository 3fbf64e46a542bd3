"""Forgetting a key: what it leaves, what it takes, and that nothing else changes."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from random import Random

import pytest
from simulated_disk import Fault, Image, SimulatedDisk
from stores import PATH, SMALL, HandClock, QueuedBackground, opened, state_of
from workload import DATABASES, EMPTY_DISK, STEPS_WITH_FORGETTING, Workload

from keystead.engine import manifest as manifests
from keystead.engine.background import InlineBackground, ProcessFailed
from keystead.engine.checking import CheckedGeneration, check
from keystead.engine.engine import Engine, Options
from keystead.engine.erasure import Erasure, Forgetting, Rewritten
from keystead.engine.files import Directory, System
from keystead.engine.forgetting import filler
from keystead.engine.format import ERASED_VERSION, SEGMENT_MAGIC, VERSION, decode_file_header
from keystead.engine.history.transactions import History, Transaction, after
from keystead.engine.keyspace import SYSTEM_KEYSPACE
from keystead.engine.manifest import Manifest
from keystead.engine.operations import Bind, Filler, decode_entries
from keystead.errors import DamagedData, DiskFailure, OpenError

pytestmark = pytest.mark.usefixtures("small_sizes")

KEY = b"e" * 20
"""Of the workload's keys the one that is nowhere by accident."""
Past = list[Transaction]


def settle(engine: Engine, forgetting: Forgetting | None = None) -> None:
    """Housekeep until nothing is to be done."""
    for _ in range(60):
        engine.housekeep(1)
        engine.end_turn()
        engine.sync()
        if engine.at_rest and (forgetting is None or forgetting.done):
            return
    raise AssertionError("it never came to rest")


def forgotten(engine: Engine, *keys: bytes, database: int = 0, prefix: bytes = b"") -> Rewritten:
    """After all is done."""
    forgetting = engine.forget(engine.databases[database], keys, prefix)
    settle(engine, forgetting)
    assert forgetting.rewritten is not None, forgetting.failure
    return forgetting.rewritten


def past_of(engine: Engine) -> Past:
    """All transactions that can be read."""
    with History(Directory(engine.path, engine.directory.system), engine.first_kept_sequence) as history:
        return list(history.read(engine.log.next_sequence))


def without(past: Past, key: bytes, database: int, through: int) -> Past:
    """What must be left of it: found by what the databases showed, not by how it is stored."""
    shown = {t.databases[database] for t in past if t.sequence <= through}
    shown |= {after(t.databases, t.operations)[database] for t in past if t.sequence <= through}

    def left(transaction: Transaction) -> Transaction:
        return transaction._replace(
            operations=[
                Filler(b"")
                if not isinstance(operation, Bind | Filler)
                and (operation.keyspace, operation.key) in {(keyspace, key) for keyspace in shown}
                and transaction.sequence <= through
                else operation
                for operation in transaction.operations
            ]
        )

    return [left(transaction) for transaction in past]


def comparable(past: Past) -> Past:
    """With fillers of no length."""
    return [t._replace(operations=[Filler(b"") if isinstance(o, Filler) else o for o in t.operations]) for t in past]


def damage_in(system: System | None, path: str = PATH) -> list[DamagedData]:
    """What `keystead check` finds."""
    directory = Directory(path, system)
    manifest = manifests.load(directory)
    assert manifest is not None
    found: list[CheckedGeneration] = []
    for _ in check(directory, manifest, found):
        pass
    return [error for checked in found for error in checked.damage]


def files_with(disk: SimulatedDisk | Image, *words: bytes) -> set[str]:
    """Names of the files that have one of these bytes in them."""
    files = disk.files(PATH) if isinstance(disk, Image) else disk.content(PATH)
    return {name for name, data in files.items() if any(word in data for word in words)}


def manifest_of(disk: SimulatedDisk) -> Manifest:
    """As it is on the disk."""
    return manifests.parse(disk.content(PATH)["MANIFEST"], "MANIFEST")


class Life:
    """A small store whose key has a long past."""

    def __init__(self, background: InlineBackground | None = None, options: Options = SMALL) -> None:
        self.disk, self.clock = SimulatedDisk(EMPTY_DISK), HandClock()
        self.background = background or InlineBackground()
        self.engine = opened(self.disk, options, self.clock, background=self.background)

    def write(self, rounds: int = 6, key: bytes = b"forget-me") -> None:
        """Values of the key among those of others, over several generations; some in parts."""
        zero = self.engine.databases[0]
        for i in range(rounds):
            zero.keyspace.put(key, b"secret-%d" % i)
            zero.keyspace.put(b"other", b"kept-%d" % i)
            self.commit()
            start = len(self.engine.ops)
            zero.keyspace.put(key, b"secret-" + b"z" * 100, self.clock.at_ms + 10**9)
            zero.keyspace.put(b"large", b"kept" * 50)
            zero.keyspace.patch(key, 3, b"SECRET")
            self.engine.end_group(start)
            self.commit()
            if i == 2:
                zero.keyspace.delete(key)
                self.commit()
            self.engine.request_checkpoint()
            settle(self.engine)

    def commit(self) -> None:
        """A turn that is acknowledged."""
        self.engine.end_turn()
        self.engine.sync()

    def restarted(self) -> Engine:
        """After a kill."""
        self.disk.kill()
        self.engine = opened(self.disk, self.engine.options, self.clock, background=self.background)
        return self.engine


# --- What it does ----------------------------------------------------------------------------------------------------


def test_a_key_its_name_and_its_values_are_nowhere_afterwards() -> None:
    """Not in segments, whole or in parts, nor in checkpoints; and it says how much it did."""
    life = Life()
    life.write()
    holding = files_with(life.disk, b"forget-me", b"secret", b"SECRET", b"zzz")
    assert any(name.endswith(".ckp") for name in holding)
    before = past_of(life.engine)
    done = forgotten(life.engine, b"forget-me")
    assert files_with(life.disk, b"forget-me", b"secret", b"SECRET", b"zzz") == set()
    assert done.files >= len(holding)
    assert done.operations == 6 * 3 + 2
    assert done.stored_bytes > 0
    assert b"forget-me" not in life.engine.databases[0].keyspace
    after = past_of(life.engine)
    through = before[-1].sequence + 1
    assert comparable(after[:-1]) == without(before, b"forget-me", 0, through)
    assert comparable(after[-1:])[0].operations == [Filler(b"")]
    assert after[-1].sequence == through
    assert damage_in(life.disk) == []
    assert state_of(life.restarted())[0] == {b"other": (b"kept-5", 0), b"large": (b"kept" * 50, 0)}


def test_files_keep_lengths_positions_and_salts_and_change_their_names() -> None:
    """Files never change under their name; what is not concerned is not rewritten."""
    life = Life()
    life.engine.databases[0].keyspace.put(b"untouched", b"1")
    life.commit()
    life.engine.request_checkpoint()
    settle(life.engine)
    life.write()
    before = manifest_of(life.disk)
    forgotten(life.engine, b"forget-me")
    after = manifest_of(life.disk)
    old = {record.number: record for generation in before.generations for record in generation.segments}
    new = {record.number: record for generation in after.generations for record in generation.segments}
    assert new[1] == old[1]
    assert not old[1].revision
    revised = [record for record in new.values() if record.revision]
    assert len(revised) >= 5
    content = life.disk.content(PATH)
    for record in revised:
        assert record.file == f"segment-{record.number:010}-r1.log"
        assert old[record.number].file not in content
        if old[record.number].length is not None:
            assert (record.length, record.salt) == (old[record.number].length, old[record.number].salt)
        header = decode_file_header(after.store_id, SEGMENT_MAGIC, memoryview(content[record.file]))
        assert header.version == ERASED_VERSION
    assert content["MANIFEST"].startswith(b"keystead manifest 3 ")
    again = forgotten(life.engine, b"other")
    assert again.files
    assert f"segment-{revised[0].number:010}-r2.log" in life.disk.content(PATH)


def test_a_store_is_of_the_newest_version_only_when_something_was_erased() -> None:
    """A key that was never there leaves every file as it was, and an older Keystead can go on."""
    life = Life()
    life.write(2)
    done = forgotten(life.engine, b"never was")
    assert (done.files, done.operations) == (0, 0)
    content = life.disk.content(PATH)
    assert content["MANIFEST"].startswith(b"keystead manifest 2 ")
    assert not any("-r" in name for name in content)
    assert b"revision" not in content["MANIFEST"]
    assert VERSION == 2


def test_what_is_written_to_the_key_later_stays() -> None:
    """Before the segment is sealed, while files are rewritten, and after; what was before is gone all the same."""
    background = QueuedBackground()
    life = Life(background)
    keyspace = life.engine.databases[0].keyspace

    def work(steps: int) -> None:
        for _ in range(steps):
            life.engine.housekeep(1)
            background.run()
            life.commit()

    for i in range(3):
        keyspace.put(b"forget-me", b"secret-%d" % i + bytes(200))
        life.commit()
        work(4)
    forgetting = life.engine.forget(life.engine.databases[0], [b"forget-me"])
    keyspace.put(b"forget-me", b"new-1")
    keyspace.patch(b"forget-me", 5, b"-patched")
    life.commit()
    while not background.waiting or not life.engine.maintenance._forgetting_runs:
        background.run()
        life.engine.housekeep(1)
        life.commit()
    keyspace.put(b"forget-me", b"new-2", life.clock.at_ms + 500)
    life.commit()
    assert not forgetting.done
    work(3)
    assert forgetting.rewritten is not None
    assert files_with(life.disk, b"secret") == set()
    newer = [t for t in past_of(life.engine) if t.sequence > forgetting.erasure.through]
    assert [type(o).__name__ for t in newer for o in t.operations] == ["Put", "Patch", "PutExpiring"]
    assert damage_in(life.disk) == []
    before = state_of(life.engine)
    assert state_of(life.restarted()) == before
    assert before[0][b"forget-me"] == (b"new-2", life.clock.at_ms + 500)


def test_a_checkpoint_of_what_was_written_later_keeps_it() -> None:
    """Made between the wish and the rewriting, it has the key as it is now."""
    background = QueuedBackground()
    life = Life(background)
    keyspace = life.engine.databases[0].keyspace
    keyspace.put(b"forget-me", b"secret")
    life.commit()
    life.engine.request_checkpoint()
    forgetting = life.engine.forget(life.engine.databases[0], [b"forget-me"])
    keyspace.put(b"forget-me", b"new")
    life.commit()
    for _ in range(12):
        background.run()
        life.engine.housekeep(1)
        life.commit()
    assert forgetting.rewritten is not None
    checkpoint = manifest_of(life.disk).current.checkpoint
    assert checkpoint is not None
    assert checkpoint.sequence > forgetting.erasure.through + 1
    assert files_with(life.disk, b"secret") == set()
    assert damage_in(life.disk) == []
    assert bytes(life.restarted().databases[0].keyspace.get(b"forget-me") or b"") == b"new"


def test_each_keyspace_that_the_database_has_shown_is_looked_at_and_no_other() -> None:
    """Through flushes and swaps; what another database shows now stays, without its past in those keyspaces."""
    life = Life()
    engine, (zero, one, two) = life.engine, life.engine.databases[:3]
    zero.keyspace.put(b"forget-me", b"secret-before-the-flush")
    life.commit()
    engine.flush(zero)
    zero.keyspace.put(b"forget-me", b"secret-before-the-swap")
    two.keyspace.put(b"forget-me", b"of-another")
    life.commit()
    engine.request_checkpoint()
    settle(engine)
    engine.swap(zero, one)
    life.commit()
    zero.keyspace.put(b"forget-me", b"secret-now")
    one.keyspace.patch(b"forget-me", 0, b"PUBLIC")
    life.commit()
    expected = bytes(one.keyspace.get(b"forget-me") or b"")
    assert expected == b"PUBLIC-before-the-swap"
    forgotten(engine, b"forget-me")
    assert files_with(life.disk, b"secret", b"before-the-flush") == set()
    assert one.keyspace.get(b"forget-me") == expected
    assert two.keyspace.get(b"forget-me") == b"of-another"
    assert damage_in(life.disk) == []
    before = state_of(engine)
    assert state_of(life.restarted()) == before
    forgotten(life.engine, b"forget-me", database=1)
    assert files_with(life.disk, b"PUBLIC") == set()
    assert files_with(life.disk, b"of-another") != set()


def test_a_key_of_another_database_whose_time_is_up_is_removed_before() -> None:
    """Or its removal, logged later, would be of a key that the files do not have any more."""
    life = Life()
    zero, one = life.engine.databases[:2]
    zero.keyspace.put(b"forget-me", b"secret", life.clock.at_ms + 100)
    life.commit()
    life.engine.swap(zero, one)
    life.commit()
    life.engine.active_expire = False
    life.clock.at_ms += 200
    life.engine.clock.refresh()
    forgotten(life.engine, b"forget-me")
    life.engine.active_expire = True
    settle(life.engine)
    assert damage_in(life.disk) == []
    assert state_of(life.restarted()) == state_of(life.engine)


def test_keys_of_the_system_keyspace_go_by_their_prefix() -> None:
    """What the store keeps for itself may hold values too; the rest of it stays."""
    life = Life()
    system = life.engine.system.keyspace
    system.put(b"answer\0one", b"secret")
    system.put(b"kept", b"for itself")
    life.commit()
    life.engine.request_checkpoint()
    settle(life.engine)
    system.delete(b"answer\0one")
    life.engine.end_turn()
    forgotten(life.engine, b"forget-me", prefix=b"answer\0")
    assert files_with(life.disk, b"secret", b"answer\0") == set()
    assert damage_in(life.disk) == []
    assert life.restarted().system.keyspace.get(b"kept") == b"for itself"


def test_parts_that_were_never_committed_are_wiped() -> None:
    """They mean nothing, but their bytes may be a value's."""
    life = Life()
    life.engine.databases[0].keyspace.put(b"a", b"1")
    life.commit()
    life.engine.log.append([(2, b"\x91\x94\x01\x00\xc4\x09forget-me\xc4\xffsecret", 77)], life.clock.at_ms)
    life.engine.sync()
    forgotten(life.engine, b"other")
    assert files_with(life.disk, b"forget-me", b"secret") == set()
    assert damage_in(life.disk) == []


@pytest.mark.parametrize("length", [5, 6, 258, 259, 260, 261, 65_539, 65_540, 65_541, 65_544, 200_000])
def test_a_filler_has_any_length_that_an_operation_has(length: int) -> None:
    """Also those that MessagePack, written as short as it goes, has no byte string for."""
    encoded = filler(length)
    assert len(encoded) == length
    (entry,) = decode_entries(b"\x91" + encoded)
    assert isinstance(entry, Filler)
    assert not any(entry.zeros)


def test_many_keys_are_forgotten_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each payload is decoded then, instead of looking for every key in it."""
    monkeypatch.setattr("keystead.engine.forgetting.MOST_WORDS", 3)
    life = Life()
    keys = [b"forget-%d." % number for number in range(10)]
    for key in [*keys, b"other"]:
        life.engine.databases[0].keyspace.put(key, b"of " + key)
        life.commit()
    life.engine.request_checkpoint()
    settle(life.engine)
    assert forgotten(life.engine, *keys).operations == 20
    assert files_with(life.disk, *keys) == set()
    assert damage_in(life.disk) == []
    assert state_of(life.restarted())[0] == {b"other": (b"of other", 0)}


def test_what_a_checkpoint_left_that_was_killed_goes_too() -> None:
    """It is in no manifest, and the next start would remove it; but it may have the key."""
    life = Life()
    life.write(1)
    directory = Directory(PATH, life.disk)
    with directory.create("checkpoint-0000000009.ckp.tmp") as left:
        left.write_at(0, b"forget-me secret")
    forgotten(life.engine, b"forget-me")
    assert files_with(life.disk, b"secret") == set()


# --- All lives -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60))
def test_whatever_the_life_everything_else_is_as_it_was(seed: int, seeded: Callable[[int], Random]) -> None:
    """View, history and every other key's past; the checks pass; no file has the bytes."""
    life = Workload(seeded(seed), SimulatedDisk(EMPTY_DISK))
    life.steps = STEPS_WITH_FORGETTING
    life._new_value = lambda length=0: _marked(life, length)  # type: ignore[method-assign]
    life.run(60)
    if life.engine is None:
        life.open()
    engine = life.engine
    assert engine is not None
    engine.system.keyspace.delete(KEY)
    engine.end_turn()
    settle(engine)
    tokens = _tokens(past_of(engine), KEY)
    for database in range(DATABASES):
        before, state = past_of(engine), state_of(engine)
        forgetting = engine.forget(engine.databases[database], [KEY], KEY)
        settle(engine, forgetting)
        assert forgetting.rewritten is not None, forgetting.failure
        through = forgetting.erasure.through
        expected = [*before, *(t for t in past_of(engine) if t.sequence > before[-1].sequence)] if before else []
        system = [_without_system(t) for t in without(comparable(expected), KEY, database, through)]
        assert comparable(past_of(engine)) == system
        state[database].pop(KEY, None)
        assert _live(state, engine) == _live(state_of(engine), engine)
        assert damage_in(life.disk) == []
        assert state_of(opened(SimulatedDisk(life.disk.everything()), wall_ms=life.clock)) == state_of(engine)
    assert {name for name in files_with(life.disk, KEY, *tokens) if not name.endswith(".broken")} == set()


def _marked(life: Workload, length: int) -> bytes:
    life._value += 1
    return b"<%d>" % life._value + bytes(life.random.choices(b"\0xyz", k=length))


def _tokens(past: Past, key: bytes) -> set[bytes]:
    """The marks of the values that the key ever had."""
    values = [
        getattr(operation, "value", getattr(operation, "data", b""))
        for transaction in past
        for operation in transaction.operations
        if getattr(operation, "key", None) == key
    ]
    return {value[: value.index(b">") + 1] for value in values if b">" in value}


def _without_system(transaction: Transaction) -> Transaction:
    return transaction._replace(
        operations=[
            Filler(b"") if getattr(o, "keyspace", 0) == SYSTEM_KEYSPACE and getattr(o, "key", b"") == KEY else o
            for o in transaction.operations
        ]
    )


def _live(state: tuple[dict[bytes, tuple[bytes, int]], ...], engine: Engine) -> list[dict[bytes, tuple[bytes, int]]]:
    """Without what housekeeping may have removed meanwhile."""
    now_ms = engine.clock.now_ms
    return [{key: held for key, held in keys.items() if not 0 < held[1] <= now_ms} for keys in state]


# --- Crashes and faults ----------------------------------------------------------------------------------------------


def test_a_power_loss_at_any_moment_leaves_the_old_files_or_the_new(seeded: Callable[[int], Random]) -> None:
    """A start finds the key as it was or no key; whatever it finds is whole; and what was answered is true for ever."""
    random = seeded(7)
    life = Life()
    life.write(4)
    before = state_of(life.engine)
    after = tuple({k: v for k, v in keys.items() if k != b"forget-me"} for keys in before)
    caught: list[Image] = []
    life.disk.after = lambda _: caught.extend(life.disk.crash_states(random, 6))
    forgotten(life.engine, b"forget-me")
    life.disk.after = lambda _: None
    answered = list(life.disk.crash_states(random, 50))
    kinds = set()
    for image in [*dict.fromkeys(caught), *answered]:
        disk = SimulatedDisk(image)
        state = state_of(opened(disk, wall_ms=life.clock))
        assert state in (before, after)
        assert damage_in(disk) == []
        kinds.add((state == before, bool(files_with(disk, b"secret"))))
        named = {name for name in manifest_of(disk).files() if not name.endswith(".idx")}
        assert {name for name in disk.content(PATH) if name.endswith((".log", ".ckp"))} == named
    assert kinds >= {(True, True), (False, True), (False, False)}
    assert [files_with(image, b"secret", b"forget-me") for image in answered] == [set()] * len(answered)


def test_it_can_be_asked_for_again_after_a_crash() -> None:
    """Nobody was told that it was done; the second time is as the first."""
    life = Life(QueuedBackground())
    keyspace = life.engine.databases[0].keyspace
    keyspace.put(b"forget-me", b"secret")
    life.commit()
    life.engine.forget(life.engine.databases[0], [b"forget-me"])
    life.commit()
    life.background = InlineBackground()
    engine = life.restarted()
    assert b"forget-me" not in engine.databases[0].keyspace
    assert files_with(life.disk, b"secret") != set()
    forgotten(engine, b"forget-me")
    assert files_with(life.disk, b"secret") == set()


def test_who_waits_for_the_end_of_the_log_to_be_sealed_is_told_that_the_disk_is_full() -> None:
    """The wish waited for room: for ever, where the disk stayed full."""
    life = Life()
    life.write(2)
    life.disk.calls = 0
    life.disk.fault = Fault(1, errno.ENOSPC, for_ever=True, only=("allocate", "create"))
    forgetting = life.engine.forget(life.engine.databases[0], [b"forget-me"])
    for _ in range(12):
        life.engine.end_turn()
        life.engine.sync()
        life.engine.housekeep(1)
        life.clock.at_ms += 1_100
    assert life.disk.faults_met
    assert "No space left" in forgetting.failure
    life.disk.fault = None
    settle(life.engine)
    forgotten(life.engine, b"forget-me")
    assert files_with(life.disk, b"secret") == set()


def test_any_call_that_fails_leaves_a_store_that_starts(seeded: Callable[[int], Random]) -> None:
    """A full disk is an answer, the old files stay, and it can be tried again; another error ends the process."""
    seeded(3)
    outcomes: set[str] = set()
    for call in range(1, 400):
        met = 0
        for fault in (
            Fault(call, errno.ENOSPC),
            Fault(call, errno.EIO),
            Fault(call, errno.ENOSPC, for_ever=True, only=("pwrite",)),
        ):
            life = Life()
            life.write(2)
            before = state_of(life.engine)
            after = tuple({k: v for k, v in keys.items() if k != b"forget-me"} for keys in before)
            life.disk.calls = 0
            life.disk.fault = fault
            forgetting = None
            try:
                forgetting = life.engine.forget(life.engine.databases[0], [b"forget-me"])
                for _ in range(12):
                    life.engine.housekeep(1)
                    life.engine.end_turn()
                    life.engine.sync()
                    life.clock.at_ms += 1_100
            except (DiskFailure, OSError) as failure:
                outcomes.add(type(failure).__name__)
            met += life.disk.faults_met
            life.disk.fault = None
            if forgetting is not None and forgetting.rewritten:
                outcomes.add("done")
                assert files_with(life.disk, b"secret") == set()
            elif forgetting is not None and forgetting.failure:
                outcomes.add("refused")
                settle(life.engine)
                forgotten(life.engine, b"forget-me")
                assert files_with(life.disk, b"secret") == set()
            assert damage_in(life.disk) == []
            assert state_of(life.restarted()) in (before, after)
            assert damage_in(life.disk) == []
        if not met:
            break
    else:
        raise AssertionError("every call failed")
    assert outcomes == {"DiskFailure", "done", "refused"}


class Failing(InlineBackground):
    """Rewriting fails."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    def forget(self, directory: Directory, erasure: Erasure) -> Rewritten:  # noqa: ARG002  # as the others
        """No."""
        raise self.failure


@pytest.mark.parametrize(
    "failure", [ProcessFailed("killed"), DamagedData("f", 0, "bits"), OSError(errno.EMFILE, "files")]
)
def test_a_failure_is_told_and_the_next_wish_is_served(failure: Exception) -> None:
    """Files are as they were."""
    life = Life(Failing(failure))
    life.write(1)
    forgetting = life.engine.forget(life.engine.databases[0], [b"forget-me"])
    life.clock.at_ms += 2_000
    settle(life.engine, forgetting)
    assert forgetting.rewritten is None
    assert forgetting.failure
    assert not life.engine.maintenance.checkpoint_failed
    life.background = InlineBackground()
    forgotten(life.restarted(), b"forget-me")


def test_damage_in_a_file_that_would_be_rewritten_is_an_answer() -> None:
    """Which names the file; it is neither hidden nor copied."""
    life = Life()
    life.write(2)
    record = manifest_of(life.disk).generations[0].segments[0]
    data = life.disk.content(PATH)[record.file]
    inode = life.disk._folders[PATH].entries[record.file]
    inode.content = inode.durable = data[:100] + bytes((data[100] ^ 1,)) + data[101:]  # type: ignore[union-attr]
    forgetting = life.engine.forget(life.engine.databases[0], [b"forget-me"])
    settle(life.engine, forgetting)
    assert record.file in forgetting.failure


def flips(data: bytes) -> Iterator[bytes]:
    """With each bit flipped."""
    flipped = bytearray(data)
    for bit in range(8 * len(data)):
        flipped[bit >> 3] ^= 1 << (bit & 7)
        yield bytes(flipped)
        flipped[bit >> 3] ^= 1 << (bit & 7)


def test_every_flipped_bit_and_every_cut_of_a_rewritten_file_is_noticed() -> None:
    """By `check`, and by a start when it reads the file; in a manifest of version 3 as well."""
    life = Life()
    zero = life.engine.databases[0].keyspace
    zero.put(b"forget-me", b"secret")
    zero.put(b"other", b"kept")
    life.commit()
    life.engine.request_checkpoint()
    settle(life.engine)
    zero.put(b"forget-me", b"secret", life.clock.at_ms + 10**9)
    life.commit()
    forgotten(life.engine, b"forget-me")
    files = life.disk.everything().files(PATH)
    revised = [name for name in files if name.endswith(("-r1.log", "-r1.ckp"))]
    assert {name[:5] for name in revised} == {"segme", "check"}
    read_at_start = {record.file for record in manifest_of(life.disk).current.segments}
    checkpoint = manifest_of(life.disk).current.checkpoint
    read_at_start.add(checkpoint.file if checkpoint else "")
    for bad in [*flips(files["MANIFEST"]), *(files["MANIFEST"][:length] for length in range(len(files["MANIFEST"])))]:
        with pytest.raises(OpenError):
            opened(SimulatedDisk(Image.of({PATH: files | {"MANIFEST": bad}})))
    for name in revised:
        data = files[name]
        for bad in [*flips(data), *(data[:length] for length in range(len(data)))]:
            disk = SimulatedDisk(Image.of({PATH: files | {name: bad}}))
            assert [error.file for error in damage_in(disk)] != []
            if name in read_at_start:
                with pytest.raises(OpenError):
                    opened(disk)
