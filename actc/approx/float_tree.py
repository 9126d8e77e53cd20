"""Power-of-two segment trees with real coefficients: lookup by the first bits of x.

Every segment is a dyadic part of [lo, hi): halves of halves. The least error E of a
line never grows from a node to its halves, so the trees that split exactly the nodes
with E > eps are nested, each has the fewest leaves for its eps, and splitting the worst
leaf again and again passes through all of them. A tree of no more leaves with a smaller
error than the last one's worst leaf would have to split all nodes split so far and that
leaf, and so have one leaf more: the least of their errors is the lower bound.

:mod:`actc.approx.dyadic` is the same in fixed point, with the datapath's rounding.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from actc.approx.certificate import attained_error, certify_piecewise_linear, triples_of
from actc.approx.coefficients import Precision, round_lines
from actc.approx.function import ScalarFunction
from actc.approx.pwl import MAX_SEGMENTS, PiecewiseLinear, bound_between_samples, sample_points
from actc.approx.strip import Samples, Strip, narrowest_strip
from actc.diagnostics import Diagnostic
from actc.errors import UsageError

_SPARE_LEAVES = 4
"""More leaves than real coefficients need, to make up for their rounding."""


@dataclass(frozen=True, eq=False)
class TreeFit:
    """A piecewise-linear form whose segments are the leaves of a binary tree.

    Attributes:
        form: coefficients as emitted; breakpoints at ``lo + k (hi - lo) / 2**depth``,
            rounded to the precision.
        depths: int64 [n], the depth of each leaf from left to right.
        max_error: largest error over the samples; exact (rounded up).
        lower_bound: no tree of as many leaves has a smaller error on the samples; exact
            (rounded down).
        between_samples: :func:`actc.approx.pwl.bound_between_samples`.
        certificate: of `form` and its error, kind "piecewise-linear"; it claims no
            lower bound, as that of a tree is none of free segments.
    """

    form: PiecewiseLinear
    depths: npt.NDArray[np.int64]
    max_error: float
    lower_bound: float
    between_samples: float
    certificate: dict[str, Any]


class _Node(NamedTuple):
    """The inputs between ``position`` and ``position + 1`` times ``(hi - lo) / 2**depth``.

    Nodes compare by error, the worst first, then from left to right.
    """

    negated_error: float
    left: float
    depth: int
    position: int
    strip: Strip

    @property
    def error(self) -> float:
        return -self.negated_error


class _Tree:
    """A function's tree, grown where it errs most."""

    def __init__(
        self, f: ScalarFunction, lo: float, hi: float, points: int, precision: Precision
    ) -> None:
        self.function, self.lo, self.hi, self.precision = f, lo, hi, precision
        self.points, self.last = points, hi - (hi - lo) / points
        x = sample_points(lo, self.last, points, precision)
        self.samples = Samples(x, f.finite(x))
        self.leaves = [self._node(0, 0)]
        self.split_strips: list[Strip] = []

    @property
    def worst(self) -> _Node:
        """The leaf with the largest error."""
        return self.leaves[0]

    def split_worst(self) -> None:
        """Replace the worst leaf by its halves."""
        node = heapq.heappop(self.leaves)
        self.split_strips.append(node.strip)
        for half in (0, 1):
            heapq.heappush(self.leaves, self._node(node.depth + 1, 2 * node.position + half))

    def _node(self, depth: int, index: int) -> _Node:
        first, end = np.searchsorted(self.samples.x, self._edges(depth, index)).tolist()
        first = min(first, len(self.samples) - 1)  # a leaf without samples takes the nearest
        strip = narrowest_strip(self.samples, first, first, max(end, first + 1))
        return _Node(-strip.error, math.ldexp(index, -depth), depth, index, strip)

    def _edges(self, depth: int, index: int) -> npt.NDArray[np.float64]:
        part = np.ldexp(np.array([index, index + 1], np.float64), -depth)
        edges = (self.lo + part * (self.hi - self.lo)).astype(self.precision).astype(np.float64)
        return np.where(part == 1.0, math.inf, edges)

    def fit(self) -> TreeFit:
        """The tree as it stands."""
        leaves = sorted(self.leaves, key=lambda node: node.left)
        x, y = self.samples.x, self.samples.y
        form = PiecewiseLinear(
            *round_lines(
                self.samples,
                [(node.strip.slope, node.strip.intercept) for node in leaves],
                [float(self._edges(node.depth, node.position)[0]) for node in leaves[1:]],
                self.precision,
                reach=max(abs(self.lo), abs(self.hi)),
            )
        )
        attained = attained_error(x, y, form.breakpoints, form.slopes, form.intercepts)
        bound = 0.0
        if self.worst.error > self.samples.noise:
            _, bound = triples_of(self.samples, [*self.split_strips, self.worst.strip])
        certificate = certify_piecewise_linear(
            function=self.function.name,
            samples={"lo": self.lo, "hi": self.last, "points": self.points},
            precision=self.precision,
            segments=form.segments,
            breakpoints=form.breakpoints,
            slopes=form.slopes,
            intercepts=form.intercepts,
            max_error=attained,
            lower_bound=0.0,
            triples=[],
        )
        between = max(bound_between_samples(self.function, x, y, form), attained)
        depths = np.array([node.depth for node in leaves], np.int64)
        return TreeFit(form, depths, attained, bound, between, certificate)


