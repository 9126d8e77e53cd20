"""Histograms of tensors, and the quantization ranges that methods choose from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Range = tuple[float, float]

BINS = 2048
METHODS = ("minmax", "percentile", "mse", "entropy")


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts in equal bins.

    Attributes:
        low, high: smallest and largest value seen.
        counts: int64 [bins] over [low, high].
    """

    low: float
    high: float
    counts: Array

    @property
    def total(self) -> int:
        """Number of values seen."""
        return int(self.counts.sum())

    def centres(self) -> Array:
        """Middle of each bin, float64 [bins]."""
        edges = np.linspace(self.low, self.high, len(self.counts) + 1)
        return np.asarray((edges[:-1] + edges[1:]) / 2)

    def quantile(self, share: float) -> float:
        """The value below which `share` of all values lie, within a bin's width."""
        cumulative = np.cumsum(self.counts) / max(1, self.total)
        position = int(np.searchsorted(cumulative, share))
        edges = np.linspace(self.low, self.high, len(self.counts) + 1)
        return float(edges[min(position + (share > 0.5), len(edges) - 1)])


def choose_range(histogram: Histogram, method: str, levels: int = 256) -> Range:
    """The range to quantize, always holding zero.

    Args:
        histogram: values seen in calibration.
        method: "minmax" (everything seen), "percentile" (99.99 percent of the
            values), "mse" (least mean square error: clipping plus rounding), or
            "entropy" (least Kullback-Leibler divergence between the histogram and
            its quantized self, as in TensorRT, over ranges on both sides).
        levels: number of integer levels.

    Raises:
        ValueError: unknown method.
    """
    low, high = min(0.0, histogram.low), max(0.0, histogram.high)
    if method == "minmax" or histogram.low == histogram.high:
        return low, high
    if method == "percentile":
        tail = (1 - 0.9999) / 2
        return min(0.0, histogram.quantile(tail)), max(0.0, histogram.quantile(1 - tail))
    if method == "mse":
        return _search(histogram, lambda a, b: _mse(histogram, a, b, levels))
    if method == "entropy":
        return _search(histogram, lambda a, b: _divergence(histogram, a, b, levels))
    raise ValueError(f"unknown calibration method '{method}'")


def signal_to_noise(histogram: Histogram, ends: Range, levels: int) -> float:
    """Power of the values over that of their quantization error, in decibels.

    Args:
        histogram: values seen in calibration.
        ends: the range that is quantized; values beyond it saturate.
        levels: number of integer levels.

    Returns:
        decibels; infinite where nothing is lost.
    """
    power = float((histogram.counts * histogram.centres() ** 2).sum())
    noise = _mse(histogram, *ends, levels) if ends[0] < ends[1] else 0.0
    if noise == 0 or power == 0:
        return np.inf
    return float(10 * np.log10(power / noise))


def _search(histogram: Histogram, cost: Any) -> Range:
    """Coordinate descent over shrunken ends; each end takes 1/64 .. 64/64 of its reach."""
    full_low, full_high = min(0.0, histogram.low), max(0.0, histogram.high)
    steps = np.arange(64, 0, -1) / 64
    low, high = full_low, full_high
    for _ in range(2):
        if full_high > 0:
            high = float(full_high * steps[np.argmin([cost(low, full_high * s) for s in steps])])
        if full_low < 0:
            low = float(full_low * steps[np.argmin([cost(full_low * s, high) for s in steps])])
    return low, high


def _mse(histogram: Histogram, low: float, high: float, levels: int) -> float:
    x = histogram.centres()
    outside = np.maximum(x - high, 0.0) + np.maximum(low - x, 0.0)
    step = (high - low) / (levels - 1)
    inside = (outside == 0) * step * step / 12
    return float((histogram.counts * (outside**2 + inside)).sum())


def _divergence(histogram: Histogram, low: float, high: float, levels: int) -> float:
    x, counts = histogram.centres(), histogram.counts.astype(np.float64)
    step = (high - low) / (levels - 1)
    codes = np.clip(np.rint((np.clip(x, low, high) - low) / step), 0, levels - 1).astype(np.int64)
    inside = (x >= low) & (x <= high)
    reference = np.where(inside, counts, 0.0)
    if not reference.any():
        return np.inf
    # Clipped mass piles up in the outermost kept bins, as it will when quantized.
    kept = np.flatnonzero(inside)
    reference[kept[0]] += counts[x < low].sum()
    reference[kept[-1]] += counts[x > high].sum()
    mass = np.bincount(codes[inside], weights=counts[inside], minlength=levels)
    filled = np.bincount(codes[inside & (counts > 0)], minlength=levels)
    spread = np.where(inside & (counts > 0), mass[codes] / np.maximum(1, filled[codes]), 0.0)
    p, q = reference / reference.sum(), spread / max(spread.sum(), 1e-300)
    used = p > 0
    return float((p[used] * np.log(p[used] / np.maximum(q[used], 1e-12))).sum())
