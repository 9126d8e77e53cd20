"""Piecewise-linear approximation with the least maximal error, with proof.

`fit_piecewise_linear` samples the function densely, finds the least error that the
wanted number of segments allows (:mod:`actc.approx.search`), rounds the coefficients
to the format in which they are emitted, measures what is emitted and certifies both
the error and the bound (:mod:`actc.approx.certificate`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.approx.certificate import attained_error, certify_piecewise_linear, triples_of
from actc.approx.coefficients import Coefficients, Line, Precision, round_lines
from actc.approx.function import Float64Array, ScalarFunction
from actc.approx.greedy import Segmentation, fewest_segments
from actc.approx.links import Path, fewest_links
from actc.approx.sampling import sample_points as sample_points
from actc.approx.search import LeastError, Pass, initial_error, least_error
from actc.approx.strip import Samples
from actc.approx.tails import TailSamples
from actc.diagnostics import Diagnostic
from actc.errors import ModelError, UsageError

MAX_SEGMENTS = 4096
"""More segments than a table of lines is good for."""
_SPARE_SEGMENTS = 4


@dataclass(frozen=True, eq=False)
class PiecewiseLinear:
    """``y = slopes[i] * x + intercepts[i]``, i = number of breakpoints <= x.

    Attributes:
        breakpoints: float64 [n-1], strictly increasing.
        slopes, intercepts: float64 [n].

    Raises:
        ValueError: shapes disagree, or a value is not finite or not increasing.
    """

    breakpoints: Float64Array
    slopes: Float64Array
    intercepts: Float64Array

    def __post_init__(self) -> None:
        for name in ("breakpoints", "slopes", "intercepts"):
            own = np.array(getattr(self, name), np.float64)
            own.setflags(write=False)
            object.__setattr__(self, name, own)
        shape = self.slopes.shape
        if not (len(shape) == 1 and shape == self.intercepts.shape == (self.breakpoints.size + 1,)):
            raise ValueError("n segments have n slopes, n intercepts and n - 1 breakpoints")
        if not all(map(np.all, map(np.isfinite, (self.breakpoints, self.slopes, self.intercepts)))):
            raise ValueError("breakpoints, slopes and intercepts must be finite")
        if np.any(np.diff(self.breakpoints) <= 0):
            raise ValueError("breakpoints must increase")

    @property
    def segments(self) -> int:
        """Number of segments."""
        return len(self.slopes)

    def segment(self, x: npt.ArrayLike) -> npt.NDArray[np.intp]:
        """Index of the segment that serves each x."""
        return np.searchsorted(self.breakpoints, np.asarray(x, np.float64), side="right")

    def evaluate(self, x: npt.ArrayLike) -> Float64Array:
        """Evaluate at `x` in float64; the shape of `x`."""
        which = self.segment(x)
        values: Float64Array = self.slopes[which] * np.asarray(x, np.float64)
        values += self.intercepts[which]
        return values


@dataclass(frozen=True, eq=False)
class Fit:
    """A piecewise-linear approximation and what is known about it.

    Attributes:
        form: the approximation, coefficients as emitted.
        max_error: largest deviation of `form` from the function over the samples;
            exact (rounded up) for the function's float64 values. In tails, the part
            beyond one unit in the last place of the value (:mod:`actc.approx.tails`).
        lower_bound: no piecewise-linear function of as many segments, continuous or
            not, has a smaller error on the samples; exact (rounded down), certified.
        path_bound: for continuous fits, the least error at which the search found no
            continuous path; at least `lower_bound`, but float64 and not certified.
            None for discontinuous fits.
        between_samples: :func:`bound_between_samples`; tails have none.
        certificate: JSON-ready; verified by :mod:`actc.approx.checker`.
    """

    form: PiecewiseLinear
    max_error: float
    lower_bound: float
    path_bound: float | None
    between_samples: float
    certificate: dict[str, Any]


@dataclass(frozen=True)
class _Problem:
    """A sampled function and how its approximation is wanted."""

    function: ScalarFunction
    lo: float
    hi: float
    points: int
    precision: Precision
    continuous: bool
    tolerance: float
    samples: Samples


def fit_piecewise_linear(
    f: ScalarFunction,
    lo: float,
    hi: float,
    *,
    segments: int | None = None,
    max_error: float | None = None,
    continuous: bool = False,
    points: int = 65536,
    tolerance: float = 1e-4,
    precision: Precision = "float32",
) -> Fit:
    """Approximate `f` on [lo, hi] by a piecewise-linear function.

    Give either `segments`, for the least error of at most so many segments, or
    `max_error`, for the fewest segments within it and then the least error of so many.
    Both are optimal on the samples up to `tolerance` and to the rounding of the
    coefficients. Segments that bring nothing are left out.

    Args:
        f: finite on the domain.
        lo, hi: lo <= hi. The first and the last segment extend beyond. Ends may be
            infinite where `f` approaches a line: :class:`~actc.approx.tails.TailSamples`.
        segments: 1..4096.
        max_error: >= 0; float64 rounding counts as no error.
        continuous: segments meet (up to the rounding of the coefficients).
        points: number of equidistant samples, both ends among them (of the core, if
            an end is infinite); rounded to `precision`, equal ones dropped.
        tolerance: relative gap between found and least error, before rounding.
        precision: format of the coefficients and of x.

    Raises:
        ModelError: ACT0303 or ACT0304, `f` is not a number or infinite at a sample, or
            its lines are, in `precision`.
        UsageError: ACT0305, `max_error` cannot be reached; of infinite ends ACT0350, `f`
            approaches no line there, ACT0351, one segment cannot follow two asymptotes,
            ACT0352, they were asked for with `continuous`.
        ValueError: an argument is out of range.
    """
    if (segments is None) == (max_error is None):
        raise ValueError("give either segments or max_error")
    problem = _problem(f, lo, hi, points, precision, continuous, tolerance)
    if segments is not None:
        if not 1 <= segments <= MAX_SEGMENTS:
            raise ValueError(f"segments must be in 1..{MAX_SEGMENTS}, not {segments}")
        _require_segments(problem, segments)
        return _fit_segments(problem, segments)
    assert max_error is not None
    if not max_error >= 0:
        raise ValueError(f"max_error must be >= 0, not {max_error}")
    return _fit_error(problem, max_error)


def _problem(
    f: ScalarFunction,
    lo: float,
    hi: float,
    points: int,
    precision: Precision,
    continuous: bool,
    tolerance: float,
) -> _Problem:
    if not lo <= hi or math.inf in (lo, -hi):
        raise ValueError(f"[{lo}, {hi}] is not a range")
    if math.isfinite(lo) and math.isfinite(hi):
        x = sample_points(lo, hi, points, precision)
        samples = Samples(x, f.finite(x))
        return _Problem(f, lo, hi, points, precision, continuous, tolerance, samples)
    if continuous:
        raise UsageError(
            Diagnostic(
                "ACT0352",
                f"continuous lines of {f.name} cannot be fitted to an infinite end",
                help="give the domain finite ends, or let the lines jump",
            )
        )
    tails = TailSamples(f, lo, hi, points, precision)
    return _Problem(f, tails.lo, tails.hi, points, precision, continuous, tolerance, tails)


def _require_segments(problem: _Problem, segments: int) -> None:
    tails = problem.samples
    if segments == 1 and isinstance(tails, TailSamples) and all(tails.tails):
        left, right = tails.slopes
        if left != right:
            raise UsageError(
                Diagnostic(
                    "ACT0351",
                    f"one segment cannot follow {problem.function.name} to both ends",
                    notes=(f"its slope is {left:g} at -inf and {right:g} at inf",),
                    help="ask for at least two segments, or give the domain a finite end",
                )
            )


def bound_between_samples(
    f: ScalarFunction, x: Float64Array, y: Float64Array, form: PiecewiseLinear
) -> float:
    """Bound of ``|form - f|`` on [x[0], x[-1]], between the samples too.

    In each gap the error is at most the larger error at its ends (with the line that
    serves the inside of the gap; at breakpoints both lines) plus the deviation of `f`
    from its own chord. The latter is estimated by the sum of the four nearest second
    differences ``|f(x_i) - chord of neighbours at x_i|``.

    What is proven: the bound holds wherever f deviates from the chord of a gap by no
    more than that estimate. This is so for functions that are linear but for one kink
    or jump in any five adjacent gaps, or a jump at a sample, and for twice
    differentiable ones whose second derivative around the two ends of a gap averages
    at least an eighth of the largest in it. What is not: that f is such a function; samples say
    nothing about a spike between them. The rounding of a float32 evaluation, about
    2**-23 (|slope x| + |y|), comes on top.

    Args:
        x: samples, float64 [n], increasing; y: the function's finite values there.
    """
    after, before = form.segment(x), np.searchsorted(form.breakpoints, x, side="left")
    error_after = np.abs(form.slopes[after] * x + form.intercepts[after] - y)
    error_before = np.abs(form.slopes[before] * x + form.intercepts[before] - y)
    if len(x) < 2:
        return float(error_after.max())
    ends = np.maximum(error_after[:-1], error_before[1:])
    inner = np.flatnonzero((form.breakpoints > x[0]) & (form.breakpoints < x[-1]))
    point = form.breakpoints[inner]
    gap = np.searchsorted(x, point, side="right") - 1
    for line in (inner, inner + 1):
        error = np.abs(form.slopes[line] * point + form.intercepts[line] - f.finite(point))
        np.maximum.at(ends, gap, error)
    return max(float((ends + _chord_deviation(x, y)).max()), float(error_after[-1]))


def _chord_deviation(x: Float64Array, y: Float64Array) -> Float64Array:
    """Estimated deviation of the function from its chord in each gap; [n-1]."""
    if len(x) < 3:
        return np.zeros(len(x) - 1)
    weight = (x[1:-1] - x[:-2]) / (x[2:] - x[:-2])
    bend = np.abs(y[1:-1] - (y[:-2] + weight * (y[2:] - y[:-2])))
    padded = np.concatenate([[bend[0]] * 2, bend, [bend[-1]] * 2])
    deviation: Float64Array = padded[:-3] + padded[1:-2] + padded[2:-1] + padded[3:]
    return deviation


def _fit_segments(
    problem: _Problem, segments: int, fewest: tuple[float, Segmentation] | None = None
) -> Fit:
    samples = problem.samples
    windows = _least_windows(samples, segments, problem.tolerance)
    path_bound = None
    if problem.continuous:
        paths = _least_path(samples, segments, problem.tolerance, windows)
        path_bound = max(paths.bound.lower, windows.bound.lower)
        path = paths.attained.result
        form = _rounded(path.lines, path.knots, problem)
    else:
        found = windows.attained.result
        lines = [(strip.slope, strip.intercept) for strip in found.strips]
        form = _rounded(lines, [samples.xs[start] for start in found.starts[1:]], problem)
    attained = _attained(samples, form)
    obstacles = windows.bound.result.obstacles if windows.bound.lower > 0 else ()
    triples, lower_bound = triples_of(samples, obstacles)
    certificate = certify_piecewise_linear(
        function=problem.function.name,
        samples={"lo": problem.lo, "hi": problem.hi, "points": problem.points},
        precision=problem.precision,
        segments=segments,
        breakpoints=form.breakpoints,
        slopes=form.slopes,
        intercepts=form.intercepts,
        max_error=attained,
        lower_bound=lower_bound,
        triples=triples,
        fewest=None if fewest is None else (fewest[0], triples_of(samples, fewest[1].blocked)[0]),
        tails=samples.tails if isinstance(samples, TailSamples) else (0, 0),
    )
    core = samples.core
    between = bound_between_samples(problem.function, samples.x[core], samples.y[core], form)
    return Fit(form, attained, lower_bound, path_bound, max(between, attained), certificate)


def _attained(samples: Samples, form: PiecewiseLinear) -> float:
    coefficients = Coefficients(form.breakpoints, form.slopes, form.intercepts)
    if isinstance(samples, TailSamples):
        return samples.attained(coefficients)
    return attained_error(samples.x, samples.y, *coefficients)


def _fit_error(problem: _Problem, max_error: float) -> Fit:
    samples = problem.samples
    error = max(max_error, samples.noise)
    limit = MAX_SEGMENTS + 1
    proof = fewest_segments(samples, error, limit)
    count = len(proof.starts)
    if problem.continuous and count < limit:
        count = len(fewest_links(samples, error, limit).lines)
    for segments in range(count, min(count + _SPARE_SEGMENTS, limit)):
        fit = _fit_segments(problem, segments, (error, proof))
        if fit.max_error <= error:
            return fit
    raise UsageError(
        Diagnostic(
            "ACT0305",
            f"no {problem.precision} piecewise-linear form of {problem.function.name} was found "
            f"within {max_error:g}",
            notes=(f"on [{problem.lo:g}, {problem.hi:g}], up to {MAX_SEGMENTS} segments",),
            help="allow a larger error, or use a table",
        )
    )


def _least_windows(samples: Samples, segments: int, tolerance: float) -> LeastError[Segmentation]:
    def run(error: float, hint: Segmentation | None) -> Pass[Segmentation]:
        guesses = None if hint is None else hint.lengths(len(samples))
        found = fewest_segments(samples, error, segments, guesses)
        if len(found.starts) < segments:
            return Pass(found, lower=0.0, upper=found.attained, last=0.0)
        lower = min(strip.lower for strip in found.obstacles)
        return Pass(found, lower, found.attained, found.strips[-1].error)

    return least_error(run, initial_error(samples, segments), tolerance, samples.noise)


def _least_path(
    samples: Samples, segments: int, tolerance: float, windows: LeastError[Segmentation]
) -> LeastError[Path]:
    def run(error: float, hint: Path | None) -> Pass[Path]:
        guesses = None if hint is None else hint.lengths(len(samples))
        found = fewest_links(samples, error, segments, guesses)
        upper = error if found.last.error <= error else math.inf
        if len(found.lines) < segments:
            return Pass(found, lower=0.0, upper=upper, last=0.0)
        # a smaller error than both would neither reach this far nor serve the rest
        return Pass(found, min(error, found.last.lower), upper, found.last.error)

    # often the best path is as good as the best discontinuous form: try that first
    first = windows.attained.upper * (1 + tolerance / 2)
    return least_error(run, first, tolerance, samples.noise, floor=windows.bound.lower)


def _rounded(lines: Sequence[Line], breaks: Sequence[float], problem: _Problem) -> PiecewiseLinear:
    """Lines as a form with coefficients in the wanted precision."""
    with np.errstate(over="ignore"):  # lines beyond the format: refused below
        found = round_lines(
            problem.samples,
            lines,
            breaks,
            problem.precision,
            reach=float(np.abs(problem.samples.x).max()),
            continuous=problem.continuous,
        )
    if not all(np.isfinite(part).all() for part in found):
        message = f"lines of function {problem.function.name} overflow {problem.precision}"
        note = f"between {problem.lo:g} and {problem.hi:g}"
        raise ModelError(
            Diagnostic("ACT0304", message, notes=(note,), help="choose a narrower range")
        )
    return PiecewiseLinear(*found)
