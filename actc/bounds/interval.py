"""Enclosures of a function on a cell: values, slopes, jumps, float32 error.

A :class:`Span` encloses what one value of a scalar function's sub-graph does while the
function's argument runs through a cell. Intervals are rounded outwards (Moore,
Interval Analysis, 1966); slopes come from automatic differentiation in interval
arithmetic, where a kink gives the hull of its sides (a slope function in the sense of
Rump, 1996), so that for all p, q in the cell::

    f(p) - f(q)  is in  slope * (p - q) + [-jump, jump]

Numpy's and scipy's functions are taken to be within 2^-44 of their value (they are within
a few units of 2^-53). `error` bounds how far the value that onnxruntime computes in
float32 is from the exact one: one rounding (2^-24, relative) per addition, product, ...,
and 2^-21, relative and absolute, per exponential, tanh, erf and the like, which its
vectorized kernels keep.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Pair = tuple[Array, Array]
Scalar = Callable[[Array], Array]

HALF_ULP = 2.0**-24
"""Relative error of a float32 operation."""
SMALLEST = 2.0**-126
"""Below it float32 loses digits, or is flushed to zero."""
_LIBRARY = 2.0**-44
_KERNEL = 2.0**-21


@dataclass(frozen=True, eq=False, slots=True)
class Span:
    """What a value does on cells; arrays of one shape, or broadcastable.

    Attributes:
        low, high: its range.
        steep: lowest and highest slope.
        jump: what it may jump by within the cell.
        error: what float32 may add to it.
    """

    low: Array
    high: Array
    steep: Pair
    jump: Array
    error: Array

    @property
    def largest(self) -> Array:
        """Largest magnitude, with the float32 error."""
        return np.maximum(np.abs(self.low), np.abs(self.high)) + self.error

    @property
    def computed(self) -> Pair:
        """Range of what float32 computes."""
        return down(self.low - self.error), up(self.high + self.error)


def down(x: Array) -> Array:
    """The next float64 below."""
    return np.asarray(np.nextafter(x, -np.inf))


def up(x: Array) -> Array:
    """The next float64 above."""
    return np.asarray(np.nextafter(x, np.inf))


def constant(values: Array) -> Span:
    """A value that does not depend on the argument."""
    x = np.asarray(values, np.float64)
    zero = np.zeros_like(x)
    return Span(x, x, (zero, zero), zero, zero)


def argument(low: Array, high: Array) -> Span:
    """The function's argument on cells [low, high]."""
    one, zero = np.ones_like(low), np.zeros_like(low)
    return Span(low, high, (one, one), zero, zero)


def times(a: Pair, b: Pair) -> Pair:
    """Product of two intervals; 0 times infinity is 0."""
    with np.errstate(invalid="ignore"):
        products = [np.asarray(x * y) for x in a for y in b]
    products = [np.where(np.isnan(x), 0.0, x) for x in products]
    return down(np.minimum.reduce(products)), up(np.maximum.reduce(products))


def plus(a: Pair, b: Pair) -> Pair:
    """Sum of two intervals."""
    with np.errstate(invalid="ignore"):
        low, high = a[0] + b[0], a[1] + b[1]
    return (
        down(np.where(np.isnan(low), -np.inf, low)),
        up(np.where(np.isnan(high), np.inf, high)),
    )


def hull(a: Pair, b: Pair) -> Pair:
    """The least interval around two."""
    return np.minimum(a[0], b[0]), np.maximum(a[1], b[1])


def magnitude(a: Pair) -> Array:
    """Largest absolute value of an interval."""
    return np.maximum(np.abs(a[0]), np.abs(a[1]))


