"""Scalar functions: on a float tensor, and on codes beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from actc.bounds.affine import SLACK, Form, Space, limited, loosened, scaled, total, widen
from actc.bounds.curve import Curve, Extremes, Function
from actc.bounds.interval import down, up

Array = np.ndarray[Any, Any]


def applied(space: Space, x: Form, function: Function, channel: Array) -> Form:
    """The float32 result of a function: a line through it and a fresh symbol for the rest.

    Args:
        channel: [n], which of the functions each number goes through.

    Raises:
        NotEnclosed: the function is not bounded on the range of `x`.
    """
    low, high = x.range()
    curve = Curve.of(function, float(low.min()), float(high.max()))
    slope = curve.chord(channel, low, high)
    bottom, top = curve.residual(channel, low, high, slope)
    error = curve.error(channel, low, high)
    center = bottom / 2 + top / 2
    radius = (np.maximum(top - center, center - bottom) + error) * (1 + SLACK)
    form = widen(space, scaled(scaled(x, slope), 1.0, center), radius)
    values = curve.range(channel, low, high)
    return limited(form, down(values[0] - error), up(values[1] + error))


@dataclass(frozen=True, eq=False, slots=True)
class Codes:
    """The integers that stand for a function's argument.

    Attributes:
        form: the integers before saturation, in units of codes.
        scale, zero: real = scale * (code - zero).
        low, high: where they saturate.
    """

    form: Form
    scale: float
    zero: float
    low: int
    high: int

    def real(self) -> Form:
        """Real values before saturation."""
        return scaled(self.form, self.scale, -self.scale * self.zero)

    def values(self) -> Array:
        """Real value of each code low..high."""
        return self.scale * (np.arange(self.low, self.high + 1) - self.zero)

    def reachable(self) -> tuple[Array, Array]:
        """First and last code of each number, counted from `low`."""
        low, high = self.form.range()
        first = np.clip(np.ceil(low), self.low, self.high).astype(int) - self.low
        last = np.clip(np.floor(high), self.low, self.high).astype(int) - self.low
        return first, np.maximum(first, last)


@dataclass(frozen=True, eq=False, slots=True)
class Difference:
    """How far a function of codes is from the function of the float tensor.

    Attributes:
        form: golden minus float, in real numbers.
        rate: [n], by what an incoming difference is multiplied at most.
        rounding: [n], largest error of the table's entries.
        saturation: [n], largest effect of the codes' ends.
        values: [n], least and largest value that golden's result may have.
    """

    form: Form
    rate: Array
    rounding: Array
    saturation: Array
    values: tuple[Array, Array]


def difference(
    x: Form, y: Form, codes: Codes, function: Function, channel: Array, table: Array
) -> Difference:
    """table[codes] - function(x), golden against float.

    With t the codes in real numbers before saturation, clamped to c(t) in [a, b]::

        table[c(t)] - f(x) = (table[c(t)] - f(c(t))) + (f(c(t)) - f(x))

    The first is enumerated over the codes that can come. The second is split in two ways,
    f(c(t)) - f(c(x)) + f(c(x)) - f(x) and f(c(t)) - f(t) + f(t) - f(x), or f(c(t)) is
    enclosed without a look at x; for each number the narrowest counts. Differences of one
    function are its slope over the range times t - x, relaxed to a line, as NeuroDiff
    (Paulsen et al., ASE 2020) relaxes those of ReLU; what the clamp loses is a function of
    x or of t, enclosed by a line as any other.

    Args:
        x: the float tensor.
        y: function(x), as float32 gives it.
        codes: what stands for it in golden.
        function: the exact function.
        channel: [n], which of the functions each number goes through.
        table: real value that each code low..high gives, [channels, high - low + 1].

    Raises:
        NotEnclosed: the function is not bounded on the range.
    """
    real = codes.real()
    delta = total(real, x, -1.0)
    pair = _Pair(x, real, delta, codes, function, channel)
    errors = _table_errors(codes, pair.curve, table, channel)
    options = [pair.clamped_first(), pair.clamped_last()]
    forms = [_assembled(option, delta, errors) for option in options]
    error = pair.curve.error(channel, *x.range())
    forms = [loosened(form, error) for form in forms]
    forms.append(total(_assembled(pair.alone(), delta, errors), y, -1.0))
    reach = np.stack([form.radius() for form in forms])
    best = np.argmin(np.where(np.isfinite(reach), reach, np.inf), axis=0)
    form = _picked(forms, best)
    rate = np.minimum(pair.steepest(), 2.0**40)
    rounding = np.maximum(np.abs(errors[0]), np.abs(errors[1]))
    reached = codes.reachable()
    values = (
        -Extremes(-table).largest(channel, *reached),
        Extremes(table).largest(channel, *reached),
    )
    return Difference(form, rate, rounding, pair.saturation(), values)


def _picked(forms: list[Form], best: Array) -> Form:
    """Each number from the form that `best` says."""
    width = max(form.generators.shape[1] for form in forms)
    center, rest = (
        np.choose(best, [getattr(form, part) for form in forms]) for part in ("center", "rest")
    )
    generators = np.zeros((len(best), width))
    for index, form in enumerate(forms):
        rows = best == index
        generators[rows, : form.generators.shape[1]] = form.generators[rows]
    return Form(center, generators, rest)


@dataclass(frozen=True, eq=False, slots=True)
class _Option:
    """slope * delta + rate * source + [bottom - slack, top + slack]."""

    slope: Array
    slack: Array
    source: Form
    rate: Array
    bottom: Array
    top: Array


def _assembled(option: _Option, delta: Form, errors: tuple[Array, Array]) -> Form:
    low, high = option.bottom + errors[0], option.top + errors[1]
    with np.errstate(invalid="ignore"):
        center = low / 2 + high / 2
        radius = np.maximum(high - center, center - low) + option.slack
        radius = (radius + SLACK * (np.abs(low) + np.abs(high))) * (1 + SLACK)
    good = np.isfinite(radius)
    form = total(
        scaled(delta, option.slope, np.where(good, center, 0.0)),
        scaled(option.source, option.rate),
    )
    return loosened(form, np.where(good, radius, np.inf))


def _table_errors(codes: Codes, curve: Curve, table: Array, channel: Array) -> tuple[Array, Array]:
    """Range of table[q] - f(q) over the codes q that can come."""
    low, high = curve.at(codes.values())
    first, last = codes.reachable()
    above = Extremes(np.nextafter(table - low, np.inf)).largest(channel, first, last)
    below = -Extremes(np.nextafter(high - table, np.inf)).largest(channel, first, last)
    return below, above


class _Pair:
    """A float tensor x and what stands for it before saturation, t = x + delta."""

    def __init__(
        self,
        x: Form,
        real: Form,
        delta: Form,
        codes: Codes,
        function: Function,
        channel: Array,
    ) -> None:
        self._channel = channel
        self._x, self._t = x.range(), real.range()
        self._forms = x, real
        self._delta = np.abs(delta.center) + delta.radius()
        ends = codes.values()
        self._ends = float(ends[0]), float(ends[-1])
        low = min(self._x[0].min(), self._t[0].min(), self._ends[0])
        high = max(self._x[1].max(), self._t[1].max(), self._ends[1])
        self.curve = Curve.of(function, float(low), float(high), self._ends)
        self._lost = self.curve.lost(*self._ends)
        self._both = np.minimum(self._x[0], self._t[0]), np.maximum(self._x[1], self._t[1])

    def _clamped(self) -> tuple[Array, Array]:
        low, high = (np.clip(end, *self._ends) for end in self._both)
        return low, high

    def _leaves(self) -> Array:
        return np.asarray((self._both[0] < self._ends[0]) | (self._both[1] > self._ends[1]))

    def steepest(self) -> Array:
        """Largest magnitude of the slope of f after the clamp."""
        low, high, _ = self.curve.slopes(self._channel, *self._clamped())
        return np.maximum(np.abs(low), np.abs(high))

    def _relaxed(self, low: Array, high: Array, jumps: Array) -> tuple[Array, Array]:
        """A line for slope * delta and how far it is off."""
        with np.errstate(invalid="ignore"):
            middle = low / 2 + high / 2
            half = np.maximum(high - middle, middle - low)
            slack = np.where(self._delta > 0, half * self._delta, 0.0) + jumps
        good = np.isfinite(slack)
        return np.where(good, middle, 0.0), np.where(good, slack, np.inf)

    def clamped_first(self) -> _Option:
        """(f(c(t)) - f(c(x))) + (f(c(x)) - f(x))."""
        low, high, jumps = self.curve.slopes(self._channel, *self._clamped())
        out = self._leaves()
        low, high = np.where(out, np.minimum(low, 0), low), np.where(out, np.maximum(high, 0), high)
        return self._option(low, high, jumps, self._forms[0], self._x)

    def clamped_last(self) -> _Option:
        """(f(t) - f(x)) + (f(c(t)) - f(t))."""
        slopes = self.curve.slopes(self._channel, *self._both)
        return self._option(*slopes, self._forms[1], self._t)

    def _option(
        self, low: Array, high: Array, jumps: Array, source: Form, ends: tuple[Array, Array]
    ) -> _Option:
        slope, slack = self._relaxed(low, high, jumps)
        rate = self._lost.chord(self._channel, *ends)
        bottom, top = self._lost.residual(self._channel, *ends, rate)
        return _Option(slope, slack, source, rate, bottom, top)

    def saturation(self) -> Array:
        """Largest effect of the ends on the float tensor."""
        bottom, top = self._lost.range(self._channel, *self._x)
        return np.maximum(np.abs(bottom), np.abs(top))

    def alone(self) -> _Option:
        """f(c(t))."""
        curve, zero = self.curve.clamped(*self._ends), np.zeros_like(self._delta)
        rate = curve.chord(self._channel, *self._t)
        bottom, top = curve.residual(self._channel, *self._t, rate)
        return _Option(zero, zero, self._forms[1], rate, bottom, top)
