"""Sums of two codes whose only reader rounds them: smaller factors that round the same.

Golden adds tensors of different scales with factors of many bits, and a Requantize
follows. Of two narrow codes all pairs can be listed: the sum may be replaced by
``p * a + q * b`` with any small p and q under which pairs that give different codes have
different sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.functions import Requantization, StepFunction
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.network.estimate import signed_digits

Integers = npt.NDArray[np.int64]

_MOST_PAIRS = 1 << 14
_LARGEST = 128
"""Largest factor tried."""
_CANDIDATES = 6
"""Solutions of which the cheapest is taken."""


@dataclass(frozen=True, eq=False, slots=True)
class Joint:
    """``function(factors[0] * a + factors[1] * b)``."""

    factors: tuple[int, int]
    function: StepFunction


@lru_cache(maxsize=256)
def smaller_sum(
    first: Range, second: Range, factors: tuple[int, ...], bias: int, outer: Requantization
) -> Joint | None:
    """Smaller factors and the function behind them, None where there are none.

    Args:
        first, second: ranges of the two codes.
        factors: of each in golden's sum.
        bias: of golden's sum.
        outer: what is computed of golden's sum.
    """
    counts = [range.high - range.low + 1 for range in (first, second)]
    if counts[0] * counts[1] > _MOST_PAIRS or 0 in factors:
        return None
    a, b = (np.arange(range.low, range.high + 1) for range in (first, second))
    sums = factors[0] * a[:, None] + factors[1] * b[None, :] + bias
    wanted = outer(Range(int(sums.min()), int(sums.max()))).evaluate(sums)
    found: list[tuple[float, Joint]] = []
    for p, q in _pairs(factors):
        joint = _joint(p * a[:, None] + q * b[None, :], wanted, (p, q))
        if joint is not None:
            found.append((_cost(joint), joint))
        if len(found) == _CANDIDATES:
            break
    return min(found, key=lambda item: item[0])[1] if found else None


def _pairs(factors: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Small factors of about the same ratio, the smallest first; the larger one is given."""
    larger = 0 if abs(factors[0]) >= abs(factors[1]) else 1
    ratio = abs(factors[1 - larger]) / abs(factors[larger])
    signs = [1 if factor > 0 else -1 for factor in factors]
    for size in range(1, _LARGEST + 1):
        near = round(size * ratio)
        for other in sorted({max(near - 1, 0), near, near + 1}):
            pair = (size, other) if larger == 0 else (other, size)
            yield signs[0] * pair[0], signs[1] * pair[1]


def _joint(sums: Integers, wanted: Integers, factors: tuple[int, int]) -> Joint | None:
    """The function of such sums, None where equal ones want different values."""
    low, flat, values = int(sums.min()), sums.reshape(-1), wanted.reshape(-1)
    order = np.argsort(flat, kind="stable")
    flat, values = flat[order], values[order]
    equal = flat[1:] == flat[:-1]
    if np.any(values[1:][equal] != values[:-1][equal]):
        return None
    # sums that no pair gives take the value of the next lower one
    starts, first = np.unique(flat, return_index=True)
    range = Range(low, int(flat[-1]))
    return Joint(factors, StepFunction.from_runs(range, starts, values[first]))


def _cost(joint: Joint) -> float:
    """Adders, and comparisons of the sum: a measure to choose by."""
    width = joint.function.range.width
    digits = signed_digits(np.array(joint.factors)).sum()
    return float(max(digits - 1, 0) * width + len(joint.function.levels) * width / 2)
