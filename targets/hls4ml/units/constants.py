"""Constants of the project as the C simulation reads them, and as synthesis does.

hls4ml writes each one twice: as text, which its C simulation loads, and as the initializer that
the vendor's tool compiles.
"""

from __future__ import annotations

import re
from pathlib import Path

from actc.targets.base import Rung

NAME = "constants"
_FOLDER = "firmware/weights"
_INITIALIZER = re.compile(r"=\s*\{([^{}]*)\}\s*;")


def check_constants(project: Path) -> list[Rung]:
    """Compare both; no rung where the C simulation reads what synthesis reads.

    Args:
        project: folder of hls4ml's project.
    """
    texts = sorted((project / _FOLDER).glob("*.txt"))
    if not texts:
        return []
    wrong = [problem for path in texts if (problem := _difference(path))]
    if wrong:
        more = f"; {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return [Rung(NAME, "differs", wrong[0] + more)]
    return [Rung(NAME, "equal", f"{len(texts)} as C simulation and synthesis read them")]


def _difference(path: Path) -> str:
    """Where synthesis reads something else, in words; "": nowhere."""
    header = path.with_suffix(".h")
    found = _INITIALIZER.search(header.read_text("utf-8")) if header.is_file() else None
    if found is None:
        return f"{_FOLDER}/{header.name} has no numbers"
    given, made = (_numbers(text) for text in (path.read_text("utf-8"), found[1]))
    if len(given) != len(made):
        return f"{_FOLDER}/{header.name} has {len(made)} numbers, {path.name} {len(given)}"
    for place, (first, second) in enumerate(zip(given, made, strict=True)):
        if first != second:
            where = f"{_FOLDER}/{header.name}, number {place}"
            return f"{where}: synthesis reads {second[:40]}, the C simulation {first[:40]}"
    return ""


def _numbers(text: str) -> list[str]:
    return [number.strip() for number in text.split(",")]