def _finished(
    values: Pair, steep: Pair, jump: Array, carried: Array, relative: float, absolute: float = 0.0
) -> Span:
    """Add the rounding of the last operation to the error that its operands brought."""
    largest = magnitude(values)
    with np.errstate(invalid="ignore"):
        new = relative * (largest + carried) + absolute + SMALLEST
        error = np.where(carried + new >= 0, carried + new, np.inf)
    error, jump = (np.where(np.isnan(x), np.inf, x) for x in (error, jump))
    return Span(*values, steep, np.asarray(jump), np.asarray(error * (1 + _LIBRARY)))


def _reach(factor: Array, amount: Array) -> Array:
    """factor * amount, rounded up; 0 where the amount is 0."""
    with np.errstate(invalid="ignore"):
        found = factor * amount
    return up(np.where(amount == 0, 0.0, found))


def add(a: Span, b: Span) -> Span:
    """a + b."""
    values = plus((a.low, a.high), (b.low, b.high))
    carried = a.error + b.error
    return _finished(values, plus(a.steep, b.steep), up(a.jump + b.jump), carried, HALF_ULP)


def negate(a: Span) -> Span:
    """-a."""
    return Span(-a.high, -a.low, (-a.steep[1], -a.steep[0]), a.jump, a.error)


def multiply(a: Span, b: Span) -> Span:
    """a * b."""
    first, second = (a.low, a.high), (b.low, b.high)
    steep = plus(times(first, b.steep), times(second, a.steep))
    sizes = magnitude(first), magnitude(second)
    jump = _reach(sizes[0], b.jump) + _reach(sizes[1], a.jump)
    carried = _reach(a.largest, b.error) + _reach(b.largest, a.error)
    return _finished(times(first, second), steep, up(jump), carried, HALF_ULP)


def smooth(
    a: Span,
    values: Callable[[Array, Array], Pair],
    slopes: Callable[[Array, Array], Pair],
    kernel: bool = True,
) -> Span:
    """A differentiable function of a value.

    Args:
        values: (low, high) -> its range there, rounded outwards.
        slopes: the same for its derivative.
        kernel: it is computed by a library function, not by one correctly rounded operation.
    """
    with np.errstate(all="ignore"):
        range_, slope = values(a.low, a.high), slopes(*a.computed)
    range_ = _undefined(range_)
    slope = _undefined(slope)
    steep, size = times(slope, a.steep), magnitude(slope)
    carried = _reach(size, a.error)
    jump = _reach(size, a.jump)
    last = (_KERNEL, _KERNEL) if kernel else (HALF_ULP, 0.0)
    return _finished(range_, steep, jump, carried, *last)


def _undefined(pair: Pair) -> Pair:
    return (
        np.where(np.isnan(pair[0]), -np.inf, pair[0]),
        np.where(np.isnan(pair[1]), np.inf, pair[1]),
    )


def outwards(low: Array, high: Array) -> Pair:
    """Room for the error of numpy's and scipy's functions."""
    return (
        down(low - _LIBRARY * np.abs(low) - 1e-300),
        up(high + _LIBRARY * np.abs(high) + 1e-300),
    )


def rising(f: Scalar) -> Callable[[Array, Array], Pair]:
    """The range of an increasing function."""
    return lambda low, high: outwards(f(low), f(high))


def falling(f: Scalar) -> Callable[[Array, Array], Pair]:
    """The range of a decreasing function."""
    return lambda low, high: outwards(f(high), f(low))


def peaked(f: Scalar) -> Callable[[Array, Array], Pair]:
    """The range of a function that rises up to 0 and falls behind."""

    def run(low: Array, high: Array) -> Pair:
        ends = f(low), f(high)
        top = np.where((low <= 0) & (high >= 0), f(np.zeros_like(low)), np.maximum(*ends))
        return outwards(np.minimum(*ends), top)

    return run


