"""Power-of-two segment trees: piecewise-linear forms whose lookup is a bit slice.

Every segment is a dyadic interval: all inputs that share some first bits. The
remaining bits are the segment's own coordinate t, so no comparison with breakpoints
and no wide product is needed:

    y = (S t + C) >> q

A node must be split exactly if no line of the slope set serves it, because a line that
serves an interval serves its halves. So the tree that splits only such nodes is part
of every tree that fits, and has the fewest leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.function import ScalarFunction
from actc.approx.gates import FixedFit, Gates, least_error, verified
from actc.approx.own_gates import with_own_gates
from actc.approx.signed_digits import (
    IntegerLines,
    Line,
    least_shift,
    plainest,
    signed_width,
    slope_set,
    widest_shift,
)
from actc.approx.slope_sets import Slopes, digit_count


@dataclass(frozen=True, eq=False)
class SegmentTree:
    """``y = (slopes[k] * t + constants[k]) >> shift`` in leaf k of a binary tree.

    With i = x - lowest code (for signed inputs, the code with its first bit inverted),
    leaf k of depth d holds the inputs that agree in the first d bits of i, and t is
    the rest of i. Leaves are in increasing order of i.

    Attributes:
        input, output: the formats. Outputs do not saturate: fits keep every one of
            them within the output format.
        depths: int64 [n], 0..input bits.
        slopes, constants: int64 [n].
        shift: arithmetic shift to the right.

    Raises:
        ValueError: shapes disagree, or the depths are not those of a binary tree.
    """

    input: FixedPoint
    output: FixedPoint
    depths: Codes
    slopes: Codes
    constants: Codes
    shift: int

    def __post_init__(self) -> None:
        for name in ("depths", "slopes", "constants"):
            own = np.array(getattr(self, name), np.int64)
            own.setflags(write=False)
            object.__setattr__(self, name, own)
        if not self.depths.shape == self.slopes.shape == self.constants.shape:
            raise ValueError("n leaves have n depths, n slopes and n constants")
        if np.any((self.depths < 0) | (self.depths > self.input.bits)):
            raise ValueError(f"depths are 0..{self.input.bits}")
        sizes = self.input.count >> self.depths
        if sizes.sum() != self.input.count or np.any(self.starts % sizes):
            raise ValueError("the leaves are not those of a binary tree")

    @property
    def starts(self) -> Codes:
        """First i of each leaf; int64 [n]."""
        sizes = self.input.count >> self.depths
        first: Codes = np.cumsum(sizes) - sizes
        return first

    @property
    def segments(self) -> int:
        """Number of leaves."""
        return self.depths.size

    @property
    def digits(self) -> int:
        """Most signed digits of a slope."""
        return max(map(digit_count, self.slopes.tolist()))

    @property
    def storage_bits(self) -> int:
        """Slopes and constants as signed integers, and one bit per node of the tree."""
        width = signed_width(self.slopes) + signed_width(self.constants)
        return self.segments * width + 2 * self.segments - 1

    def evaluate(self, codes: Codes) -> Codes:
        """Output codes (int64) of input codes (integers, any shape)."""
        index = self.input.check(codes) - self.input.low
        leaf = np.searchsorted(self.starts, index, side="right") - 1
        rest = index & ((self.input.count >> self.depths[leaf]) - 1)
        found: Codes = (self.slopes[leaf] * rest + self.constants[leaf]) >> self.shift
        return found

    def to_json(self) -> dict[str, Any]:
        """JSON-ready description."""
        return {
            "form": "segment_tree",
            "segments": self.segments,
            "digits": self.digits,
            "shift": self.shift,
            "depths": self.depths.tolist(),
            "slopes": self.slopes.tolist(),
            "constants": self.constants.tolist(),
        }


def fit_segment_tree(
    gates: Gates,
    *,
    digits: int | None = None,
    grid: int = 1,
    shift: int | None = None,
    max_shift: int | None = None,
) -> FixedFit[SegmentTree]:
    """Fewest leaves within the gates, for a slope set and a shift.

    Args:
        digits, grid, shift, max_shift: as for
            :func:`~actc.approx.signed_digits.fit_integer_lines`.

    Raises:
        ValueError: an argument is out of range.
    """

    def fewest(shift: int) -> SegmentTree:
        tree = _fewest(gates, shift, slope_set(gates, shift, digits, grid), len(gates))
        assert tree is not None  # a leaf for each input always serves
        return tree

    if shift is not None:
        return verified(fewest(shift), gates)
    return verified(least_shift(gates, fewest, max_shift), gates)


def fit_leaves(
    f: ScalarFunction,
    input: FixedPoint,
    output: FixedPoint,
    leaves: int,
    *,
    digits: int | None = None,
    grid: int = 1,
    shift: int | None = None,
) -> FixedFit[SegmentTree]:
    """Least absolute error of at most `leaves` leaves, for a slope set and a shift.

    The gates of the fit are those of the error that it attains, the least that
    :func:`~actc.approx.gates.least_error` finds.

    Args:
        leaves: >= 1.
        digits, grid: as for :func:`~actc.approx.signed_digits.fit_integer_lines`.
        shift: by default the input's bits plus 8, or the widest shift.

    Raises:
        ModelError: ACT0303, `f` is not a number somewhere.
        UsageError: ACT0311, the input has more than 16 bits.
        ValueError: an argument is out of range.
    """
    if leaves < 1:
        raise ValueError(f"a tree has at least one leaf, not {leaves}")

    def fit(gates: Gates) -> FixedFit[SegmentTree] | None:
        q = min(input.bits + 8, widest_shift(gates)) if shift is None else shift
        tree = _fewest(gates, q, slope_set(gates, q, digits, grid), leaves)
        return None if tree is None else verified(tree, gates)

    return with_own_gates(f, least_error(f, input, output, fit))


def _fewest(gates: Gates, shift: int, slopes: Slopes, limit: int) -> SegmentTree | None:
    """The least tree; None if it has more than `limit` leaves."""
    lines = IntegerLines(gates, shift)
    depths: list[int] = []
    chosen: list[Line] = []
    pending = [(0, 0)]  # (first i, depth), the next one last
    while pending:
        start, depth = pending.pop()
        end = start + (len(gates) >> depth)
        line, _ = lines.solve(start, end, slopes, lines.everything)
        if line is None:
            pending += [((start + end) // 2, depth + 1), (start, depth + 1)]
            if len(depths) + len(pending) > limit:
                return None
            continue
        slope, constant = plainest(lines, start, end, slopes, line)
        depths.append(depth)
        chosen.append(Line(slope, constant + slope * int(lines.x[start])))
    return SegmentTree(
        gates.input,
        gates.output,
        np.array(depths, np.int64),
        np.array([line.slope for line in chosen], np.int64),
        np.array([line.constant for line in chosen], np.int64),
        shift,
    )
