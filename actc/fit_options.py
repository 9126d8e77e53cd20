"""The options of a fit: what they may be, and what to say when they are wrong."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from actc.approx.expression import parse_number
from actc.approx.fixed_point import FixedPoint
from actc.approx.pwl import MAX_SEGMENTS
from actc.diagnostics import Diagnostic
from actc.errors import Problems, UsageError

FLOAT_FORMS = ("pwl", "pwl-continuous", "tree", "table")
"""In this order, the earlier one is taken when two are equally good."""
PLOTS = ("png", "svg", "html")
"""Endings of the files that a plot can be written to."""
DEFAULT_DOMAIN = (-8.0, 8.0)
DEFAULT_SEGMENTS = 16
LARGEST = 1e37
"""Values and slopes beyond this leave float32's range or come too near its end."""
_FARTHEST = 2.0**20
"""Where an infinite end begins at the latest: the other end lies nearer to zero."""
_INFINITE = re.compile(r"([+-]?)inf(inity)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of :func:`actc.fit` as they were given; None where left out."""

    domain: tuple[float, float] | str | None = None
    input: FixedPoint | str | None = None
    output: FixedPoint | str | None = None
    form: str = "auto"
    segments: int | None = None
    max_error: float | None = None
    ulp: float | None = None
    digits: int | None = None
    degree: int | None = None
    device: str | None = None
    objective: str | None = None
    weights: str | Path | None = None
    plot: str | Path | None = None
    emit: str | None = None
    file: str | Path | None = None

    @property
    def fixed(self) -> bool:
        """Whether a fit in fixed point is wanted."""
        return self.input is not None or self.output is not None


@dataclass(frozen=True, slots=True)
class Budget:
    """At most so many segments, or an error to stay within: one of the two."""

    segments: int | None
    max_error: float | None


@dataclass(frozen=True, slots=True)
class FloatRequest:
    """What is wanted in float32: a form of :data:`FLOAT_FORMS`, or "auto", on a domain."""

    domain: tuple[float, float]
    form: str
    budget: Budget


def read_domain(domain: tuple[float, float] | str) -> tuple[float, float]:
    """A domain as two numbers that float32 can tell apart; the ends may be infinite.

    Args:
        domain: two numbers, or "LO,HI", where each end is a constant expression or
            "-inf" or "inf".

    Raises:
        UsageError: ACT0333.
    """
    low, high = map(float, _ends(domain) if isinstance(domain, str) else domain)
    if math.isnan(low) or math.isnan(high):
        raise _wrong_domain(f"an end of the domain [{low}, {high}] is not a number")
    if not low < high:
        raise _wrong_domain(f"the domain [{low:g}, {high:g}] is empty")
    finite = [end for end in (low, high) if math.isfinite(end)]
    if len(finite) == 1 and abs(finite[0]) > _FARTHEST:
        raise _wrong_domain(
            f"the finite end of [{low:g}, {high:g}] is farther than {_FARTHEST:.0f} from zero"
        )
    if any(abs(end) > LARGEST for end in finite) or not np.float32(low) < np.float32(high):
        raise _wrong_domain(f"[{low!r}, {high!r}] is too wide or too narrow for float32")
    return low, high


def _ends(text: str) -> list[float]:
    ends = text.split(",")
    if len(ends) != 2:
        raise _wrong_domain(f"the domain '{text}' is not two numbers")
    problems = Problems()
    found = [problems.attempt(_end, end.strip()) for end in ends]
    if problems.found:
        reasons = ", and ".join(problem.message for problem in problems.found)
        raise _wrong_domain(f"the domain '{text}' cannot be read: {reasons}")
    return [end for end in found if end is not None]


def _end(text: str) -> float:
    return float(text) if _INFINITE.fullmatch(text) else parse_number(text)


def domain_ends(domain: tuple[float, float]) -> list[float | str]:
    """The ends as JSON has them: numbers, or the texts "-inf" and "inf"."""
    return [end if math.isfinite(end) else str(end) for end in domain]


def _wrong_domain(message: str) -> UsageError:
    help_text = "write --domain LO,HI with LO < HI, such as --domain=-8,8 or --domain=-inf,inf"
    return UsageError(Diagnostic("ACT0333", message, help=help_text))


def nearest(value: str, known: tuple[str, ...]) -> str:
    """ "did you mean 'pwl'? " if one of `known` is near to `value`, or ""."""
    near = difflib.get_close_matches(value, known, n=1)
    return f"did you mean '{near[0]}'? " if near else ""


def require_choice(option: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a value that is not one of `known`, with the nearest one.

    Raises:
        UsageError: ACT0334.
    """
    if value not in known:
        message = f"{option} cannot be '{value}'"
        choices = f"{nearest(value, known)}choose one of: {', '.join(known)}"
        help_text = choices if known else "leave it out: there is nothing to choose from"
        raise UsageError(Diagnostic("ACT0334", message, help=help_text))


def read_budget(form: str, segments: int | None, max_error: float | None) -> Budget:
    """The budget that the options of a float fit say.

    Raises:
        UsageError: ACT0334, they contradict each other or are out of range.
    """
    if segments is not None and max_error is not None:
        raise wrong("--segments and --max-error are both given", "give one of the two")
    require_segments(segments)
    require_error(max_error)
    if form == "table" and segments is not None:
        message = "--segments does not apply to a table, which has one entry per input code"
        raise wrong(message, "leave it out, or choose --form pwl")
    if segments is None and max_error is None:
        segments = DEFAULT_SEGMENTS
    return Budget(segments, max_error)


def require_segments(segments: int | None) -> None:
    """Refuse a number of segments out of range.

    Raises:
        UsageError: ACT0334.
    """
    if segments is not None and not 1 <= segments <= MAX_SEGMENTS:
        raise wrong(f"--segments {segments} is not in 1..{MAX_SEGMENTS}", "16 is a good start")


def require_error(max_error: float | None) -> None:
    """Refuse an error that is not a positive number.

    Raises:
        UsageError: ACT0334.
    """
    if max_error is not None and not 0 < max_error < math.inf:
        raise wrong(f"--max-error {max_error} is not a positive number", "such as 1e-3")


def wrong(message: str, help_text: str) -> UsageError:
    """Options that contradict each other or are out of range: ACT0334."""
    return UsageError(Diagnostic("ACT0334", message, help=help_text))


def file_problems(
    kinds: tuple[str, ...],
    *,
    plot: str | Path | None,
    emit: str | None,
    file: str | Path | None,
) -> list[Diagnostic]:
    """What is wrong with the options that name files.

    Args:
        kinds: of files that can be emitted.
    """
    problems = Problems()
    if (emit is None) != (file is None):
        message = "--emit says what to write and -o where: give both"
        problems.add(Diagnostic("ACT0334", message, help="such as --emit onnx -o gelu.onnx"))
    if emit is not None:
        problems.attempt(require_choice, "--emit", emit, kinds)
    if plot is not None:
        ending = Path(plot).suffix.lower().removeprefix(".")
        problems.attempt(require_choice, "the ending of --plot", ending, PLOTS)
        if file is not None and Path(plot) == Path(file):
            message = "--plot and -o name the same file"
            problems.add(Diagnostic("ACT0334", message, help="give two files"))
    return problems.found
