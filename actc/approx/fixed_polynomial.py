"""Piecewise polynomials of degree 2 and 3 with an integer datapath.

Every segment is a leaf of a binary tree over the first bits of the input, as in
:mod:`actc.approx.dyadic`; the remaining bits are its own coordinate t:

    y = (c + a_1 t + a_2 u_2 + a_3 u_3) >> q,    u_k = t**k >> truncations[k - 2]

u_k is what a truncated squarer or cuber gives (de Dinechin, "On fixed-point hardware
polynomials", 2015, discusses such datapaths).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.function import ScalarFunction
from actc.approx.gates import FixedFit, Gates, NoForm, least_error, verified
from actc.approx.own_gates import with_own_gates
from actc.approx.polynomial_leaves import powers
from actc.approx.polynomial_pattern import Point, pattern_search
from actc.approx.polynomial_tree import fewest_leaves
from actc.approx.signed_digits import signed_width

_EXACT_BITS = 62
"""Intermediate results have at most so many bits, so that int64 is exact."""
_BOUND_BITS = 53
_MORE_LEAVES = 4
"""A choice is not looked into that needs so many times the leaves of a better one."""


@dataclass(frozen=True, eq=False)
class IntegerPolynomial:
    """``y = (c + a_1 t + a_2 u_2 + ...) >> shift`` in each leaf of a binary tree.

    With i = x - lowest code (for signed inputs, the code with its first bit inverted),
    leaf k of depth d holds the inputs that agree in the first d bits of i, and t is
    the rest of i. Leaves are in increasing order of i. u_j is ``t**j`` without its
    last ``truncations[j - 2]`` bits.

    Attributes:
        input, output: the formats. Outputs do not saturate: fits keep every one of
            them within the output format.
        depths: int64 [n], 0..input bits.
        coefficients: int64 [n, degree + 1], ``(c, a_1, a_2[, a_3])`` of each leaf.
        truncations: 1 or 2 numbers, for degree 2 or 3; that of u_j is 0..j * input bits.
        shift: arithmetic shift to the right, 0..61.

    Raises:
        ValueError: shapes disagree, a number is out of range, the depths are not those
            of a binary tree, or intermediate results may need more than 62 bits.
    """

    input: FixedPoint
    output: FixedPoint
    depths: Codes
    coefficients: Codes
    truncations: tuple[int, ...]
    shift: int

    def __post_init__(self) -> None:
        for name in ("depths", "coefficients"):
            own = np.array(getattr(self, name), np.int64)
            own.setflags(write=False)
            object.__setattr__(self, name, own)
        object.__setattr__(self, "truncations", tuple(int(bits) for bits in self.truncations))
        if len(self.truncations) not in (1, 2):
            raise ValueError("the degree is 2 or 3: one or two truncations")
        if self.depths.ndim != 1 or self.coefficients.shape != (self.segments, self.degree + 1):
            raise ValueError("n leaves have n depths and [n, degree + 1] coefficients")
        for power, bits in enumerate(self.truncations, 2):
            if not 0 <= bits <= power * self.input.bits:
                raise ValueError(f"t**{power} has 0..{power * self.input.bits} bits to cut off")
        if not 0 <= self.shift < _EXACT_BITS:
            raise ValueError(f"the shift must be in 0..{_EXACT_BITS - 1}, not {self.shift}")
        self._check_tree()
        self._check_sizes()

    def _check_tree(self) -> None:
        if np.any((self.depths < 0) | (self.depths > self.input.bits)):
            raise ValueError(f"depths are 0..{self.input.bits}")
        sizes = self.input.count >> self.depths
        if sizes.sum() != self.input.count or np.any(self.starts % sizes):
            raise ValueError("the leaves are not those of a binary tree")

    def _check_sizes(self) -> None:
        for depth, row in zip(self.depths.tolist(), self.coefficients.tolist(), strict=True):
            last = (self.input.count >> depth) - 1
            largest = [1, last]
            largest += [last**power >> cut for power, cut in enumerate(self.truncations, 2)]
            reach = sum(abs(a) * u for a, u in zip(row, largest, strict=True))
            if max(reach, last**self.degree).bit_length() > _EXACT_BITS:
                raise ValueError(f"a leaf of depth {depth} needs more than {_EXACT_BITS} bits")

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
    def degree(self) -> int:
        """2 or 3."""
        return len(self.truncations) + 1

    @property
    def widths(self) -> tuple[int, ...]:
        """Bits to store of c, a_1, ...: signed, without the zeros that all end with."""
        return tuple(_stored_width(column) for column in self.coefficients.T)

    @property
    def power_widths(self) -> tuple[int, ...]:
        """Bits of t, u_2, ..., in the largest leaf."""
        last = (self.input.count >> int(self.depths.min())) - 1
        cuts = (0, *self.truncations)
        return tuple((last**power >> cut).bit_length() for power, cut in enumerate(cuts, 1))

    @property
    def storage_bits(self) -> int:
        """Coefficients, each column as wide as :attr:`widths`, and a bit per tree node."""
        return self.segments * sum(self.widths) + 2 * self.segments - 1

    @property
    def product_bits(self) -> int:
        """Bits of all partial products: coefficients times powers, squarer and cuber.

        A squarer of w bits has w (w + 1) / 2 of them, t times ``t**2`` has w times 2 w.
        Powers that no leaf needs are left out.
        """
        rows = zip(self.widths[1:], self.power_widths, strict=True)
        t = self.power_widths[0]
        square = t * (t + 1) // 2 if any(self.widths[2:]) else 0
        cube = 2 * t * t if any(self.widths[3:]) else 0
        return sum(a * u for a, u in rows) + square + cube

    def evaluate(self, codes: Codes) -> Codes:
        """Output codes (int64) of input codes (integers, any shape)."""
        index = self.input.check(codes) - self.input.low
        leaf = np.searchsorted(self.starts, index, side="right") - 1
        t = index & ((self.input.count >> self.depths[leaf]) - 1)
        total: Codes = self.coefficients[leaf, 0]
        for power, u in enumerate(powers(t, self.truncations), 1):
            total = total + self.coefficients[leaf, power] * u
        return total >> self.shift

    def to_json(self) -> dict[str, Any]:
        """JSON-ready description."""
        return {
            "form": "integer_piecewise_polynomial",
            "segments": self.segments,
            "degree": self.degree,
            "truncations": list(self.truncations),
            "shift": self.shift,
            "depths": self.depths.tolist(),
            "coefficients": self.coefficients.tolist(),
        }


def _stored_width(column: Codes) -> int:
    """Bits of each entry, signed, once the zeros at the end of all are left out."""
    bits = int(np.bitwise_or.reduce(column))
    return signed_width(column) - (bits & -bits).bit_length() + 1 if bits else 0


@dataclass(frozen=True, eq=False)
class PolynomialFit(FixedFit[IntegerPolynomial]):
    """A verified fit.

    Attributes:
        minimal: whether it is proven that no tree has fewer leaves, with the same
            degree, truncations and shift and any integer coefficients whose terms
            ``a_k u_k`` stay within 58 bits. False when a search was cut off.
    """

    minimal: bool

    def to_json(self) -> dict[str, Any]:
        """JSON-ready description of form, formats, errors and proof."""
        return {**super().to_json(), "minimal": self.minimal}


def widest_polynomial_shift(gates: Gates) -> int:
    """The largest shift: scaled bounds are exact in float64."""
    return _BOUND_BITS - gates.output.bits


def fit_polynomial(
    gates: Gates,
    degree: int,
    *,
    truncations: tuple[int, ...] | None = None,
    shift: int | None = None,
    max_shift: int | None = None,
    max_leaves: int | None = None,
) -> PolynomialFit | NoForm:
    """Fewest leaves within the gates, for given truncations and a shift.

    What is not given is chosen: the truncations and the shift with the least sum of
    :attr:`IntegerPolynomial.storage_bits` and :attr:`IntegerPolynomial.product_bits`,
    as far as a pattern search finds it, among those with which some leaf needs the
    degree, if there are any. That choice is a heuristic; the leaves are the fewest for
    whatever is chosen.

    Args:
        degree: 2 or 3, the highest: a form that never needs ``t**3`` has degree 2.
        truncations: bits to cut off ``t**2`` and ``t**3``.
        shift: q, 0..:func:`widest_polynomial_shift`.
        max_shift: largest shift to choose from; the widest by default.
        max_leaves: most leaves, >= 1; any number by default.

    Returns:
        the fit; or why there is none: no tree has as few leaves as `max_leaves`, for
        the given truncations and shift or, where they are free, for those tried.

    Raises:
        ValueError: an argument is out of range.
    """
    space = _space(gates, degree, truncations, shift, max_shift)
    limit = len(gates) if max_leaves is None else max_leaves
    if limit < 1:
        raise ValueError(f"a tree has at least one leaf, not {limit}")
    best = _cheapest(gates, space, limit)
    if best is None:
        return NoForm(
            f"no tree of at most {limit} polynomials of degree {degree} serves {gates.function} "
            f"from {gates.input} to {gates.output}, for the truncations and shifts tried"
        )
    fit = verified(best.form, gates)
    return PolynomialFit(fit.form, gates, fit.max_error_ulp, fit.max_error, best.minimal)


def fit_polynomial_leaves(
    f: ScalarFunction,
    input: FixedPoint,
    output: FixedPoint,
    leaves: int,
    degree: int,
    *,
    truncations: tuple[int, ...] | None = None,
    shift: int | None = None,
) -> PolynomialFit:
    """Least absolute error of at most `leaves` leaves, for given truncations and a shift.

    Where they are not given, the error is the least for the widest shift and the
    truncations of :func:`fine_truncations`; then cheaper ones are chosen that keep it,
    as :func:`fit_polynomial` does.

    Args:
        leaves: >= 1.
        degree, truncations, shift: as for :func:`fit_polynomial`.

    Raises:
        ModelError: ACT0303, `f` is not a number somewhere.
        UsageError: ACT0311, the input has more than 16 bits.
        ValueError: an argument is out of range.
    """

    def fit(gates: Gates) -> PolynomialFit | None:
        q = widest_polynomial_shift(gates) if shift is None else shift
        cuts = fine_truncations(gates, degree, q) if truncations is None else truncations
        found = fit_polynomial(gates, degree, truncations=cuts, shift=q, max_leaves=leaves)
        return None if isinstance(found, NoForm) else found

    best = with_own_gates(f, least_error(f, input, output, fit))
    chosen = fit_polynomial(
        best.gates, degree, truncations=truncations, shift=shift, max_leaves=leaves
    )
    assert isinstance(chosen, PolynomialFit)  # the finest choice is among those tried
    return with_own_gates(f, chosen)


def fine_truncations(gates: Gates, degree: int, shift: int) -> tuple[int, ...]:
    """Truncations that lose next to nothing: powers keep at least `shift` bits."""
    return tuple(max(0, power * gates.input.bits - shift) for power in range(2, degree + 1))


def _space(
    gates: Gates,
    degree: int,
    truncations: tuple[int, ...] | None,
    shift: int | None,
    max_shift: int | None,
) -> list[tuple[int, int]]:
    """First and last shift to choose from, and those of each truncation.

    Raises:
        ValueError: an argument is out of range.
    """
    if degree not in (2, 3):
        raise ValueError(f"the degree is 2 or 3, not {degree}")
    widest = widest_polynomial_shift(gates)
    for value in (shift, max_shift):
        if value is not None and not 0 <= value <= widest:
            raise ValueError(f"the shift must be in 0..{widest}, not {value}")
    ranges = [(0, widest if max_shift is None else max_shift) if shift is None else (shift, shift)]
    bits = gates.input.bits
    if truncations is None:
        return ranges + [(0, power * bits) for power in range(2, degree + 1)]
    if len(truncations) != degree - 1:
        raise ValueError(f"degree {degree} has {degree - 1} truncations, not {len(truncations)}")
    for power, cut in enumerate(truncations, 2):
        if not 0 <= cut <= power * bits:
            raise ValueError(f"t**{power} has 0..{power * bits} bits to cut off, not {cut}")
        ranges.append((cut, cut))
    return ranges


@dataclass(frozen=True, eq=False)
class _Candidate:
    form: IntegerPolynomial
    minimal: bool

    uses_degree: bool

    @property
    def cost(self) -> tuple[bool, int]:
        """Polynomials of a lower degree are found by asking for that degree."""
        return not self.uses_degree, self.form.storage_bits + self.form.product_bits


def _cheapest(gates: Gates, space: list[tuple[int, int]], limit: int) -> _Candidate | None:
    """The cheapest of the candidates that are looked at; points are (shift, *truncations)."""

    def evaluate(point: Point, best: _Candidate | None) -> _Candidate | None:
        most = limit if best is None else min(limit, _MORE_LEAVES * best.form.segments)
        return _candidate(gates, point[0], point[1:], most)

    found = pattern_search(space, _starts(gates, space), evaluate)
    return None if found is None else found[1]


def _starts(gates: Gates, space: list[tuple[int, int]]) -> Iterator[Point]:
    """The finest datapath, and ones about as precise as the output."""
    bits, degree = gates.input.bits, len(space)
    finest = space[0][1]
    yield (finest, *fine_truncations(gates, degree, finest))
    for shift in (bits // 2, bits):
        yield (shift, *((power - 1) * bits // 2 for power in range(2, degree + 1)))


def _candidate(
    gates: Gates, shift: int, truncations: tuple[int, ...], limit: int
) -> _Candidate | None:
    """The form of fewest leaves; None if it has more than `limit`."""
    tree = fewest_leaves(gates, truncations, shift, limit)
    if tree is None:
        return None
    coefficients = tree.coefficients
    uses_degree = bool(coefficients[:, -1].any())
    if len(truncations) > 1 and not uses_degree:
        coefficients, truncations = coefficients[:, :-1], truncations[:-1]
    form = IntegerPolynomial(
        gates.input, gates.output, tree.depths, coefficients, truncations, shift
    )
    return _Candidate(form, tree.minimal, uses_degree)
