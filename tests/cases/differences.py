"""Where Keystead answers otherwise than Redis on purpose. Each case states Keystead's reply and says why.

Redis is asked too, and must not answer so: what is no longer a difference does not stay in this list.
"""

from __future__ import annotations

from functools import partial

from cases.case import Family

family = Family("differences")
case = partial(family.case, oracle=False)

case(
    "OBJECT IDLETIME: nobody notes when a key was last read, and a constant would be a lie",
    "SET k hello",
    (
        "OBJECT IDLETIME k",
        "-ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between "
        "policies at runtime LRU and LFU data will take some time to adjust.",
    ),
)

DIFFERENT_CASES = family.cases
