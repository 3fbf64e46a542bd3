"""What is counted, for INFO and /metrics; CONFIG RESETSTAT starts over.

What it costs: commands are counted by the chunk, hits and misses by one addition in each reading command (12 ns,
measured), errors on the road of errors, the rest by whoever meets the event. Calls and times of each command are kept
only while `latency-tracking` is on (see tables). Must not know: how a figure is shown.
"""

from __future__ import annotations

from collections import Counter


class Statistics:
    """Counters since the start or the last CONFIG RESETSTAT."""

    __slots__ = (
        "commands_processed",
        "connections_received",
        "connections_rejected",
        "denials",
        "errors",
        "expired_before",
        "http_answers",
        "keyspace_hits",
        "keyspace_misses",
        "net_input_bytes",
        "net_output_bytes",
        "ops_per_second",
        "output_buffer_disconnections",
        "peak_clients",
        "peak_used_bytes",
        "query_buffer_disconnections",
        "sampled_commands",
    )

    def __init__(self) -> None:
        self.peak_used_bytes = 0
        self.reset()

    def reset(self) -> None:
        """Start over, as CONFIG RESETSTAT does."""
        self.commands_processed = 0
        self.keyspace_hits = 0
        self.keyspace_misses = 0
        self.errors: Counter[str] = Counter()
        """Error replies by their first word."""
        self.denials: Counter[str] = Counter()
        """What users were refused, by reason: auth, command, key, channel."""
        self.http_answers: Counter[int] = Counter()
        """Answers over HTTP by their status."""
        self.connections_received = 0
        self.connections_rejected = 0
        self.peak_clients = 0
        self.net_input_bytes = 0
        self.net_output_bytes = 0
        self.query_buffer_disconnections = 0
        self.output_buffer_disconnections = 0
        self.expired_before = 0
        """The engine's count of expired keys at the last reset."""
        self.sampled_commands = 0
        self.ops_per_second = 0

    def sample_second(self) -> None:
        """To be called once a second: how many commands the last one has seen."""
        self.ops_per_second = self.commands_processed - self.sampled_commands
        self.sampled_commands = self.commands_processed
