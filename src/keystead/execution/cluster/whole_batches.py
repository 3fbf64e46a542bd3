"""Commands that run as one on the node of their slot, all or nothing, each perhaps under a condition.

MULTI and EXEC undo nothing: what fails among them leaves the rest done. So the steps run within one script on the node,
which keeps what it may change (DUMP), and puts it back when a step fails or its condition does not hold; nobody sees
anything in between.

A condition on a value is judged here, for only here it is known what it means: the script is told the SHA-1 of the
values that are known to be good, and when it meets another one it undoes everything and tells that value. It is judged,
and either that was the answer, or the script runs again and knows one value more.

Owns: the script, what may take part, the rounds. Must not know: how a batch is written, what conditions mean.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from keystead import resp
from keystead.cluster.request import Request
from keystead.cluster.slots import slot_of
from keystead.commands.declaration import called_command
from keystead.commands.key_positions import positions
from keystead.commands.placement import Nowhere, refusal
from keystead.errors import CommandError
from keystead.execution.batches import Failure, Step, unfit_step
from keystead.execution.cluster.routes import CROSSSLOT, packed
from keystead.resp.reading import parts_of, read_reply

if TYPE_CHECKING:
    from keystead.execution.cluster.executor import ClusterExecutor
    from keystead.execution.session import Session

MOST_ROUNDS: Final = 16
"""More than so many values that were changed between two rounds are not waited out."""
MOST_ARGUMENTS: Final = 5000
"""Of one command, for Lua has a stack of bounded size."""
COUNTERS: Final = frozenset((b"incr", b"incrby", b"decr", b"decrby"))
"""Their replies are read back as text: Lua's numbers are exact only up to 2⁵³."""

PRESENT, ABSENT, OTHER_TYPE = b"present", b"absent", b"other type"
"""What the script finds where no value is wanted, or none can be told; else it is the SHA-1 of the value."""

SCRIPT: Final = b"""\
local at = 0
local function take() at = at + 1; return ARGV[at] end
local function take_list() local list = {}; for i = 1, tonumber(take()) do list[i] = take() end; return list end

local function contains(list, item)
  for _, each in ipairs(list) do if each == item then return true end end
end

local function inexact(reply)
  if type(reply) == 'number' then return reply >= 2^53 or reply <= -2^53 end
  if type(reply) == 'table' then for _, part in ipairs(reply) do if inexact(part) then return true end end end
end

local kept = {}
local function keep(changing)
  for i = 1, changing do kept[i] = {redis.call('DUMP', KEYS[i]), redis.call('PTTL', KEYS[i])} end
end
local function put_back()
  for i, before in ipairs(kept) do
    local dump, ttl = before[1], before[2]
    redis.call('DEL', KEYS[i])
    if dump then redis.call('RESTORE', KEYS[i], ttl < 0 and 0 or math.max(ttl, 1), dump) end
  end
end

local function look(wanted, key)
  if redis.call('EXISTS', key) == 0 then return 'absent', false end
  if wanted == 'existence' then return 'present', false end
  local value = redis.pcall('GET', key)
  if type(value) == 'table' then return 'other type', false end
  return redis.sha1hex(value), value
end

local function run(counts, command)
  local reply = redis.pcall(unpack(command))
  if type(reply) == 'table' and reply.err then return nil, reply.err end
  if counts == '1' then return redis.call('GET', command[2]) end
  return reply
end

local changing, steps = tonumber(take()), tonumber(take())
if steps > 1 then keep(changing) end
local replies = {'done'}
for step = 1, steps do
  local wanted, key, good, counts, command = take(), take(), take_list(), take(), take_list()
  local outcome
  if wanted ~= 'nothing' then
    local found, value = look(wanted, key)
    if not contains(good, found) then outcome = {'found', step, found, value} end
  end
  if not outcome then
    local reply, failure = run(counts, command)
    if failure then
      outcome = {'failed', step, failure}
    elseif inexact(reply) then
      outcome = {'failed', step, 'ERR the reply has a number that is too large for a batch in a cluster'}
    end
    replies[step + 1] = reply
  end
  if outcome then
    if (step > 1 or outcome[1] == 'failed') and not pcall(put_back) then
      return redis.error_reply('UNKNOWNOUTCOME a step failed, and those before it could not all be undone')
    end
    return outcome
  end
end
return replies
"""

Outcome: TypeAlias = list[bytes] | Failure | CommandError
"""The replies, one a step; or the step that failed, and nothing was done; or the error of the whole."""


class _Piece(NamedTuple):
    """One step as the script takes it."""

    wanted: bytes
    key: bytes
    good: list[bytes]
    """What may be found for the step to run."""
    args: list[bytes]

    def arguments(self) -> list[bytes]:
        counts = b"1" if self.args[0].lower() in COUNTERS else b"0"
        return [self.wanted, self.key, *_listed(self.good), counts, *_listed(self.args)]


