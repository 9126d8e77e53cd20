"""Times of a run, in a file of their own.

Everything else that actc writes is the same, byte for byte, for the same input.
Times are not, so they live in one small script beside the page, which loads it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

_FIRST = "// Times of one run, in seconds. This file, and no other, differs between runs."
_NAME = "window.actcTimings = "


def render_timings(timings: Mapping[str, float]) -> str:
    """Return the text of `timings.js`.

    Args:
        timings: stage -> seconds, in the order in which the stages ran.

    Raises:
        ValueError: a time is negative or not finite.
    """
    wrong = [name for name, value in timings.items() if not 0 <= value < math.inf]
    if wrong:
        raise ValueError(f"not a time in seconds: {', '.join(wrong)}")
    rounded = {name: round(float(value), 6) for name, value in timings.items()}
    return f"{_FIRST}\n{_NAME}{json.dumps(rounded, indent=2)};\n"


def read_timings(text: str) -> dict[str, float]:
    """Read what `render_timings` wrote.

    Raises:
        ValueError: `text` is not such a file.
    """
    _, found, rest = text.partition(_NAME)
    body = rest.rstrip()
    if not found or not body.endswith(";"):
        raise ValueError("not a timings file: no 'window.actcTimings = {...};'")
    table = json.loads(body[:-1])
    if not isinstance(table, dict) or not all(
        isinstance(v, (int, float)) and not isinstance(v, bool) for v in table.values()
    ):
        raise ValueError("not a timings file: not a table of stage -> seconds")
    return {str(name): float(value) for name, value in table.items()}
