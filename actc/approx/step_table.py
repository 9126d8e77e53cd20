"""Tables over real inputs: the step function of least error for given input steps.

A table of 256 entries behind QuantizeLinear is constant on each input code's step.
For given steps the best entry is the middle of the function's range over its step,
and half the largest such range is the least error of any table: two samples of one
step prove it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.approx.certificate import attained_error, certify_piecewise_linear
from actc.approx.function import Float64Array, ScalarFunction
from actc.approx.pwl import PiecewiseLinear, bound_between_samples, sample_points
from actc.numerics import QuantizationParameters

_ULPS = 8
"""How far an edge may lie from its real-number place, in units in the last place."""


@dataclass(frozen=True, eq=False)
class StepTable:
    """A table over real inputs and what is known about it.

    Attributes:
        form: the step function, equal to the table on every float32 of its domain.
        input: the format of the input codes; low..high are those that the domain uses.
        values: float32 [256]; codes that the domain does not use repeat the nearest.
        max_error: largest deviation over the samples, the input's rounding included.
        lower_bound: no table over the same input codes has a smaller error on the
            samples.
        between_samples: :func:`actc.approx.pwl.bound_between_samples`.
        certificate: of `form`, kind "piecewise-linear", slopes zero; ``steps`` holds
            the lower bound, the two samples that prove it, and the input format.
    """

    form: PiecewiseLinear
    input: QuantizationParameters
    values: npt.NDArray[np.float32]
    max_error: float
    lower_bound: float
    between_samples: float
    certificate: dict[str, Any]


def fit_step_table(f: ScalarFunction, lo: float, hi: float, points: int = 65536) -> StepTable:
    """The best table of `f` on [lo, hi] over uint8 codes (whose format holds zero).

    Args:
        f: finite on [lo, hi].
        lo, hi: finite, lo < hi.
        points: number of equidistant samples, rounded to float32.

    Raises:
        ModelError: ACT0303 or ACT0304, `f` is not a number or infinite at a sample;
            ACT0302, the domain is too wide for a float32 scale.
    """
    x = sample_points(lo, hi, points, "float32")
    y = f.finite(x)
    wide = QuantizationParameters.from_range(lo, hi)
    codes = wide.quantize(x).astype(np.int64)
    p = QuantizationParameters(wide.scale, wide.zero_point, int(codes[0]), int(codes[-1]))
    first = np.searchsorted(codes, np.arange(p.low, p.high + 2))
    middles, pairs = [], []
    for code, start, end in zip(range(p.low, p.high + 1), first[:-1], first[1:], strict=True):
        if start == end:  # so few float32 numbers lie in the domain
            middles.append(float(f.finite(np.clip(p.values()[code], lo, hi))))
            continue
        lowest, highest = (start + int(pick(y[start:end])) for pick in (np.argmin, np.argmax))
        middles.append(float(y[lowest] / 2 + y[highest] / 2))
        pairs.append((float(y[highest] - y[lowest]), *sorted((lowest, highest))))
    _, left, right = max(pairs)
    entries = np.array(middles).astype(np.float32)
    form = PiecewiseLinear(_edges(p), np.zeros(len(entries)), entries.astype(np.float64))
    attained = attained_error(x, y, form.breakpoints, form.slopes, form.intercepts)
    bound = _half_distance(float(y[left]), float(y[right]))
    certificate = certify_piecewise_linear(
        function=f.name,
        samples={"lo": lo, "hi": hi, "points": points},
        precision="float32",
        segments=len(entries),
        breakpoints=form.breakpoints,
        slopes=form.slopes,
        intercepts=form.intercepts,
        max_error=attained,
        lower_bound=0.0,  # of lines that are free; the steps have their own
        triples=[],
    )
    certificate["steps"] = {
        "scale": p.scale.hex(),
        "zero_point": p.zero_point,
        "low": p.low,
        "lower_bound": bound.hex(),
        "pair": [float(x[left]).hex(), float(x[right]).hex()],
    }
    values = entries[np.clip(np.arange(256), p.low, p.high) - p.low]
    between = max(bound_between_samples(f, x, y, form), attained)
    return StepTable(form, p, values, attained, bound, between, certificate)


def _edges(p: QuantizationParameters) -> Float64Array:
    """The smallest float32 of each code but the first, exact as float64."""
    codes = np.arange(p.low + 1, p.high + 1)
    edge = (p.scale * (codes - 0.5 - p.zero_point)).astype(np.float32)
    for _ in range(_ULPS):
        edge = np.nextafter(edge, np.float32(-np.inf))
    for _ in range(2 * _ULPS):
        edge = np.where(p.quantize(edge) < codes, np.nextafter(edge, np.float32(np.inf)), edge)
    return edge.astype(np.float64)


def _half_distance(one: float, other: float) -> float:
    """Half the distance, rounded down."""
    exact = abs(Fraction(one) - Fraction(other)) / 2
    nearest = float(exact)
    return nearest if Fraction(nearest) <= exact else math.nextafter(nearest, -math.inf)
