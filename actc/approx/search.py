"""Least error for a number of segments: a root search over greedy passes.

A greedy pass at error eps makes all segments but the last as long as eps allows and
gives the last one the rest. The last one's error falls as eps rises, and where it
equals eps lies the optimum: a secant in logarithms finds it in a few passes.
Whatever the pass, the errors of its windows bound the optimum from both sides, and
as the samples are finitely many the bounds usually meet.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from actc.approx.strip import Samples

Result = TypeVar("Result")

_MAX_PASSES = 100


@dataclass(frozen=True)
class Pass(Generic[Result]):
    """Outcome of one greedy pass.

    Attributes:
        result: what the pass found; handed on as a hint to the next pass.
        lower: no approximation of as many segments has a smaller error.
        upper: error that `result` attains; infinite if it is no approximation.
        last: error of the last segment.
    """

    result: Result
    lower: float
    upper: float
    last: float


@dataclass(frozen=True)
class LeastError(Generic[Result]):
    """The pass that attains the least error, and the one that proves the bound."""

    attained: Pass[Result]
    bound: Pass[Result]


def least_error(
    run: Callable[[float, Result | None], Pass[Result]],
    first: float,
    tolerance: float,
    noise: float,
    floor: float = 0.0,
) -> LeastError[Result]:
    """Find the least error, up to `tolerance` (relative) or `noise` (absolute).

    Args:
        run: greedy pass at an error, given the previous pass's result as a hint.
        first: error at which to start.
        floor: a known lower bound.

    Returns:
        the best passes found; both bounds hold even if the tolerance was not met.
    """
    current = run(noise, None)
    attained = bound = current
    hint: Result | None = None
    error = max(first, bound.lower, 2 * noise)
    bracket = Interval(floor, math.inf)
    previous: tuple[float, float] | None = None
    for step in range(_MAX_PASSES):
        lower = max(bound.lower, floor)
        if attained.upper <= lower * (1 + tolerance) + 2 * noise:
            break
        current = run(error, hint)
        hint = current.result
        attained = min(attained, current, key=lambda found: found.upper)
        bound = max(bound, current, key=lambda found: found.lower)
        point = (math.log(error), math.log(max(current.last, noise) / error))
        bracket = bracket.cut(error, current.last > error)
        inside = bracket.meet(max(bound.lower, floor), attained.upper)
        error = _next_error(point, previous, inside, step)
        if not inside.low < error < inside.high:
            break  # no float64 is left between the bounds
        previous = point
    return LeastError(attained, bound)


@dataclass(frozen=True)
class Interval:
    """Where the optimum lies."""

    low: float
    high: float

    def cut(self, error: float, above: bool) -> Interval:
        """The part above or below `error`."""
        return self.meet(error, math.inf) if above else self.meet(0.0, error)

    def meet(self, low: float, high: float) -> Interval:
        """The part between `low` and `high`."""
        return Interval(max(self.low, low), min(self.high, high))


def _next_error(
    point: tuple[float, float], previous: tuple[float, float] | None, inside: Interval, step: int
) -> float:
    """Secant through the last two points; bisection when it leaves the interval."""
    slope = -3.0
    if previous is not None and previous[0] != point[0]:
        slope = min((point[1] - previous[1]) / (point[0] - previous[0]), -0.5)
    target = math.exp(min(max(point[0] - point[1] / slope, -700.0), 700.0))
    if math.isinf(inside.high):
        return max(target, inside.low * 1.0001)
    if step % 5 == 4 or not inside.low < target < inside.high:
        return math.sqrt(inside.low * inside.high) if inside.low > 0 else inside.high / 4
    return target


def initial_error(samples: Samples, segments: int) -> float:
    """Asymptotic optimum ``(integral of sqrt|f''|)**2 / (16 N**2)`` from the samples."""
    core = samples.y[samples.core]
    stride = max(len(core) // 4096, 1)
    bend = np.abs(np.diff(core[::stride], 2))
    return float(np.sqrt(bend).sum() ** 2) / (16 * segments**2)
