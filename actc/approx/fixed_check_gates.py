"""Independent gates: which output codes an objective admits, from values of the function.

Part of the checker of :mod:`actc.approx.fixed_checker`: it shares no code with the
fitters. All is in units of the last place of the output. A value counts as known up to
a slack of 2**-44 of the largest magnitude that occurs. Sums in float64 are off by less
than 2**-51 of that, and rounding is monotone, so that what is the same at both ends of a
value's slack is decided exactly. Where they differ the value is close to a boundary,
and the certificate may say on which side it lies: that is checked exactly again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from actc.approx.check_numbers import Malformed, amount
from actc.approx.fixed_check_form import Format, Integers, integers

Array = npt.NDArray[np.float64]
Bounds = tuple[Integers, Integers]

_SLACK = 2.0**-44
_EVERYWHERE = Fraction(2**80)
_OBJECTIVES = ("correctly_rounded", "rounded_down", "faithful")


@dataclass(frozen=True)
class Objective:
    """What outputs keep to: a name, or an absolute error of `ulps` units."""

    name: str
    ulps: float = 0.0

    @classmethod
    def read(cls, text: object, output: Format) -> Objective:
        """Read a name or a hexadecimal float (real, not in units).

        Raises:
            Malformed: it is neither.
        """
        if isinstance(text, str) and text in _OBJECTIVES:
            return cls(text)
        error = amount(text, "the objective") * Fraction(2) ** output.fraction
        everything = Fraction(2**output.bits)  # so many units admit every code
        return cls("within", float(min(error, everything)))


@dataclass(frozen=True)
class Target:
    """The saturated function in units of the last place.

    Attributes:
        values: float64, exact, one for each input.
        slack: how far the values may be off.
        low, high: first and last output code.
    """

    values: Array
    slack: float
    low: int
    high: int

    @classmethod
    def of(cls, values: Array, output: Format, objective: Objective) -> Target:
        """From real values (float64, may be infinite, not NaN)."""
        with np.errstate(over="ignore"):
            clipped = np.clip(np.ldexp(values, output.fraction), output.low, output.high)
        largest = max(1.0, float(np.abs(clipped).max()), objective.ulps)
        return cls(clipped, _SLACK * largest, output.low, output.high)

    def around(self) -> tuple[Array, Array]:
        """The least and the largest values that count as known."""
        below, above = self.values - self.slack, self.values + self.slack
        return np.clip(below, self.low, self.high), np.clip(above, self.low, self.high)

    def errors(self, outputs: Integers) -> Array:
        """Distance of each output; one rounding each, so that the largest is nearly exact."""
        return np.abs(outputs - self.values)

    def floor(self) -> float:
        """Largest distance of a value from its nearest code."""
        return float(np.abs(self.values - np.round(self.values)).max())

    def nearer_than(self, ulps: float) -> Bounds:
        """First and last codes less than `ulps` away, up to the slack; may be empty."""
        reach = ulps - self.slack
        low = np.maximum(np.floor(self.values - reach) + 1, self.low)
        high = np.minimum(np.ceil(self.values + reach) - 1, self.high)
        return low.astype(np.int64), high.astype(np.int64)


def gates(objective: Objective, target: Target) -> Bounds:
    """First and last admissible codes; close values count as lying on the boundary."""
    low, high = _TOLD[objective.name](objective, target, *target.around())
    return low.astype(np.int64), high.astype(np.int64)


def _nearest(objective: Objective, target: Target, below: Array, above: Array) -> tuple[Array, ...]:
    one, other = np.round(below), np.round(above)
    even = np.where(one % 2 == 0, one, other)
    return even, even


def _down(objective: Objective, target: Target, below: Array, above: Array) -> tuple[Array, ...]:
    return np.floor(above), np.floor(above)


def _faithful(
    objective: Objective, target: Target, below: Array, above: Array
) -> tuple[Array, ...]:
    code = np.floor(above)
    on_code = code >= below
    return code, np.where(on_code, code, code + 1)


def _within(objective: Objective, target: Target, below: Array, above: Array) -> tuple[Array, ...]:
    low, high = np.ceil(below - objective.ulps), np.floor(above + objective.ulps)
    return np.maximum(low, target.low), np.minimum(high, target.high)


_TOLD: dict[str, Callable[[Objective, Target, Array, Array], tuple[Array, ...]]] = {
    "correctly_rounded": _nearest,
    "rounded_down": _down,
    "faithful": _faithful,
    "within": _within,
}


# --- what the certificate says about close values


def read_close(told: object, input: Format) -> list[list[int]]:
    """Runs [first input, last input, low, high] of a certificate.

    Raises:
        Malformed: they are none, overlap or are not in order.
    """
    if not isinstance(told, list) or len(told) > 2**input.bits:
        raise Malformed("close is not a list of runs of inputs")
    runs, done = [], input.low
    for item in told:
        run = integers(item, "a run of close", 4, -(2**33), 2**33).tolist()
        if not done <= run[0] <= run[1] <= input.high:
            raise Malformed("the runs of close inputs overlap or leave the input format")
        done = run[1] + 1
        runs.append(run)
    return runs


def decide(close: list[list[int]], objective: Objective, target: Target, input: Format) -> Bounds:
    """:func:`gates`, with the certificate's word where values are close to a boundary.

    Args:
        close: from :func:`read_close`.

    Raises:
        Malformed: a gate is not that of a value within the slack.
    """
    low, high = gates(objective, target)
    for first, last, least, most in close:
        part = slice(first - input.low, last + 1 - input.low)
        values = target.values[part]
        for value in {float(values.min()), float(values.max())}:
            if not _possible(objective, target, value, least, most):
                raise Malformed(f"the gates of the close inputs {first}..{last} are not near")
        low[part], high[part] = least, most
    return low, high


def _possible(objective: Objective, target: Target, value: float, low: int, high: int) -> bool:
    """Whether low..high is the gate of a number within the slack of `value`, exactly.

    The numbers with one gate are an interval, so that for a run of inputs the least
    and the largest value decide.
    """
    least, above, most, below = _gated(objective, target, low, high)
    known, slack = Fraction(value), Fraction(target.slack)
    least = max(least, known - slack, Fraction(target.low))
    most = min(most, known + slack, Fraction(target.high))
    return least <= most and least < below and above < most and above < below


def _gated(
    objective: Objective, target: Target, low: int, high: int
) -> tuple[Fraction, Fraction, Fraction, Fraction]:
    """Numbers with this gate: at least, greater than, at most, less than what is returned."""
    nowhere = _EVERYWHERE, _EVERYWHERE, -_EVERYWHERE, -_EVERYWHERE
    first, last = Fraction(low), Fraction(high)
    if objective.name == "within":
        reach = Fraction(objective.ulps)
        least = last - reach
        below = _EVERYWHERE if high == target.high else last + 1 - reach
        most = first + reach
        above = -_EVERYWHERE if low == target.low else first - 1 + reach
        return least, above, most, below
    if objective.name == "faithful" and high == low + 1:
        return -_EVERYWHERE, first, _EVERYWHERE, last
    if low != high:
        return nowhere
    if objective.name == "faithful":
        return first, -_EVERYWHERE, first, _EVERYWHERE
    if objective.name == "rounded_down":
        return first, -_EVERYWHERE, _EVERYWHERE, first + 1
    half = Fraction(1, 2)
    return first - half, -_EVERYWHERE, first + half, _EVERYWHERE
