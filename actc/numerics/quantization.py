"""Affine quantization to 8 bits: real = scale * (code - zero_point)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.diagnostics import Diagnostic
from actc.errors import ModelError

_SMALLEST_SCALE = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True)
class QuantizationParameters:
    """Scale and zero point of a uint8 tensor.

    Attributes:
        scale: > 0; rounded to the nearest float32, because that is what a file holds.
        zero_point: the code of real zero, 0..255.
        low, high: the codes in use, 0 <= low <= high <= 255.

    Raises:
        ModelError: ACT0302, the scale is not a positive finite float32.
        ValueError: a code is out of range.
    """

    scale: float
    zero_point: int
    low: int = 0
    high: int = 255

    def __post_init__(self) -> None:
        with np.errstate(over="ignore", under="ignore"):
            scale = float(np.float32(self.scale))
        if not math.isfinite(scale) or scale <= 0:
            raise _range_error(f"scale {self.scale!r} is not a positive finite float32")
        if not 0 <= self.low <= self.high <= 255:
            raise ValueError(f"codes {self.low}..{self.high} are not within 0..255")
        if not 0 <= self.zero_point <= 255:
            raise ValueError(f"zero point {self.zero_point} is not within 0..255")
        object.__setattr__(self, "scale", scale)

    @classmethod
    def from_range(
        cls, lo: float, hi: float, *, low: int = 0, high: int = 255
    ) -> QuantizationParameters:
        """Parameters that cover [lo, hi] with the codes `low`..`high`.

        The range is first widened to hold zero, so that real zero is always one of
        the codes. A range that is only {0} gets scale 1.

        Raises:
            ModelError: ACT0302, a bound is not finite, lo > hi, or the range is
                wider than float32 can scale.
            ValueError: fewer than two codes.
        """
        if not (math.isfinite(lo) and math.isfinite(hi)) or lo > hi:
            raise _range_error(f"[{lo!r}, {hi!r}] is not a finite range")
        if not 0 <= low < high <= 255:
            raise ValueError(f"codes {low}..{high} are not two or more codes within 0..255")
        lo, hi = min(float(lo), 0.0), max(float(hi), 0.0)
        if lo == hi:
            return cls(1.0, low, low, high)
        # halves, so that the width of the largest float64 range does not overflow
        scale = 2.0 * ((hi / 2 - lo / 2) / (high - low))
        with np.errstate(over="ignore", under="ignore"):
            scale = max(float(np.float32(scale)), _SMALLEST_SCALE)
        if not math.isfinite(scale):
            raise _range_error(f"[{lo!r}, {hi!r}] is wider than a float32 scale can cover")
        zero_point = min(max(round(low - lo / scale), low), high)
        return cls(scale, zero_point, low, high)

    def quantize(self, x: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Codes of real values, exactly as ONNX QuantizeLinear.

        float32 division, rounding half to even, saturation to `low`..`high`; infinities
        saturate, NaN becomes `low` (as onnxruntime does on x86; ONNX leaves it open).

        Args:
            x: any shape; converted to float32 first.

        Returns:
            uint8, the shape of `x`.
        """
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            steps = np.asarray(x, np.float32) / np.float32(self.scale)
        bounded = np.clip(steps, self.low - self.zero_point, self.high - self.zero_point)
        bounded = np.where(np.isnan(bounded), self.low - self.zero_point, bounded)
        return (np.rint(bounded).astype(np.int32) + self.zero_point).astype(np.uint8)

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

    def codes(self) -> npt.NDArray[np.uint8]:
        """All 256 codes, uint8 [256] (also those outside `low`..`high`)."""
        return np.arange(256, dtype=np.uint8)

    def values(self) -> npt.NDArray[np.float64]:
        """Real value of each of the 256 codes, float64 [256].

        scale * (code - zero_point) is exact in float64; `dequantize` rounds the same
        product to float32.
        """
        return self.scale * (np.arange(256, dtype=np.float64) - self.zero_point)


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
