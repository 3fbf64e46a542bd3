"""LATENCY: spikes above `latency-monitor-threshold`, and histograms of `latency-tracking`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from keystead import resp
from keystead.commands.declaration import command, container
from keystead.errors import CommandError

if TYPE_CHECKING:
    from keystead.execution.latency_spikes import Spikes
    from keystead.execution.session import Session

container("LATENCY", group="server", since="2.8.13", summary="A container for latency diagnostics commands.")

latency_command = partial(
    command,
    group="server",
    since="2.8.13",
    flags="admin noscript loading stale",
    reads="nothing",
    hints="nondeterministic_output request_policy:all_nodes response_policy:special",
)


@latency_command("LATENCY LATEST", summary="Returns the latest latency samples for all events.")
def latency_latest(session: Session) -> list[list[object]]:
    return [
        [event.encode(), spikes.samples[-1].at_s, spikes.samples[-1].duration_ms, spikes.highest_ms]
        for event, spikes in session.executor.latency.by_event.items()
    ]


@latency_command("LATENCY HISTORY event", summary="Returns timestamp-latency samples for an event.")
def latency_history(session: Session, event: bytes) -> list[list[int]]:
    spikes = _spikes(session, event)
    return [list(sample) for sample in spikes.samples] if spikes else []


def _spikes(session: Session, event: bytes) -> Spikes | None:
    return session.executor.latency.by_event.get(event.decode("utf-8", "surrogateescape"))


@latency_command(
    "LATENCY RESET [event [event ...]]",
    hints="request_policy:all_nodes response_policy:all_succeeded",
    summary="Resets the latency data for one or more events.",
)
def latency_reset(session: Session, events: list[bytes]) -> int:
    by_event = session.executor.latency.by_event
    names = [event.decode("utf-8", "surrogateescape") for event in events] or list(by_event)
    return sum(by_event.pop(name, None) is not None for name in names)


@latency_command("LATENCY GRAPH event", summary="Returns a latency graph for an event.")
def latency_graph(session: Session, event: bytes) -> resp.Verbatim:
    spikes = _spikes(session, event)
    if spikes is None:
        raise CommandError(f"ERR No samples available for event '{event.decode('utf-8', 'surrogateescape')}'")
    return resp.Verbatim(graph(event, spikes))


_WIDTH = 60


def graph(event: bytes, spikes: Spikes) -> bytes:
    """A bar for each sample, the oldest first."""
    durations_ms = [sample.duration_ms for sample in spikes.samples]
    most_ms = max(durations_ms)
    lines = [f"high {most_ms} ms, low {min(durations_ms)} ms (all time high {spikes.highest_ms} ms)", "-" * _WIDTH]
    newest_s = spikes.samples[-1].at_s
    for sample in spikes.samples:
        bar = "#" * max(1, sample.duration_ms * _WIDTH // (most_ms or 1))
        lines.append(f"{newest_s - sample.at_s:>6} s  {sample.duration_ms:>6} ms  {bar}")
    return event + b" - " + "\n".join(lines).encode() + b"\n"


@latency_command("LATENCY DOCTOR", summary="Returns a human-readable latency analysis report.")
def latency_doctor(session: Session) -> resp.Verbatim:
    threshold_ms = session.executor.settings.latency_threshold_ms
    by_event = session.executor.latency.by_event
    if not threshold_ms:
        text = "Latency is not monitored. CONFIG SET latency-monitor-threshold <milliseconds> begins it.\n"
    elif not by_event:
        text = f"No event took {threshold_ms} ms or more.\n"
    else:
        text = "".join(_diagnosis(event, spikes) for event, spikes in by_event.items())
    return resp.Verbatim(text.encode())


def _diagnosis(event: str, spikes: Spikes) -> str:
    durations_ms = [sample.duration_ms for sample in spikes.samples]
    average_ms = sum(durations_ms) / len(durations_ms)
    advice = {
        "command": "See SLOWLOG GET for the commands and use smaller pieces of work.",
        "fast-command": "An O(1) command that takes long means that the machine was busy or out of memory.",
    }
    return (
        f"{event}: {len(durations_ms)} spikes, {average_ms:.0f} ms on average, {spikes.highest_ms} ms at worst. "
        f"{advice.get(event, '')}".rstrip()
        + "\n"
    )


@latency_command(
    "LATENCY HISTOGRAM [command [command ...]]",
    since="7.0.0",
    complexity="O(N) where N is the number of commands with latency information being retrieved.",
    summary="Returns the cumulative distribution of latencies of a subset or all commands.",
)
def latency_histogram(session: Session, names: list[bytes]) -> dict[bytes, object]:
    by_name = session.executor.call_times.by_name
    wanted = [name.lower().decode("utf-8", "surrogateescape") for name in names]
    chosen = {
        name: times
        for name, times in by_name.items()
        if times.calls and (not wanted or name in wanted or name.partition("|")[0] in wanted)
    }
    return {
        name.encode(): {b"calls": times.calls, b"histogram_usec": times.histogram_us()}
        for name, times in chosen.items()
    }
