"""Certificates: what a fit claims, as JSON, in a form that can be re-verified.

Numbers are hexadecimal floats (``float.hex``), so that nothing is lost. A
piecewise-linear certificate proves its lower bound with triples of x, one more than a
form of as many segments has breakpoints: they do not overlap, so that one of them
lies in a single segment, and no line comes closer than the triple's error to its
three points. :mod:`actc.approx.checker` verifies certificates and shares no code with
this module or the fitters.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from actc.approx.function import Float64Array
from actc.approx.strip import Samples, Strip
from actc.approx.table import TableFit
from actc.numerics import QuantizationParameters

VERSION = 1
Triple = tuple[float, float, float]


def certify_piecewise_linear(
    *,
    function: str,
    samples: Mapping[str, float],
    precision: str,
    segments: int,
    breakpoints: Float64Array,
    slopes: Float64Array,
    intercepts: Float64Array,
    max_error: float,
    lower_bound: float,
    triples: Sequence[Triple],
    fewest: tuple[float, Sequence[Triple]] | None = None,
    tails: tuple[int, int] = (0, 0),
) -> dict[str, Any]:
    """Certificate of a piecewise-linear form.

    Args:
        samples: lo, hi and points: ``linspace(lo, hi, points)`` rounded to `precision`.
        segments: number of segments that `lower_bound` speaks of.
        fewest: an error and the triples that show that it needs more segments than
            there are triples.
        tails: how many octaves the samples go on to the left of lo and to the right of
            hi (:func:`actc.approx.sampling.tail_points`).
    """
    certificate = {
        "kind": "piecewise-linear",
        "version": VERSION,
        "function": function,
        "lo": float(samples["lo"]).hex(),
        "hi": float(samples["hi"]).hex(),
        "points": int(samples["points"]),
        "precision": precision,
        "segments": segments,
        "breakpoints": _hex(breakpoints),
        "slopes": _hex(slopes),
        "intercepts": _hex(intercepts),
        "max_error": max_error.hex(),
        "lower_bound": lower_bound.hex(),
        "triples": [_hex(triple) for triple in triples],
    }
    if any(tails):
        certificate["tails"] = list(tails)
    if fewest is not None:
        error, proof = fewest
        certificate["fewest"] = {
            "error": error.hex(),
            "triples": [_hex(triple) for triple in proof],
        }
    return certificate


def certify_table(function: str, fit: TableFit) -> dict[str, Any]:
    """Certificate of a table."""
    values = fit.form.values
    return {
        "kind": "table",
        "version": VERSION,
        "function": function,
        "input": format_claim(fit.input),
        "output": None if fit.output is None else format_claim(fit.output),
        "values": values.astype(values.dtype.newbyteorder("<")).tobytes().hex(),
        "digest": table_digest(values),
        "max_error": fit.max_error.hex(),
        "lower_bound": fit.lower_bound.hex(),
    }


def table_digest(values: np.ndarray[Any, Any]) -> str:
    """SHA-256 of a table's values, little endian; the same for equal tables."""
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    return hashlib.sha256(data).hexdigest()


def attained_error(
    x: Float64Array,
    y: Float64Array,
    breakpoints: Float64Array,
    slopes: Float64Array,
    intercepts: Float64Array,
) -> float:
    """Largest ``|slope x + intercept - y|``, rounded up.

    Exact unless more than so many points are within 2**-96 of the magnitudes of the
    largest, of which only as many are then compared exactly.
    """
    which = np.searchsorted(breakpoints, x, side="right")
    slope, intercept = slopes[which], intercepts[which]
    rounded = np.abs(_residual(slope, x, intercept, y))
    doubt = 2.0**-96 * (np.abs(slope * x) + np.abs(intercept) + np.abs(y)) + 2.0**-52 * rounded
    rivals = np.flatnonzero(rounded + doubt >= (rounded - doubt).max())
    if len(rivals) > _MAX_RIVALS:
        rivals = rivals[np.argsort(rounded[rivals], kind="stable")[-_MAX_RIVALS:]]
    exact = (
        Fraction(slope[i]) * Fraction(x[i]) + Fraction(intercept[i]) - Fraction(y[i])
        for i in rivals.tolist()
    )
    return rounded_up(max(map(abs, exact)))


_MAX_RIVALS = 64


def _residual(
    slope: Float64Array, x: Float64Array, intercept: Float64Array, y: Float64Array
) -> Float64Array:
    """``slope x + intercept - y`` in twice the working precision (Dekker 1971)."""
    product, product_error = _two_product(slope, x)
    total, total_error = _two_sum(product, intercept)
    total, last_error = _two_sum(total, -y)
    return total + (last_error + (total_error + product_error))


def _two_sum(a: Float64Array, b: Float64Array) -> tuple[Float64Array, Float64Array]:
    total = a + b
    shadow = total - a
    return total, (a - (total - shadow)) + (b - shadow)


def _two_product(a: Float64Array, b: Float64Array) -> tuple[Float64Array, Float64Array]:
    product = a * b
    (a_high, a_low), (b_high, b_low) = _split(a), _split(b)
    error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return product, error


def _split(a: Float64Array) -> tuple[Float64Array, Float64Array]:
    scaled = 134217729.0 * a
    high = scaled - (scaled - a)
    return high, a - high


def triples_of(samples: Samples, strips: Iterable[Strip]) -> tuple[list[Triple], float]:
    """Three samples per strip that no line serves better, and the least of their errors.

    By Helly's theorem the best triple of a witness is as bad as the whole witness.

    Returns:
        x of the triples, and the bound rounded down; ([], 0.0) without strips.
    """
    triples: list[Triple] = []
    bounds: list[Fraction] = []
    for strip in strips:
        assert strip.rising is not None
        assert strip.falling is not None
        witness = sorted({*strip.rising, *strip.falling})
        error, triple = max(
            (_triple_error(samples, triple), triple)
            for triple in itertools.combinations(witness, 3)
        )
        bounds.append(error)
        triples.append((samples.xs[triple[0]], samples.xs[triple[1]], samples.xs[triple[2]]))
    return triples, _below(min(bounds)) if bounds else 0.0


def _triple_error(samples: Samples, triple: tuple[int, ...]) -> Fraction:
    """Least error of a line at three samples, beyond what is allowed there."""
    (x0, x1, x2), (y0, y1, y2) = (
        [Fraction(values[i]) for i in triple] for values in (samples.xs, samples.ys)
    )
    a0, a1, a2 = (Fraction(float(samples.allowance[i])) for i in triple)
    part = (x1 - x0) / (x2 - x0)
    apart = abs(y1 - y0 - (y2 - y0) * part) - (a0 * (1 - part) + a1 + a2 * part)
    return max(apart / 2, Fraction(0))


def rounded_up(value: Fraction) -> float:
    """The least float64 that is not below `value`."""
    nearest = float(value)
    return nearest if Fraction(nearest) >= value else math.nextafter(nearest, math.inf)


def _below(value: Fraction) -> float:
    nearest = float(value)
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)


def _hex(values: Iterable[float]) -> list[str]:
    return [float(value).hex() for value in values]


def format_claim(parameters: QuantizationParameters) -> dict[str, Any]:
    """A format as certificates state it; its width only if that is not 8 bits."""
    claim: dict[str, Any] = {
        "scale": parameters.scale.hex(),
        "zero_point": parameters.zero_point,
        "low": parameters.low,
        "high": parameters.high,
    }
    return claim if parameters.bits == 8 else {**claim, "bits": parameters.bits}
