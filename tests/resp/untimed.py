"""Property tests that no slow machine can fail: how long an example takes is never judged."""

from __future__ import annotations

from hypothesis import HealthCheck, settings


def untimed(examples: int = 200) -> settings:
    """Settings for `@given`: so many examples, in their own time."""
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
