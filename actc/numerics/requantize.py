"""Requantization: from an accumulator to codes by one multiplier and one shift.

``out = clamp(((acc * multiplier + 2**(shift - 1)) >> shift) + zero, low, high)``

The product has at most 52 bits, so that a runtime without 64-bit integer kernels
computes the same bits with double precision: every product, sum and floor of
integers below 2**53 is exact. Fixed-point scaling of this kind is due to Jacob et
al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018; here all channels share the shift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.diagnostics import Diagnostic
from actc.errors import ModelError
from actc.numerics.quantization import Codes

MIN_SHIFT = 1
MAX_SHIFT = 43
"""For codes of 8 bits: the zero point, up to 255 * 2**43, joins the rounding constant exactly."""
MAX_MULTIPLIER_BITS = 31
MAX_ACCUMULATOR = 2**51
EXACT_LIMIT = 2**52
"""With the zero point added, every sum stays below 2**53 and is exact in float64."""


@dataclass(frozen=True, eq=False)
class Requantization:
    """A real factor per tensor or per channel as ``multiplier / 2**shift``.

    Attributes:
        multiplier: int32, any shape (scalar or one per channel), >= 0.
        shift: 1..43, common to all channels.
    """

    multiplier: npt.NDArray[np.int32]
    shift: int

    def __post_init__(self) -> None:
        multiplier = np.asarray(self.multiplier)
        if not np.issubdtype(multiplier.dtype, np.integer):
            raise TypeError(f"multiplier must be integer, not {multiplier.dtype}")
        if multiplier.size and (multiplier.min() < 0 or multiplier.max() >= 2**31):
            raise ValueError("multiplier must be in 0..2**31-1")
        if not MIN_SHIFT <= self.shift <= MAX_SHIFT:
            raise ValueError(f"shift must be in {MIN_SHIFT}..{MAX_SHIFT}, not {self.shift}")
        object.__setattr__(self, "multiplier", multiplier.astype(np.int32))

    def real_factor(self) -> npt.NDArray[np.float64]:
        """The factor that the integers stand for; float64, shape of `multiplier`, exact."""
        return np.ldexp(self.multiplier.astype(np.float64), -self.shift)

    def apply(
        self, accumulator: npt.NDArray[Any], zero: int, low: int = 0, high: int = 255, bits: int = 8
    ) -> Codes:
        """Requantize `accumulator`; see :func:`requantize`."""
        return requantize(accumulator, self.multiplier, self.shift, zero, low, high, bits)


def max_shift(output_bits: int) -> int:
    """The largest shift that leaves room for a zero point of `output_bits` bits."""
    return MAX_SHIFT - max(output_bits - 8, 0)


def choose_multiplier(
    real_factor: npt.ArrayLike,
    *,
    max_accumulator: int,
    bits: int = MAX_MULTIPLIER_BITS,
    output_bits: int = 8,
) -> tuple[npt.NDArray[np.int32], int]:
    """Represent `real_factor` as ``multiplier / 2**shift``, as precisely as is exact.

    Takes the largest shift for which every multiplier fits `bits` bits and
    ``max_accumulator * multiplier + 2**(shift - 1) < 2**52``; common factors of two
    are then divided out, which changes no result.

    Bounds. ``|factor - multiplier / 2**shift| <= 2**-(shift + 1)``, hence before
    rounding an accumulator is off by at most ``max_accumulator * 2**-(shift + 1)``
    output steps. While ``shift < 43`` the largest factor has relative error below
    ``1 / L``, where ``L = min(2**bits, 2**52 / max_accumulator) * (1 - 2**-7) - 2``:
    2**-20 or better for every int32 accumulator once `bits` >= 21. At shift 43 an
    int32 accumulator is off by at most 2**-13 output steps. (The shift that the
    bounds speak of is the one before common factors of two are divided out.)

    Args:
        real_factor: scalar or array of finite factors >= 0.
        max_accumulator: bound of the accumulator's magnitude, 0..2**51.
        bits: width of the multiplier, 1..31.
        output_bits: width of the output codes; beyond 8 bits the shift is at most
            51 - output_bits, since the zero point needs the room.

    Returns:
        multiplier (int32, shape of `real_factor`) and shift (1..43).

    Raises:
        ModelError: ACT0301, a factor is negative, not finite or too large.
        ValueError: `bits` or `max_accumulator` is out of range.
    """
    if not 1 <= bits <= MAX_MULTIPLIER_BITS:
        raise ValueError(f"bits must be in 1..{MAX_MULTIPLIER_BITS}, not {bits}")
    if not 0 <= max_accumulator <= MAX_ACCUMULATOR:
        raise ValueError(f"max_accumulator must be in 0..2**51, not {max_accumulator}")
    factor = np.asarray(real_factor, dtype=np.float64)
    if not np.all(np.isfinite(factor)) or np.any(factor < 0):
        raise _factor_error("a requantization factor is negative or not finite", factor)
    largest = float(factor.max(initial=0.0))
    for shift in range(max_shift(output_bits), MIN_SHIFT - 1, -1):
        scaled = float(np.rint(np.ldexp(largest, shift)))
        if scaled <= _multiplier_limit(shift, max_accumulator, bits):
            multiplier = np.rint(np.ldexp(factor, shift)).astype(np.int64)
            return _divide_out_twos(multiplier, shift)
    raise _factor_error("a requantization factor is too large", factor)


def requantize(
    accumulator: npt.NDArray[Any],
    multiplier: npt.ArrayLike,
    shift: int,
    zero: int,
    low: int = 0,
    high: int = 255,
    bits: int = 8,
) -> Codes:
    """Reference requantization in int64; ties round towards plus infinity.

    Args:
        accumulator: integers of magnitude 2**51 at most, any shape.
        multiplier: int32 >= 0, broadcastable to `accumulator`.
        shift: 1..43.
        zero: output zero point, 0..2**bits - 1.
        low, high: output bounds, 0 <= low <= high <= 2**bits - 1.
        bits: width of the output codes.

    Returns:
        uint8, or uint16 beyond 8 bits, the broadcast shape:
        ``clamp(((acc * multiplier + 2**(shift - 1)) >> shift) + zero, low, high)``.
    """
    product = np.asarray(accumulator, np.int64) * np.asarray(multiplier, np.int64)
    rounded = (product + (np.int64(1) << np.int64(shift - 1))) >> np.int64(shift)
    codes: Codes = np.clip(rounded + zero, low, high).astype(np.uint8 if bits <= 8 else np.uint16)
    return codes


def _multiplier_limit(shift: int, max_accumulator: int, bits: int) -> int:
    """Largest multiplier that keeps product and rounding constant below 2**52."""
    exact = (EXACT_LIMIT - 1 - (1 << (shift - 1))) // max(max_accumulator, 1)
    return min(exact, (1 << bits) - 1)


def _divide_out_twos(
    multiplier: npt.NDArray[np.int64], shift: int
) -> tuple[npt.NDArray[np.int32], int]:
    while shift > MIN_SHIFT and not np.any(multiplier & 1):
        multiplier = multiplier >> 1
        shift -= 1
    return multiplier.astype(np.int32), shift


def _factor_error(message: str, factor: npt.NDArray[np.float64]) -> ModelError:
    worst = factor.min(initial=0.0) if np.any(factor < 0) else factor.max(initial=0.0)
    return ModelError(
        Diagnostic(
            "ACT0301",
            message,
            notes=(f"factor {worst:g}; multiplier / 2**shift reaches from 0 to about 2**30",),
            help="check the model for NaN or extreme weights and the calibration data for outliers",
        )
    )
