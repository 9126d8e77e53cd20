"""The stages of softmax: exp of a difference, and the reciprocal or log of a sum.

The exponential takes an integer t >= 0 that stands for exp(-c t) and gives N, an integer
with m fraction bits:

    e = (t K) >> .. , K = round(c log2(e) 2^g)     exponent of 2, w fraction bits
    N = piece(e mod 2^w) >> (e div 2^w)            2^-f on one octave, then a shift

(Stevens, Venkatesan, Dai, Khailany and Raghunathan, "Softermax", DAC 2021, replace e by
2; here the base is folded into the integer K instead, so that nothing is retrained.)

Its error. Let p = exp(-c t) = 2^-T with T = t c log2(e), k the relative error of K, d =
2^-(w+1) the rounding of e (none if no bit is dropped), r the relative error of the
piece over its inputs, and T0 = m + 2. For T <= T0, |e - T| <= T0 k + d, hence before
the last shift the value is p (1 + z) with |z| <= a = (1 + r) 2^(T0 k + d) - 1, and the
shift rounds by b = 2^-(m+1). For T > T0, the value is at most (1 + r) 2^-(T - T k - d),
which is below b if T0 k + d + log2(1 + r) < 1; then N is 0 and |N - p| = p < b. So

    |N 2^-m - p| <= a p + b     for every t, without a limit on t.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from actc.approx.fixed_point import Codes
from actc.approx.gates import FixedFit
from actc.approx.structured.decomposition import leading_one, shift_right
from actc.approx.structured.pieces import (
    MAX_PIECE_BITS,
    MAX_PIECE_FRACTION,
    constant_error,
    exp2_piece,
    guard_for,
    log_piece,
    reciprocal_piece,
    table_size,
)

LOG2_E = math.log2(math.e)

MAX_PRODUCT_BITS = 60
"""Of the product of a power and the reciprocal, rounding included."""


class Envelope(NamedTuple):
    """``|N 2^-m - p| <= (exponent + exp2) p + shift``; see the module's docstring.

    `exp2` holds the product of both relative errors too. Infinite if there is no bound.
    """

    exponent: float
    exp2: float
    shift: float

    @property
    def relative(self) -> float:
        """a: both relative parts."""
        return self.exponent + self.exp2


@dataclass(frozen=True)
class Exponential:
    """Widths of the exponential stage.

    Attributes:
        rate: c log2(e) > 0, exponents of 2 per unit of t.
        guard: g, fraction bits of the constant K.
        index: w, fraction bits of the exponent, 1..16; at most g.
        fraction: m, fraction bits of the result, 1..30.
    """

    rate: float
    guard: int
    index: int
    fraction: int

    @classmethod
    def of(cls, rate: float, index: int, fraction: int) -> Exponential:
        """With the narrowest constant whose error is an eighth of that of e, at most."""
        wanted = 2.0 ** -(index + 4) / (fraction + 2)
        return cls(rate, guard_for(rate, wanted, index), index, fraction)

    @property
    def constant(self) -> int:
        """K."""
        return round(math.ldexp(self.rate, self.guard))

    def largest(self, steps: int) -> int:
        """Bound of the integers needed for t <= `steps`."""
        return steps * self.constant + (1 << self.guard)

    def envelope(self, piece_error: float) -> Envelope:
        """The error for a piece with this relative error."""
        most = self.fraction + 2
        dropped = 2.0 ** -(self.index + 1) if self.guard > self.index else 0.0
        drift = most * constant_error(self.rate, self.guard) + dropped
        shift = 2.0 ** -(self.fraction + 1)
        if drift + math.log2(1 + piece_error) >= 1:
            return Envelope(math.inf, math.inf, shift)
        exponent = math.expm1(drift * math.log(2))
        return Envelope(exponent, piece_error * (1 + exponent), shift)

    def evaluate(self, t: Codes, fit: FixedFit[Any]) -> Codes:
        """N of t >= 0; int64."""
        exponent = shift_right(t * np.int64(self.constant), self.guard - self.index)
        mantissa = fit.form.evaluate(exponent & ((1 << self.index) - 1))
        # beyond m + 2 places everything is shifted out
        return shift_right(mantissa, np.minimum(exponent >> self.index, self.fraction + 2))


class Inverse(NamedTuple):
    """Widths of the reciprocal or logarithm of a sum: address bits r, fraction bits q."""

    address: int
    fraction: int

    def split(self, total: Codes) -> tuple[Codes, Codes]:
        """Position L of the leading one of a sum >= 2^r, and the r bits after it."""
        place = leading_one(total)
        return place, (total >> (place - self.address)) - (1 << self.address)


class Choice(NamedTuple):
    """A candidate stage: its cost, its errors, its widths."""

    cost: float
    error: float
    address: int
    fraction: int


@lru_cache(maxsize=8)
def exponentials(rate: float) -> tuple[tuple[Exponential, Envelope], ...]:
    """All candidate exponential stages, with the error of any fit within their gates."""
    found = []
    for fraction in range(2, MAX_PIECE_FRACTION + 1):
        for index in range(2, min(fraction, MAX_PIECE_BITS) + 1):
            stage = Exponential.of(rate, index, fraction)
            found.append((stage, stage.envelope(exp2_piece(index, fraction).worst)))
    return tuple(found)


@lru_cache(maxsize=2)
def inverses(logarithm: bool) -> tuple[Choice, ...]:
    """All candidate reciprocals, or logarithms, with the error of any fit in their gates."""
    make = log_piece if logarithm else reciprocal_piece
    return tuple(
        Choice(table_size(index, fraction), make(index, fraction).worst, index, fraction)
        for fraction in range(2, MAX_PIECE_FRACTION + 1)
        for index in range(2, min(fraction, MAX_PIECE_BITS) + 1)
    )


def cheapest(
    first: Iterable[tuple[Exponential, Choice]],
    second: Iterable[Choice],
    budget: float,
    limit: int,
) -> tuple[Exponential, Inverse] | float:
    """The pair of least cost whose errors sum to the budget at most.

    The cost of a pair is that of the two tables and of an array multiplier of both
    results, in cells; a bit of a table counts as a sixteenth (a LUT4 holds 16).

    Args:
        first, second: candidates.
        limit: most fraction bits of both results together.

    Returns:
        the pair, or, if there is none, the least sum of errors.
    """
    best: tuple[float, Exponential, Inverse] | None = None
    least = math.inf
    others = tuple(second)
    for stage, one in first:
        for other in others:
            if other.address > stage.fraction or one.fraction + other.fraction > limit:
                continue
            least = min(least, one.error + other.error)
            if not one.error + other.error <= budget:
                continue
            product = (one.fraction + 1) * (other.fraction + 1)
            cost = one.cost + other.cost / 16 + product
            if best is None or cost < best[0]:
                best = cost, stage, Inverse(other.address, other.fraction)
    return least if best is None else best[1:]


def stage_cost(stage: Exponential) -> float:
    """Cells of table, constant multiplier (half its digits are zero) and shifter."""
    table = table_size(stage.index, stage.fraction + 1) / 16
    multiplier = stage.constant.bit_length() * (stage.index + 8) / 4
    return table + multiplier + stage.fraction * math.log2(stage.fraction + 2)


def inside(budget: float) -> float:
    """A little less, so that rounding terms up does not leave the budget."""
    return budget - 2.0**-40 * abs(budget) - 2.0**-44
