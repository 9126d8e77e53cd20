"""Binary fixed-point formats: `s8.4` is 8 bits, signed, 4 of them fraction."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from actc.approx.function import Float64Array
from actc.diagnostics import Diagnostic
from actc.errors import UsageError

Codes = npt.NDArray[np.int64]
Rounding = Literal["half_even", "half_away", "floor"]

MAX_BITS = 32
MAX_FRACTION = 64
_SPELLING = re.compile(r"([su])(\d{1,3})\.(-?\d{1,3})")


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """A format of real numbers ``code * 2**-fraction``; two's complement when signed.

    Attributes:
        signed: codes are -2**(bits-1) .. 2**(bits-1)-1, otherwise 0 .. 2**bits-1.
        bits: 1..32, in total (with the sign).
        fraction: -64..64; may be negative or exceed `bits`.

    Raises:
        UsageError: ACT0310, `bits` or `fraction` is out of range.
    """

    signed: bool
    bits: int
    fraction: int

    def __post_init__(self) -> None:
        if not (1 <= self.bits <= MAX_BITS and abs(self.fraction) <= MAX_FRACTION):
            raise UsageError(_bad_format(str(self)))

    @classmethod
    def parse(cls, text: str) -> FixedPoint:
        """Read `s8.4` (signed) or `u8.8` (unsigned): letter, bits, point, fraction bits.

        Raises:
            UsageError: ACT0310, the spelling or a number in it is wrong.
        """
        match = _SPELLING.fullmatch(text)
        if match is None:
            raise UsageError(_bad_format(text))
        sign, bits, fraction = match.groups()
        return cls(sign == "s", int(bits), int(fraction))

    def __str__(self) -> str:
        return f"{'s' if self.signed else 'u'}{self.bits}.{self.fraction}"

    @property
    def low(self) -> int:
        """Smallest code."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest code."""
        return self.low + (1 << self.bits) - 1

    @property
    def ulp(self) -> float:
        """Distance of neighbouring values."""
        return 2.0**-self.fraction

    @property
    def count(self) -> int:
        """Number of codes."""
        return 1 << self.bits

    def codes(self) -> Codes:
        """All codes in increasing order; int64 [2**bits]."""
        return np.arange(self.low, self.high + 1, dtype=np.int64)

    def values(self) -> Float64Array:
        """All values in increasing order; float64 [2**bits], exact."""
        return self.to_real(self.codes())

    def to_real(self, codes: npt.NDArray[Any]) -> Float64Array:
        """The exact values of `codes` (integers, any shape)."""
        return np.ldexp(np.asarray(codes, np.float64), -self.fraction)

    def quantize(self, x: npt.ArrayLike, rounding: Rounding = "half_even") -> Codes:
        """Codes of real numbers, rounded, then saturated; int64, the shape of `x`.

        Args:
            x: real numbers; infinities saturate.
            rounding: to nearest with ties to even codes, to nearest with ties away
                from zero, or towards minus infinity.

        Raises:
            ValueError: NaN in `x`, or an unknown rounding.
        """
        real = np.asarray(x, np.float64)
        if np.any(np.isnan(real)):
            raise ValueError("NaN has no code")
        with np.errstate(over="ignore"):
            scaled = np.ldexp(real, self.fraction)
        # the bounds are integers, so rounding afterwards does not leave them
        scaled = np.clip(scaled, self.low, self.high)
        return _round(scaled, rounding).astype(np.int64)

    def check(self, codes: npt.ArrayLike) -> Codes:
        """Check codes that come from outside.

        Raises:
            ValueError: not integers, or outside the format.
        """
        array = np.asarray(codes)
        if array.dtype.kind not in "iu":
            raise ValueError(f"codes are integers, not {array.dtype}")
        if array.size and not (self.low <= array.min() and array.max() <= self.high):
            raise ValueError(f"codes of {self} are {self.low}..{self.high}")
        return array.astype(np.int64)


def _round(scaled: Float64Array, rounding: Rounding) -> Float64Array:
    if rounding == "half_even":
        return np.rint(scaled)
    down = np.floor(scaled)
    if rounding == "floor":
        return down
    if rounding == "half_away":
        # scaled - down is exact, unlike scaled + 0.5
        part = scaled - down
        rounded: Float64Array = down + ((part > 0.5) | ((part == 0.5) & (scaled > 0)))
        return rounded
    raise ValueError(f"unknown rounding {rounding!r}")


def _bad_format(text: str) -> Diagnostic:
    return Diagnostic(
        "ACT0310",
        f"{text!r} is not a fixed-point format",
        notes=(f"1 to {MAX_BITS} bits, fraction -{MAX_FRACTION} to {MAX_FRACTION}",),
        help="write s8.4 for 8 signed bits, 4 of them fraction, or u8.8 for 8 unsigned bits",
    )