def waves(f: Scalar, first_top: float) -> Callable[[Array, Array], Pair]:
    """The range of a sine: tops of 1 at `first_top` + 2 pi k, bottoms of -1 halfway."""

    def run(low: Array, high: Array) -> Pair:
        ends = f(low), f(high)
        bottom, top = np.minimum(*ends), np.maximum(*ends)
        # A place a little outside the cell counts as inside, for pi is rounded.
        margin = 1e-9 * (1 + np.abs(low) + np.abs(high))
        for level, place in ((1.0, first_top), (-1.0, first_top + np.pi)):
            turn = 2 * np.pi
            inside = np.floor((high + margin - place) / turn) >= np.ceil(
                (low - margin - place) / turn
            )
            top = np.where(inside & (level > 0), 1.0, top)
            bottom = np.where(inside & (level < 0), -1.0, bottom)
        return outwards(bottom, top)

    return run


def maximum(a: Span, b: Span) -> Span:
    """max(a, b): the slope of the larger one, or the hull where that is open."""
    return _extreme(a, b, a.low >= b.high, b.low >= a.high, np.maximum)


def minimum(a: Span, b: Span) -> Span:
    """min(a, b)."""
    return _extreme(a, b, a.high <= b.low, b.high <= a.low, np.minimum)


def _extreme(
    a: Span, b: Span, first: Array, second: Array, choose: Callable[[Array, Array], Array]
) -> Span:
    steep, jump = _choice(a, b, first, second)
    return Span(
        choose(a.low, b.low),
        choose(a.high, b.high),
        steep,
        jump,
        np.maximum(a.error, b.error),
    )


def _choice(a: Span, b: Span, first: Array, second: Array) -> tuple[Pair, Array]:
    both = hull(a.steep, b.steep)
    steep = tuple(
        np.where(first, x, np.where(second, y, z))
        for x, y, z in zip(a.steep, b.steep, both, strict=True)
    )
    jump = np.where(first, a.jump, np.where(second, b.jump, np.maximum(a.jump, b.jump)))
    return (steep[0], steep[1]), jump


def below(a: Span, b: Span, strict: bool) -> Span:
    """a < b (or a <= b) as 0 or 1."""
    (a_low, a_high), (b_low, b_high) = a.computed, b.computed
    always = a_high < b_low if strict else a_high <= b_low
    never = a_low >= b_high if strict else a_low > b_high
    return _truth(always, never)


def equal(a: Span, b: Span) -> Span:
    """a == b as 0 or 1."""
    (a_low, a_high), (b_low, b_high) = a.computed, b.computed
    point = (a_low == a_high) & (b_low == b_high) & (a_low == b_low)
    exact = (a.low == a.high) & (b.low == b.high) & (a.low == b.low) & (a.error + b.error == 0)
    return _truth(point | exact, (a_high < b_low) | (a_low > b_high))


def _truth(always: Array, never: Array) -> Span:
    low, high = np.where(always, 1.0, 0.0), np.where(never, 0.0, 1.0)
    zero = np.zeros_like(low)
    return Span(low, high, (zero, zero), high - low, high - low)


def select(condition: Span, a: Span, b: Span) -> Span:
    """Where(condition, a, b)."""
    first, second = condition.low >= 1, condition.high <= 0
    open_ = ~(first | second)
    steep, jump = _choice(a, b, first, second)
    apart = up(np.maximum(np.abs(a.high - b.low), np.abs(b.high - a.low)))
    apart = np.where(open_, apart, 0.0)
    low, high = (
        np.where(first, x, np.where(second, y, choose(x, y)))
        for x, y, choose in ((a.low, b.low, np.minimum), (a.high, b.high, np.maximum))
    )
    error = np.where(first, a.error, np.where(second, b.error, np.maximum(a.error, b.error)))
    return Span(low, high, steep, up(jump + apart), up(error + apart))


def stairs(a: Span, f: Scalar) -> Span:
    """An increasing function made of steps (floor, sign, ...)."""
    low, high = f(a.low), f(a.high)
    ends = a.computed
    jump = f(ends[1]) - f(ends[0])
    zero = np.zeros_like(low)
    return Span(low, high, (zero, zero), jump, jump)
