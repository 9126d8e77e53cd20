"""How many programs may run at a time on this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

BYTES_PER_RUN = 2 << 30
"""Memory that is kept for each run: more than nextpnr takes for a design that fills an
ECP5-85K."""
_MEMORY = Path("/proc/meminfo")


def runs_at_a_time(most: int) -> int:
    """Runs that this machine has processors and memory for.

    Args:
        most: runs that there are.

    Returns:
        1 to `most`.
    """
    return max(1, min(most, _processors(), _available() // BYTES_PER_RUN))


def _processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))


def _available() -> int:
    """Bytes that programs can take before the system swaps."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", _MEMORY.read_text("ascii"), re.MULTILINE)
    return int(found[1]) << 10 if found else BYTES_PER_RUN
