"""Structured functions as integer datapaths around fitted scalar pieces.

A structured function (softmax, a norm, a gate) is no function of one variable. Its
decomposition is: integer additions, products, shifts and comparisons, which are exact
or round in a stated way, and scalar pieces on a bounded range, fitted like any other
function. Because every piece is verified at all its inputs, the error of the whole can
be bounded by a proof, term by term; no sampling is involved.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.function import Float64Array
from actc.approx.gates import FixedFit
from actc.diagnostics import Diagnostic
from actc.errors import UsageError

MAX_LENGTH = 1 << 16
WIDEST = 1 << 62
"""Every intermediate integer stays below this in magnitude, so int64 never overflows."""

SLACK = 2.0**-44
"""Relative and absolute allowance for the float64 rounding in a bound's computation.

Each term comes from at most some hundred float64 operations on numbers below 2**6,
each exact to 2**-52 of its result (mathematical functions: to 2**-51).
"""


@dataclass(frozen=True, eq=False, kw_only=True)
class Decomposition(ABC):
    """A structured function as an integer datapath, with a proven error bound.

    The exact function is real arithmetic on the values of the input codes; where it
    leaves the output format, the nearest value of the format takes its place. As
    saturation is 1-Lipschitz, a bound before it holds after it.

    Attributes:
        length: n, the elements that the function joins (see each class).
        input, output: the formats.
        pieces: the scalar fits, by their role.

    Raises:
        UsageError: ACT0356, an intermediate integer could need 63 bits or more;
            ACT0359, the length is out of range.
    """

    length: int
    input: FixedPoint
    output: FixedPoint
    pieces: Mapping[str, FixedFit[Any]]

    def __post_init__(self) -> None:
        check_length(self.name, self.length)
        for place, largest in self.intermediates().items():
            if largest >= WIDEST:
                raise UsageError(_too_wide(self, place, largest))

    @property
    @abstractmethod
    def name(self) -> str:
        """How the function is written: ``Softmax[16]``."""

    @abstractmethod
    def evaluate(self, codes: Codes) -> Codes:
        """Output codes of input codes along the last axis, in int64 only.

        Raises:
            ValueError: not integers, outside the format, or of another length.
        """

    @abstractmethod
    def reference(self, x: Float64Array) -> Float64Array:
        """The exact function in float64, not saturated; real numbers to real numbers."""

    @abstractmethod
    def terms(self) -> dict[str, float]:
        """Where the error can come from: term -> its part of the bound, as real numbers."""

    @abstractmethod
    def widths(self) -> dict[str, int]:
        """Internal bits, shifts and constants of the datapath, by name."""

    @abstractmethod
    def intermediates(self) -> dict[str, int]:
        """Upper bounds of the magnitudes of the integers between input and output."""

    @cached_property
    def bound_terms(self) -> Mapping[str, float]:
        """:meth:`terms`, each rounded up."""
        return {name: outward(term) for name, term in self.terms().items()}

    @cached_property
    def bound(self) -> float:
        """No output is farther than this from the exact function, as a real number."""
        return outward(sum(self.bound_terms.values()))

    @property
    def bound_ulp(self) -> float:
        """:attr:`bound` in units of the output's last place."""
        return self.bound / self.output.ulp

    @property
    def storage_bits(self) -> int:
        """Bits of constants in the pieces."""
        return sum(int(fit.form.storage_bits) for fit in self.pieces.values())

    def exact(self, codes: Codes) -> Float64Array:
        """What the bound compares with: the saturated reference at input codes."""
        values = self.reference(self.input.to_real(self.input.check(codes)))
        low, high = self.output.to_real(np.array([self.output.low, self.output.high]))
        return np.clip(values, low, high)

    def operand(self, codes: Codes, length: int) -> Codes:
        """`codes` as checked int64, of the wanted length along the last axis.

        Raises:
            ValueError: not integers, outside the input format, or of another length.
        """
        checked = self.input.check(codes)
        if checked.ndim == 0 or checked.shape[-1] != length:
            raise ValueError(f"{self.name} takes {length} codes along the last axis")
        return checked

    def saturate(self, codes: Codes) -> Codes:
        """Codes clipped to the output format."""
        return np.clip(codes, self.output.low, self.output.high)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready description: function, formats, bound, terms, widths and pieces."""
        return {
            "function": self.name,
            "form": "structured",
            "length": self.length,
            "input": str(self.input),
            "output": str(self.output),
            "max_error": self.bound,
            "max_error_ulp": self.bound_ulp,
            "terms": dict(self.bound_terms),
            "widths": self.widths(),
            "storage_bits": self.storage_bits,
            "pieces": {role: fit.to_json() for role, fit in self.pieces.items()},
        }


def outward(x: float) -> float:
    """At least the exact value of which `x` is a float64 computation; 0 stays 0."""
    return x * (1 + SLACK) + SLACK * SLACK if x else 0.0


def shift_right(codes: Codes, by: int | Codes) -> Codes:
    """``codes * 2**-by``, to the nearest integer, ties towards plus infinity.

    Args:
        codes: int64.
        by: -62..62, a number or int64 that broadcasts; negative shifts to the left.
    """
    by = np.asarray(by, np.int64)
    right, left = np.maximum(by, 0), np.maximum(-by, 0)
    half = (np.int64(1) << right) >> 1
    shifted: Codes = ((codes + half) >> right) << left
    return shifted


def leading_one(numbers: Codes) -> Codes:
    """Position of the highest set bit of positive int64 numbers (0 for 1)."""
    return np.searchsorted(_POWERS, numbers, side="right").astype(np.int64) - 1


_POWERS = np.int64(1) << np.arange(63, dtype=np.int64)


def rounding_term(format: FixedPoint, exact: bool = False) -> float:
    """Error of rounding to nearest into a format, unless nothing is to be rounded."""
    return 0.0 if exact else format.ulp / 2


def magnitude(format: FixedPoint) -> int:
    """Largest magnitude of a code."""
    return max(-format.low, format.high)


def bits_for(largest: float) -> int:
    """Bits of the integer part of numbers up to `largest` in magnitude (0 below 1)."""
    return max(math.floor(largest), 0).bit_length()


def check_length(name: str, length: int) -> None:
    """Refuse lengths outside 1..65536.

    Raises:
        UsageError: ACT0359.
    """
    if not 1 <= length <= MAX_LENGTH:
        raise UsageError(bad_parameter(name, f"length {length}"))


def bad_parameter(name: str, what: str, help: str = "") -> Diagnostic:
    """Diagnostic ACT0359."""
    return Diagnostic(
        "ACT0359",
        f"{name} is not defined for {what}",
        help=help or f"choose a length of 1 to {MAX_LENGTH}",
    )


def out_of_reach(name: str, output: FixedPoint, ulp: float, reachable: float) -> Diagnostic:
    """Diagnostic ACT0357: the target cannot be met, and what can."""
    notes = ["half a unit is the rounding of the output alone"]
    help = "allow a larger error, or use fewer fraction bits in the output"
    if math.isfinite(reachable):
        # rounded up, so that asking for the printed number succeeds
        steps = f"{math.ceil(reachable * 1000 * (1 + 2.0**-30) + 1e-3) / 1000:.3f}"
        notes.insert(0, f"{steps} units in the last place are reachable")
        help = f"ask for --ulp {steps} or more, or use another output format"
    return Diagnostic(
        "ACT0357",
        f"{name} to {output} cannot be proven within {ulp:g} units in the last place",
        notes=tuple(notes),
        help=help,
    )


def _too_wide(unit: Decomposition, place: str, largest: int) -> Diagnostic:
    return Diagnostic(
        "ACT0356",
        f"{unit.name} from {unit.input} to {unit.output} needs integers of "
        f"{largest.bit_length() + 1} bits",
        notes=(f"the {place} would leave 63 bits",),
        help="use fewer bits in the input or output format, or a shorter axis",
    )
