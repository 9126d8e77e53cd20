"""Quantizing real numbers exactly, and the sums at which a code changes.

A quantizer gives ``clamp(round(real / scale), low, high)``, ties to even. Here `real` is
the exact value, not what float32 arithmetic makes of it; see
docs/decisions/0008-quantized-models.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from actc.numerics.quantization import QuantizationParameters

Array = np.ndarray[Any, Any]

MOST_STEPS = 255
_NEAR = 2.0**-36
"""Relative distance from a tie within which float64 is not trusted."""


@dataclass(frozen=True, eq=False, slots=True)
class Staircase:
    """Codes as a function of an integer, per channel.

    Attributes:
        points: int64 [C, n], increasing: where the next code begins. A point beyond
            every sum stands for a step that is never taken.
        codes: int64 [C, n + 1]: the codes between them.
    """

    points: Array
    codes: Array

    def __call__(self, sums: Array) -> Array:
        """Codes of integers [n]: int64 [n, C]."""
        rows = [
            codes[np.searchsorted(points, sums, side="right")]
            for points, codes in zip(self.points, self.codes, strict=True)
        ]
        return np.stack(rows, axis=1)


@dataclass(frozen=True, eq=False, slots=True)
class Affine:
    """real = factor * sum + offset, per channel.

    Attributes:
        factor, offset: float64 [C]; their values are taken as exact.
    """

    factor: Array
    offset: Array

    def __call__(self, sums: Array) -> Array:
        """In float64; sums are [..., C]."""
        return np.asarray(sums * self.factor + self.offset)


def quantize(real: Array, p: QuantizationParameters) -> Array:
    """Codes of real numbers, ties to even; int64 of the same shape."""
    with np.errstate(over="ignore", invalid="ignore"):
        steps = np.rint(np.clip(real / p.scale, -(2.0**31), 2.0**31))
    steps = np.where(np.isnan(steps), p.low - p.zero_point, steps)
    return np.clip(steps.astype(np.int64) + p.zero_point, p.low, p.high)


def staircase(
    real: Callable[[Array], Array], channels: int, bound: int, p: QuantizationParameters
) -> Staircase:
    """The codes of a function that is monotone in each channel, found by bisection.

    Args:
        real: of sums [n, C], float64 of the same shape; an `Affine` is decided exactly.
        channels: C.
        bound: sums lie within -bound .. bound.
        p: format of the result, with at most 256 codes from `low` to `high`.
    """
    ends = np.broadcast_to(np.array([[-bound], [bound]], np.float64), (2, channels))
    first, last = quantize(real(ends), p)
    falling = first > last
    levels = np.arange(p.low, p.high + 1)
    codes = np.where(falling[:, None], levels[::-1], levels)
    # Behind point i the code is at least codes[i + 1] (at most, where it falls).
    wanted, sign = codes[:, 1:], np.where(falling, -1, 1)[:, None]
    below = np.full(wanted.shape, -bound - 1, np.int64)
    reached = np.full(wanted.shape, bound + 1, np.int64)
    while np.any(reached - below > 1):
        middle = (below + reached) // 2
        found = quantize(real(middle.T.astype(np.float64)), p).T
        passed = (found - wanted) * sign >= 0
        open_ = reached - below > 1
        reached = np.where(open_ & passed, middle, reached)
        below = np.where(open_ & ~passed, middle, below)
    if isinstance(real, Affine):
        _decide_exactly(reached, wanted, falling, real, bound, p)
    return Staircase(reached, codes)


def _decide_exactly(
    points: Array,
    wanted: Array,
    falling: Array,
    real: Affine,
    bound: int,
    p: QuantizationParameters,
) -> None:
    """Move the points that float64 may have missed by one, in place."""
    # Between the codes m - 1 and m lies m - 1/2 steps; m + 1/2 where the codes fall.
    half = np.where(falling[:, None], 0.5, -0.5)
    ties = (wanted - p.zero_point + half) * p.scale
    for step in (-1, 0):
        value = real((points + step).T.astype(np.float64)).T
        size = np.abs(value) + np.abs(real.offset)[:, None] + p.scale
        for channel, index in np.argwhere(np.abs(value - ties) <= _NEAR * size):
            points[channel, index] = _exact_point(
                real, int(channel), int(wanted[channel, index]), bool(falling[channel]), bound, p
            )


def _exact_point(
    real: Affine, channel: int, code: int, falling: bool, bound: int, p: QuantizationParameters
) -> int:
    """The first sum with at least `code` (at most, where codes fall), in exact arithmetic."""
    factor, offset = (Fraction(float(a[channel])) for a in (real.factor, real.offset))
    steps = code - p.zero_point
    tie = (steps + (Fraction(1, 2) if falling else -Fraction(1, 2))) * Fraction(p.scale)
    if factor == 0:
        return -bound if _reaches(offset, tie, steps, falling) else bound + 1
    place = (tie - offset) / factor
    point = -((-place.numerator) // place.denominator)
    if place.denominator == 1 and steps % 2:  # at the tie itself the even neighbour wins
        point += 1
    return min(max(point, -bound), bound + 1)


def _reaches(value: Fraction, tie: Fraction, steps: int, falling: bool) -> bool:
    if value == tie:
        return steps % 2 == 0
    return value < tie if falling else value > tie


def enumerated(sums: Array, codes: Array) -> Staircase | None:
    """The steps of one function known at every sum that occurs.

    Args:
        sums: int64 [n], in any order.
        codes: int64 [n].

    Returns:
        None when equal sums have different codes, or there are more than 255 steps.
    """
    order = np.argsort(sums, kind="stable")
    sums, codes = sums[order], codes[order]
    changed = np.flatnonzero(np.diff(codes))
    if len(changed) > MOST_STEPS or np.any(sums[changed] == sums[changed + 1]):
        return None
    return Staircase(sums[changed + 1][None], codes[np.r_[0, changed + 1]][None])


def padded(stairs: Staircase) -> Staircase:
    """The same codes from exactly 255 points, the last of which repeats."""
    points, codes = stairs.points, stairs.codes
    if points.shape[1] == 0:
        points, codes = np.zeros((len(points), 1), np.int64), np.repeat(codes, 2, axis=1)
    missing = MOST_STEPS - points.shape[1]
    return Staircase(
        np.concatenate([points, np.repeat(points[:, -1:], missing, axis=1)], axis=1),
        np.concatenate([codes, np.repeat(codes[:, -1:], missing, axis=1)], axis=1),
    )
