"""Structured functions that integers compute exactly; only the output may be rounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.function import Float64Array
from actc.approx.structured.decomposition import (
    SLACK,
    Decomposition,
    bad_parameter,
    check_length,
    magnitude,
    out_of_reach,
    rounding_term,
    shift_right,
)
from actc.errors import UsageError

Unit = TypeVar("Unit", bound=Decomposition)


@dataclass(frozen=True, eq=False, kw_only=True)
class Selection(Decomposition):
    """Outputs that are input elements or zero, moved to the output format.

    The bound is the rounding of that move: 0 if the output has as many fraction bits.
    """

    def terms(self) -> dict[str, float]:
        """output."""
        exact = self.output.fraction >= self.input.fraction
        return {"output": rounding_term(self.output, exact)}

    def widths(self) -> dict[str, int]:
        """shift: to the right, negative to the left."""
        return {"shift": self.input.fraction - self.output.fraction}

    def intermediates(self) -> dict[str, int]:
        """The moved element."""
        shift = self.widths()["shift"]
        largest = magnitude(self.input) + 1
        return {"moved element": (largest << max(-shift, 0)) + (1 << max(shift, 0))}

    def move(self, codes: Codes) -> Codes:
        """Input codes (or their negatives) as output codes."""
        return self.saturate(shift_right(codes, self.widths()["shift"]))


@dataclass(frozen=True, eq=False, kw_only=True)
class TopK(Selection):
    """``y = x if x >= (k-th largest x) else 0``; equal elements are all kept.

    Attributes:
        k: 1..n.
    """

    k: int

    @property
    def name(self) -> str:
        """``TopK[n,k]``."""
        return f"TopK[{self.length},{self.k}]"

    def evaluate(self, codes: Codes) -> Codes:
        """Output codes; int64 [..., n]."""
        x = self.operand(codes, self.length)
        threshold = np.partition(x, -self.k, axis=-1)[..., -self.k, None]
        return self.move(np.where(x >= threshold, x, 0))

    def reference(self, x: Float64Array) -> Float64Array:
        """The same on real numbers."""
        threshold = np.sort(x, axis=-1)[..., -self.k, None]
        return np.where(x >= threshold, x, 0.0)


@dataclass(frozen=True, eq=False, kw_only=True)
class GroupSort(Selection):
    """Consecutive groups, each sorted (Anil, Lucas and Grosse, ICML 2019).

    Attributes:
        group: elements of a group; divides n.
        descending: MaxMin, of groups of two, puts the maximum first (Chernodub and
            Nowicki, "Norm-preserving orthogonal permutation linear unit", 2016);
            GroupSort is ascending.
    """

    group: int
    descending: bool = False

    @property
    def name(self) -> str:
        """``GroupSort[n,group]`` or ``MaxMin[n]``."""
        if self.descending:
            return f"MaxMin[{self.length}]"
        return f"GroupSort[{self.length},{self.group}]"

    def evaluate(self, codes: Codes) -> Codes:
        """Output codes; int64 [..., n]."""
        x = self.operand(codes, self.length)
        return self.move(self._sort(x).reshape(x.shape))

    def reference(self, x: Float64Array) -> Float64Array:
        """The same on real numbers."""
        groups = [
            sorted(row[i : i + self.group], reverse=self.descending)
            for row in x.reshape(-1, self.length).tolist()
            for i in range(0, self.length, self.group)
        ]
        return np.array(groups, np.float64).reshape(x.shape)

    def _sort(self, x: Codes) -> Codes:
        groups = np.sort(x.reshape(*x.shape[:-1], -1, self.group), axis=-1)
        return groups[..., ::-1] if self.descending else groups


@dataclass(frozen=True, eq=False, kw_only=True)
class CReLU(Selection):
    """``[max(x, 0), max(-x, 0)]``: 2n outputs (Shang, Sohn, Almeida and Lee, ICML 2016)."""

    @property
    def name(self) -> str:
        """``CReLU[n]``."""
        return f"CReLU[{self.length}]"

    def evaluate(self, codes: Codes) -> Codes:
        """Output codes; int64 [..., 2n]."""
        x = self.operand(codes, self.length)
        return self.move(np.maximum(np.concatenate([x, -x], axis=-1), 0))

    def reference(self, x: Float64Array) -> Float64Array:
        """The same on real numbers."""
        parts = [np.where(x > 0, x, 0.0), np.where(x < 0, -x, 0.0)]
        return np.concatenate(parts, axis=-1)


@dataclass(frozen=True, eq=False, kw_only=True)
class Sparsemax(Decomposition):
    """Euclidean projection onto the simplex (Martins and Astudillo, ICML 2016).

    With z = x - max(x), sorted in decreasing order, and C_k the sum of the first k, let
    k be the largest index with 1 + k z_k > C_k. Then y = max(0, k z - C_k + 1) / k. The
    numerator N is an exact integer, and the quotient is rounded exactly:

        floor(A / k) = (A M_k) >> s,  M_k = ceil(2^s / k),  for all 0 <= A < 2^(s - b)

    where b is the bit length of n: the excess M_k k - 2^s is below k <= 2^b (Granlund
    and Montgomery, PLDI 1994). With A = N' + k 2^(e-1), N' the numerator moved to e >= 1
    bits below the output's last place, (A / k) >> e is N/k to the nearest output code.
    So the bound is half a unit.
    """

    @property
    def name(self) -> str:
        """``Sparsemax[n]``."""
        return f"Sparsemax[{self.length}]"

    @property
    def fraction(self) -> int:
        """Fraction bits of the numerator."""
        return max(self.input.fraction, 0)

    @property
    def below(self) -> int:
        """e: bits below the output's last place."""
        return max(self.fraction - self.output.fraction, 1)

    @property
    def grown(self) -> int:
        """Places by which the numerator moves to the left."""
        return self.below - (self.fraction - self.output.fraction)

    @property
    def dividend(self) -> int:
        """Bound of A."""
        return self.length * ((1 << (self.fraction + self.grown)) + (1 << (self.below - 1)))

    @property
    def shift(self) -> int:
        """s."""
        return self.dividend.bit_length() + self.length.bit_length()

    def reciprocals(self) -> Codes:
        """M_1 .. M_n; int64 [n]."""
        k = np.arange(1, self.length + 1, dtype=np.int64)
        whole: Codes = -(-(np.int64(1) << self.shift) // k)
        return whole

    @property
    def storage_bits(self) -> int:
        """The table of reciprocals."""
        return self.length * (self.shift + 1)

    def terms(self) -> dict[str, float]:
        """output."""
        return {"output": rounding_term(self.output)}

    def widths(self) -> dict[str, int]:
        """e, s and how far the numerator moves."""
        return {"e": self.below, "s": self.shift, "move": self.grown}

    def intermediates(self) -> dict[str, int]:
        """Sum and division."""
        step = 1 << max(-self.input.fraction, 0)
        # A <= k (dividend / n) and M_k <= 2^s / k + 1
        product = (self.dividend // self.length << self.shift) + self.dividend
        return {
            "sum": 2 * self.length * self.input.count * step + (self.length << self.fraction),
            "division": product,
            "reciprocal": 1 << self.shift,
        }

    def evaluate(self, codes: Codes) -> Codes:
        """Output codes; int64 [..., n]."""
        x = self.operand(codes, self.length) << max(-self.input.fraction, 0)
        z = x - x.max(axis=-1, keepdims=True)
        one = np.int64(1) << self.fraction
        ordered = -np.sort(-z, axis=-1)
        sums = ordered.cumsum(axis=-1)
        counts = np.arange(1, self.length + 1, dtype=np.int64)
        # true for the first k elements and for no others
        k = (one + counts * ordered > sums).sum(axis=-1, keepdims=True)
        numerator = np.maximum(k * z - np.take_along_axis(sums, k - 1, axis=-1) + one, 0)
        dividend = (numerator << self.grown) + (k << (self.below - 1))
        quotient = (dividend * self.reciprocals()[k - 1]) >> self.shift
        return self.saturate(quotient >> self.below)

    def reference(self, x: Float64Array) -> Float64Array:
        """The threshold in float64, from sorted elements."""
        z = x - x.max(axis=-1, keepdims=True)
        ordered = np.sort(z, axis=-1)[..., ::-1]
        counts = np.arange(1, self.length + 1)
        thresholds = (np.cumsum(ordered, axis=-1) - 1) / counts
        # the support's threshold is the largest of all
        largest = thresholds.max(axis=-1, keepdims=True)
        return np.asarray(np.maximum(z - largest, 0.0), np.float64)


def sparsemax(length: int, input: FixedPoint, output: FixedPoint, *, ulp: float = 1.0) -> Sparsemax:
    """Sparsemax of n elements.

    Raises:
        UsageError: ACT0356, too wide; ACT0357, `ulp` is below 1/2; ACT0359, the length.
    """
    check_length("Sparsemax", length)
    return reachable(Sparsemax(length=length, input=input, output=output, pieces={}), ulp)


def top_k(length: int, k: int, input: FixedPoint, output: FixedPoint, *, ulp: float = 1.0) -> TopK:
    """The k largest of n elements, the others zero.

    Raises:
        UsageError: ACT0356, ACT0357 and ACT0359 as :func:`sparsemax`; `k` not in 1..n.
    """
    if not 1 <= k <= length:
        raise UsageError(bad_parameter("TopK", f"k = {k} of {length}", "choose k in 1..n"))
    return reachable(TopK(length=length, input=input, output=output, pieces={}, k=k), ulp)


def group_sort(
    length: int,
    group: int,
    input: FixedPoint,
    output: FixedPoint,
    *,
    ulp: float = 1.0,
    descending: bool = False,
) -> GroupSort:
    """Sorted groups; MaxMin for groups of two in descending order.

    Raises:
        UsageError: ACT0356, ACT0357 and ACT0359 as :func:`sparsemax`; `group` does not
            divide n.
    """
    name = "MaxMin" if descending else "GroupSort"
    if group < 1 or length % group:
        help = "choose a group that divides the length"
        raise UsageError(bad_parameter(name, f"groups of {group} in {length}", help))
    unit = GroupSort(
        length=length, input=input, output=output, pieces={}, group=group, descending=descending
    )
    return reachable(unit, ulp)


def crelu(length: int, input: FixedPoint, output: FixedPoint, *, ulp: float = 1.0) -> CReLU:
    """Positive and negative parts of n elements.

    Raises:
        UsageError: ACT0356, ACT0357 and ACT0359 as :func:`sparsemax`.
    """
    return reachable(CReLU(length=length, input=input, output=output, pieces={}), ulp)


def reachable(unit: Unit, ulp: float) -> Unit:
    """The unit, if its bound meets the target.

    Raises:
        UsageError: ACT0357.
    """
    if not unit.bound_ulp <= ulp * (1 + SLACK) ** 3:
        raise UsageError(out_of_reach(unit.name, unit.output, ulp, unit.bound_ulp))
    return unit