def fit_tree(
    f: ScalarFunction,
    lo: float,
    hi: float,
    *,
    leaves: int | None = None,
    max_error: float | None = None,
    points: int = 65536,
    precision: Precision = "float32",
) -> TreeFit:
    """Approximate `f` on [lo, hi) by lines on the leaves of a binary tree.

    Give either `leaves`, for the least error of at most so many, or `max_error`, for the
    fewest leaves within it. Both are optimal on the samples, up to the rounding of the
    coefficients.

    Args:
        f: finite on [lo, hi).
        lo, hi: finite, lo < hi. The first and the last segment extend beyond.
        leaves: 1..4096.
        max_error: >= 0; float64 rounding counts as no error.
        points: number of samples ``lo + i (hi - lo) / points``, rounded to `precision`.
        precision: format of the coefficients and of x.

    Raises:
        ModelError: ACT0303 or ACT0304, `f` is not a number or infinite at a sample.
        UsageError: ACT0305, `max_error` cannot be reached.
        ValueError: an argument is out of range.
    """
    if (leaves is None) == (max_error is None):
        raise ValueError("give either leaves or max_error")
    if not (math.isfinite(lo) and math.isfinite(hi) and lo < hi):
        raise ValueError(f"[{lo}, {hi}) is not a finite range")
    if leaves is not None and not 1 <= leaves <= MAX_SEGMENTS:
        raise ValueError(f"leaves must be in 1..{MAX_SEGMENTS}, not {leaves}")
    if max_error is not None and not max_error >= 0:
        raise ValueError(f"max_error must be >= 0, not {max_error}")
    tree = _Tree(f, lo, hi, points, precision)
    error = max(max_error or 0.0, tree.samples.noise)
    limit = leaves or MAX_SEGMENTS
    while tree.worst.error > error and len(tree.leaves) < limit:
        tree.split_worst()
    if leaves is not None:
        return tree.fit()
    for _ in range(_SPARE_LEAVES + 1):
        fit = tree.fit()
        if fit.max_error <= error:
            return fit
        if not tree.worst.error > 0:  # of one or two samples: halves would serve no better
            break
        tree.split_worst()
    raise UsageError(
        Diagnostic(
            "ACT0305",
            f"no {precision} segment tree of {f.name} was found within {max_error:g}",
            notes=(f"on [{lo:g}, {hi:g}), up to {MAX_SEGMENTS} leaves",),
            help="allow a larger error, or use a table",
        )
    )
