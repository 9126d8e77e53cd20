"""Affine quantization to 2..16 bits: real = scale * (code - zero_point)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.diagnostics import Diagnostic
from actc.errors import ModelError

_SMALLEST_SCALE = float(np.finfo(np.float32).tiny)

MIN_BITS, MAX_BITS = 2, 16
Codes = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, slots=True)
class QuantizationParameters:
    """Scale and zero point of a tensor of unsigned codes.

    Attributes:
        scale: > 0; rounded to the nearest float32, because that is what a file holds.
        zero_point: the code of real zero, 0..2**bits - 1.
        low, high: the codes in use, 0 <= low <= high <= 2**bits - 1; a negative
            `high` stands for the largest code.
        bits: width of a code, 2..16. Codes of up to 8 bits are held as uint8, wider
            ones as uint16.

    Raises:
        ModelError: ACT0302, the scale is not a positive finite float32.
        ValueError: a code or the width is out of range.
    """

    scale: float
    zero_point: int
    low: int = 0
    high: int = -1
    bits: int = 8

    def __post_init__(self) -> None:
        with np.errstate(over="ignore", under="ignore"):
            scale = float(np.float32(self.scale))
        if not math.isfinite(scale) or scale <= 0:
            raise _range_error(f"scale {self.scale!r} is not a positive finite float32")
        last = largest_code(self.bits)
        high = last if self.high < 0 else self.high
        if not 0 <= self.low <= high <= last:
            raise ValueError(f"codes {self.low}..{high} are not within 0..{last}")
        if not 0 <= self.zero_point <= last:
            raise ValueError(f"zero point {self.zero_point} is not within 0..{last}")
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "high", high)

    @classmethod
    def from_range(
        cls,
        lo: float,
        hi: float,
        *,
        low: int = 0,
        high: int | None = None,
        bits: int = 8,
        power_of_two: bool = False,
    ) -> QuantizationParameters:
        """Parameters that cover [lo, hi] with the codes `low`..`high`.

        The range is first widened to hold zero, so that real zero is always one of
        the codes. A range that is only {0} gets scale 1. With `power_of_two` the scale is
        the least power of two that covers the range, so that rescaling is a shift.

        Raises:
            ModelError: ACT0302, a bound is not finite, lo > hi, or the range is
                wider than float32 can scale.
            ValueError: fewer than two codes.
        """
        if not (math.isfinite(lo) and math.isfinite(hi)) or lo > hi:
            raise _range_error(f"[{lo!r}, {hi!r}] is not a finite range")
        last = largest_code(bits)
        high = last if high is None else high
        if not 0 <= low < high <= last:
            raise ValueError(f"codes {low}..{high} are not two or more codes within 0..{last}")
        lo, hi = min(float(lo), 0.0), max(float(hi), 0.0)
        if lo == hi:
            return cls(1.0, low, low, high, bits)
        # halves, so that the width of the largest float64 range does not overflow
        scale = 2.0 * ((hi / 2 - lo / 2) / (high - low))
        with np.errstate(over="ignore", under="ignore"):
            scale = max(float(np.float32(scale)), _SMALLEST_SCALE)
        if not math.isfinite(scale):
            raise _range_error(f"[{lo!r}, {hi!r}] is wider than a float32 scale can cover")
        if power_of_two:
            mantissa, exponent = math.frexp(scale)
            scale = math.ldexp(1.0, exponent - (mantissa == 0.5))
        zero_point = min(max(round(low - lo / scale), low), high)
        return cls(scale, zero_point, low, high, bits)

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        """Type of the codes: numpy.uint8, or numpy.uint16 beyond 8 bits."""
        return np.uint8 if self.bits <= 8 else np.uint16

    @property
    def entries(self) -> int:
        """Entries of a table indexed by the codes: 256, or 2**bits beyond 8 bits."""
        return 1 << max(self.bits, 8)

    def quantize(self, x: npt.ArrayLike) -> Codes:
        """Codes of real values, exactly as ONNX QuantizeLinear.

        float32 division, rounding half to even, saturation to `low`..`high`; infinities
        saturate, NaN becomes `low` (as onnxruntime does on x86; ONNX leaves it open).

        Args:
            x: any shape; converted to float32 first.

        Returns:
            `dtype`, the shape of `x`.
        """
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            steps = np.asarray(x, np.float32) / np.float32(self.scale)
        bounded = np.clip(steps, self.low - self.zero_point, self.high - self.zero_point)
        bounded = np.where(np.isnan(bounded), self.low - self.zero_point, bounded)
        return (np.rint(bounded).astype(np.int32) + self.zero_point).astype(self.dtype)

    def dequantize(self, codes: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Real values of codes, exactly as ONNX DequantizeLinear: one float32 product.

        Args:
            codes: integers, any shape.

        Returns:
            float32, the shape of `codes`.
        """
        difference = np.asarray(codes, np.int32) - np.int32(self.zero_point)
        real: npt.NDArray[np.float32] = difference.astype(np.float32) * np.float32(self.scale)
        return real

    def codes(self) -> Codes:
        """All codes of the type, [entries] (also those outside `low`..`high`)."""
        return np.arange(self.entries, dtype=self.dtype)

    def values(self) -> npt.NDArray[np.float64]:
        """Real value of each of the `codes`, float64 [entries].

        scale * (code - zero_point) is exact in float64; `dequantize` rounds the same
        product to float32.
        """
        return self.scale * (np.arange(self.entries, dtype=np.float64) - self.zero_point)


def largest_code(bits: int) -> int:
    """The largest code of `bits` bits.

    Raises:
        ValueError: not 2..16 bits.
    """
    if not MIN_BITS <= bits <= MAX_BITS:
        raise ValueError(f"codes have {MIN_BITS}..{MAX_BITS} bits, not {bits}")
    return (1 << bits) - 1


def accumulator_bound(
    weights: npt.NDArray[Any],
    x_low: int,
    x_high: int,
    x_zero: int,
    bias: npt.ArrayLike | None = None,
) -> int:
    """Largest magnitude of ``sum((x - x_zero) * w) + bias`` over all inputs.

    Tight for x_low <= x_zero <= x_high. Zero terms (padding) are allowed for, so the
    bound also holds for every partial sum, in any order, with or without the bias:
    an accumulator of that width never wraps.

    Args:
        weights: integers [O, ...], output channel first.
        x_low, x_high: smallest and largest input code.
        x_zero: input zero point.
        bias: integers [O] (or broadcastable to it); None: no bias.

    Returns:
        the bound over all channels; exact, so it may exceed int32.
    """
    flat = np.asarray(weights, np.int64).reshape(weights.shape[0], -1)
    lowest, highest = min(x_low - x_zero, 0), max(x_high - x_zero, 0)
    positive = np.maximum(flat, 0).sum(axis=1)
    negative = np.minimum(flat, 0).sum(axis=1)
    upper = positive * highest + negative * lowest
    lower = positive * lowest + negative * highest
    offset = np.asarray(0 if bias is None else bias, np.int64).reshape(-1)
    extremes = np.concatenate([upper, -lower, upper + offset, -(lower + offset)])
    return int(extremes.max(initial=0))


def _range_error(message: str) -> ModelError:
    return ModelError(
        Diagnostic(
            "ACT0302",
            message,
            help="check the model for NaN or infinite values and the calibration data for outliers",
        )
    )
