"""The options of a fit: what they may be, and what to say when they are wrong."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass

import numpy as np

from actc.approx.expression import parse_number
from actc.approx.pwl import MAX_SEGMENTS
from actc.diagnostics import Diagnostic
from actc.errors import UsageError

DEFAULT_SEGMENTS = 16
LARGEST = 1e37
"""Values and slopes beyond this leave float32's range or come too near its end."""


@dataclass(frozen=True, slots=True)
class Budget:
    """At most so many segments, or an error to stay within: one of the two."""

    segments: int | None
    max_error: float | None


def read_domain(domain: tuple[float, float] | str) -> tuple[float, float]:
    """A domain as two numbers that float32 can tell apart.

    Args:
        domain: two numbers, or "LO,HI", where each end may be a constant expression.

    Raises:
        UsageError: ACT0333.
    """
    low, high = map(float, _ends(domain) if isinstance(domain, str) else domain)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise _wrong_domain(f"[{low}, {high}] is not a finite domain")
    if not low < high:
        raise _wrong_domain(f"the domain [{low:g}, {high:g}] is empty")
    if max(-low, high) > LARGEST or not np.float32(low) < np.float32(high):
        raise _wrong_domain(f"[{low!r}, {high!r}] is too wide or too narrow for float32")
    return low, high


def _ends(text: str) -> tuple[float, float]:
    ends = text.split(",")
    if len(ends) != 2:
        raise _wrong_domain(f"the domain '{text}' is not two numbers")
    try:
        low, high = map(parse_number, ends)
    except UsageError as error:
        reason = error.diagnostics[0].message
        raise _wrong_domain(f"the domain '{text}' cannot be read: {reason}") from error
    return low, high


def _wrong_domain(message: str) -> UsageError:
    help_text = "write --domain LO,HI with LO < HI, such as --domain -8,8"
    return UsageError(Diagnostic("ACT0333", message, help=help_text))


def require_choice(option: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a value that is not one of `known`, with the nearest one.

    Raises:
        UsageError: ACT0334.
    """
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1)
        suggestion = f"did you mean '{near[0]}'? " if near else ""
        message = f"{option} cannot be '{value}'"
        help_text = f"{suggestion}choose one of: {', '.join(known)}"
        raise UsageError(Diagnostic("ACT0334", message, help=help_text))


def read_budget(form: str, segments: int | None, max_error: float | None) -> Budget:
    """The budget that the options say.

    Raises:
        UsageError: ACT0334, they contradict each other or are out of range.
    """
    if segments is not None and max_error is not None:
        raise _wrong_budget("--segments and --max-error are both given", "give one of the two")
    if segments is not None and not 1 <= segments <= MAX_SEGMENTS:
        message = f"--segments {segments} is not in 1..{MAX_SEGMENTS}"
        raise _wrong_budget(message, "16 is a good start")
    if max_error is not None and not 0 < max_error < math.inf:
        raise _wrong_budget(f"--max-error {max_error} is not a positive number", "such as 1e-3")
    if form == "table" and segments is not None:
        message = "--segments does not apply to a table, which has one entry per input code"
        raise _wrong_budget(message, "leave it out, or choose --form pwl")
    if segments is None and max_error is None:
        segments = DEFAULT_SEGMENTS
    return Budget(segments, max_error)


def _wrong_budget(message: str, help_text: str) -> UsageError:
    return UsageError(Diagnostic("ACT0334", message, help=help_text))
