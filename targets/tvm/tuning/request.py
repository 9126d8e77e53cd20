"""What tuning is asked for, and what it writes into an artefact. Pure Python."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TUNING = "tuning.json"
"""The file of an artefact with the schedules that were chosen."""


@dataclass(frozen=True, slots=True)
class Request:
    """How much to tune.

    Attributes:
        candidates: schedules of each distinct kernel that are timed beside the modelled one.
        seconds: after which kernels that were not timed keep the modelled one.
    """

    candidates: int
    seconds: float


def read_tuning(directory: Path) -> dict[str, Any] | None:
    """What an artefact's tuning.json says; None: it was not tuned."""
    path = directory / TUNING
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
