"""Piecewise polynomials of degree 2 and 3 with an integer datapath.

Every segment is a leaf of a binary tree over the first bits of the input, as in
:mod:`actc.approx.dyadic`; the remaining bits are its own coordinate t:

    y = (c + a_1 t + a_2 u_2 + a_3 u_3) >> q,    u_k = t**k >> truncations[k - 2]

u_k is what a truncated squarer or cuber gives (de Dinechin, "On fixed-point hardware
polynomials", 2015, discusses such datapaths).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.signed_digits import signed_width

_EXACT_BITS = 62
"""All intermediate results have fewer bits, so that int64 is exact."""


def powers(t: Codes, truncations: tuple[int, ...]) -> list[Codes]:
    """``[t, u_2, ...]`` for t >= 0, int64; ``len(truncations) + 1`` arrays like t."""
    found, power = [t], t
    for truncation in truncations:
        power = power * t
        found.append(power >> truncation)
    return found


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
        """
        rows = zip(self.widths[1:], self.power_widths, strict=True)
        t = self.power_widths[0]
        cube = 2 * t * t if self.degree == 3 else 0
        return sum(a * u for a, u in rows) + t * (t + 1) // 2 + cube

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
