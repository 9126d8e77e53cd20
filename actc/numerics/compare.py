"""Comparing the outputs of two stages: absolute errors, agreement, accuracy."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, Any]
Outputs = dict[str, Array]

_HIDING = 1e38
"""Numbers from here on stand for infinity: half the largest float32 and its like."""


def errors(reference: Array, other: Array) -> dict[str, float]:
    """Absolute differences of two arrays: max, p50, p99, rms; and `reference`'s rms.

    Equal infinities and two NaN do not differ, a NaN and a number do so infinitely; the
    reference's rms is that of its finite values.
    An index in place of outputs is off by one where it is not the place of the largest.
    """
    if reference.dtype.kind == "f" and other.dtype.kind == "i" and reference.ndim > other.ndim:
        other = (other != reference.argmax(axis=1)).astype(np.float64) + 1
        reference = np.ones_like(other)
    a, b = _flat(reference), _flat(other)
    difference = _distance(a, b)
    if not difference.size:
        return {"max": 0.0, "p50": 0.0, "p99": 0.0, "rms": 0.0, "reference_rms": 0.0}
    p50, p99 = np.quantile(difference, [0.5, 0.99], method=_method(difference))
    return {
        "max": float(difference.max()),
        "p50": float(p50),
        "p99": float(p99),
        "rms": root_mean_square(difference),
        "reference_rms": root_mean_square(a[np.isfinite(a)]),
    }


def _flat(array: Array) -> Array:
    """All values in one row; what hides a score, -inf or the lowest float32, is infinite."""
    flat = array.astype(np.float64).reshape(-1)
    hides = np.abs(flat) >= _HIDING
    return np.where(hides, np.copysign(np.inf, flat), flat) if hides.any() else flat


def _distance(a: Array, b: Array) -> Array:
    if np.isfinite(a).all() and np.isfinite(b).all():
        return np.asarray(np.abs(a - b))
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        distance: Array = np.where(
            same, 0.0, np.nan_to_num(np.abs(a - b), nan=np.inf, posinf=np.inf)
        )
    return distance


def _method(difference: Array) -> Literal["linear", "higher"]:
    """How quantiles are read: between infinite differences there is nothing to interpolate."""
    return "linear" if np.isfinite(difference).all() else "higher"


def root_mean_square(array: Array) -> float:
    """The root of the mean of the squares, also of numbers whose squares are no float64."""
    largest = float(np.abs(array).max(initial=0.0))
    if not 1e150 < largest < np.inf:
        return float(np.sqrt(np.mean(array**2))) if 0 < largest < np.inf else largest
    return largest * float(np.sqrt(np.mean((array / largest) ** 2)))


def classes(output: Array) -> Array | None:
    """Predicted class per sample of an output [samples, classes], None for other shapes.

    One column is a score, positive class above 0.5. int64 [samples] are classes.
    """
    if output.ndim == 1 and output.dtype == np.int64:
        return output
    if output.ndim != 2 or output.dtype.kind != "f" or not output.shape[1]:
        return None
    if output.shape[1] == 1:
        return (output[:, 0] > 0.5).astype(np.int64)
    return np.asarray(output.argmax(axis=1))


def top1(outputs: Outputs, labels: Array | None) -> float | None:
    """Share of samples whose class is right, by the first output that holds classes."""
    if labels is None:
        return None
    for output in outputs.values():
        predicted = classes(output)
        if predicted is not None:
            return float(np.mean(predicted == labels))
    return None


def agreement(reference: Array, other: Array) -> float | None:
    """Share of samples with the same class, None where the output holds no classes."""
    a, b = classes(reference), classes(other)
    return None if a is None or b is None or not a.size else float(np.mean(a == b))


def identical(a: Outputs, b: Outputs) -> tuple[bool, int]:
    """Whether two stages agree on every bit, and on how many samples they differ."""
    samples = max((len(array) for array in a.values()), default=0)
    differs = np.zeros(samples, bool)
    for name, array in a.items():
        other = b[name]
        if array.dtype != other.dtype or array.shape != other.shape:
            return False, samples
        flat = (array.view(_bits(array)) != other.view(_bits(other))).reshape(samples, -1)
        differs |= flat.any(axis=1)
    return not differs.any(), int(differs.sum())


def _bits(array: Array) -> str:
    return f"u{array.dtype.itemsize}"