class WholeBatch:
    """One run of *steps*. `start` it once; *done* is called with the outcome, unless it is known at once."""

    def __init__(
        self, executor: ClusterExecutor, session: Session, steps: Sequence[Step], done: Callable[[Outcome], None]
    ) -> None:
        self._executor = executor
        self._session = session
        self._steps = steps
        self._done = done
        self._pieces = [_piece(step) for step in steps]
        writing = [step for step in steps if "write" in executor.flags_of(step.args)]
        changing = dict.fromkeys(key for step in writing for key in _keys_of(step))
        self._changing = len(changing)
        self._keys = list(changing | dict.fromkeys(key for step in steps for key in _keys_of(step)))
        """Those that may change first."""
        self._writes = bool(writing)
        self._rounds = 0
        self._began_ns = 0

    def start(self) -> Outcome | None:
        """The outcome, when it is clear before anything is asked."""
        unfit = self._unfit()
        if unfit is not None:
            return unfit
        pauses = self._executor.pauses
        if pauses.hold(self._writes):
            promise = pauses.postpone(self._session, lambda: b"")
            self._session.wait_for(promise)
            promise.add_done(lambda _: self._run())
        else:
            self._run()
        return None

    def _unfit(self) -> Outcome | None:
        failure = unfit_step(self._session, self._steps, None, all_or_nothing=True)
        if failure is not None:
            return failure
        for index, step in enumerate(self._steps):
            command = called_command(step.args)
            if command is not None and isinstance(command.place, Nowhere):
                return Failure(index, refusal(command.name, command.place), unmet=False)
            if len(step.args) > MOST_ARGUMENTS:
                return Failure(index, f"ERR a command in a batch has at most {MOST_ARGUMENTS} arguments", unmet=False)
        return CommandError(CROSSSLOT) if len(set(map(slot_of, self._keys))) > 1 else None

    def _run(self) -> None:
        self._began_ns = self._began_ns or time.perf_counter_ns()
        self._rounds += 1
        arguments = [argument for piece in self._pieces for argument in piece.arguments()]
        counts = (b"%d" % self._changing, b"%d" % len(self._steps))
        data = packed([b"EVAL", SCRIPT, b"%d" % len(self._keys), *self._keys, *counts, *arguments])
        request = Request(slot_of(self._keys[0]), data, self._told, writes=self._writes)
        self._executor.send([request], 2)

    def _told(self, reply: bytes) -> None:
        if reply[:1] == b"-":
            self._end(CommandError(reply[1:-2].decode("utf-8", "surrogateescape")))
            return
        word, *rest = parts_of(reply)
        match read_reply(word).value:
            case b"done":
                self._end([_as_replied(step, part) for step, part in zip(self._steps, rest, strict=True)])
            case b"failed":
                step, error = (read_reply(part).value for part in rest)
                self._end(Failure(step - 1, error.decode("utf-8", "surrogateescape"), unmet=False))
            case _:
                step, found, value = (read_reply(part).value for part in rest)
                self._judge(step - 1, found, value)

    def _judge(self, index: int, found: bytes, value: bytes | None) -> None:
        """A step met what nobody has judged yet."""
        condition = self._steps[index].condition
        assert condition is not None
        if found == OTHER_TYPE:
            self._end(Failure(index, "WRONGTYPE Operation against a key holding the wrong kind of value", unmet=False))
            return
        reason = condition.refuse(b"" if found == PRESENT else value)
        if reason is not None:
            self._end(Failure(index, reason, unmet=True))
        elif self._rounds == MOST_ROUNDS + len(self._steps):
            self._end(CommandError("TRYAGAIN not executed: others keep changing the keys of the batch"))
        else:
            self._pieces[index].good.append(hashlib.sha1(value or b"", usedforsecurity=False).hexdigest().encode())
            self._run()

    def _end(self, outcome: Outcome) -> None:
        self._note(outcome)
        self._done(outcome)

    def _note(self, outcome: Outcome) -> None:
        """For statistics, monitors and the operation log: no runner has seen the steps."""
        executor, session = self._executor, self._session
        executor.statistics.commands_processed += len(self._steps)
        steps, result = list(self._steps), "ok"
        if isinstance(outcome, Failure):
            steps = [self._steps[outcome.step]]  # the others have left no trace
            result = "UNMET" if outcome.unmet else outcome.reason.partition(" ")[0]
        elif isinstance(outcome, CommandError):
            result = outcome.prefix
        if result not in ("ok", "UNMET"):
            executor.statistics.errors[result] += 1
        for step in steps:
            executor.monitors.tell(session, step.args)
            command = called_command(step.args)
            assert command is not None, "what is unknown is unfit"
            executor.operations.note_command(session, command, step.args, self._began_ns, result)


def _piece(step: Step) -> _Piece:
    condition = step.condition
    if condition is None:
        return _Piece(b"nothing", b"", [], step.args)
    good = [] if condition.refuse(None) is not None else [ABSENT]
    if condition.tells_value:
        return _Piece(b"value", condition.key, good, step.args)
    if condition.refuse(b"") is None:
        good.append(PRESENT)
    return _Piece(b"existence", condition.key, good, step.args)


def _keys_of(step: Step) -> list[bytes]:
    command = called_command(step.args)
    found = [step.args[at] for at in positions(command.key_specs, step.args)] if command is not None else []
    return found if step.condition is None else [*found, step.condition.key]


def _listed(items: Sequence[bytes]) -> list[bytes]:
    return [b"%d" % len(items), *items]


def _as_replied(step: Step, part: bytes) -> bytes:
    """A counter was read back as text; its reply is a number."""
    return resp.integer(int(read_reply(part).value)) if step.args[0].lower() in COUNTERS else part
