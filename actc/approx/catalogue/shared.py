"""Building blocks of several definitions; float64 arrays that broadcast."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)) without overflow."""
    return special.expit(x)


def softplus(x: Any) -> Any:
    """ln(1 + exp(x)) without overflow."""
    return np.logaddexp(0.0, x)


def relu(x: Any) -> Any:
    """max(x, 0)."""
    return np.maximum(x, 0.0)


def leaky(x: Any, alpha: Any) -> Any:
    """Slope 1 right of 0, `alpha` left of it."""
    return np.where(x > 0, x, alpha * x)


def gelu(x: Any) -> Any:
    """x times the normal distribution function."""
    # erfc keeps the relative precision of the left tail, which 1 + erf would cancel
    return 0.5 * x * special.erfc(-x / np.sqrt(2.0))


def elu(x: Any, alpha: Any) -> Any:
    """alpha (exp(x) - 1) left of 0; exp never sees the right side, where it overflows."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def hard_sigmoid(x: Any, alpha: Any = 1 / 6, beta: Any = 0.5) -> Any:
    """A line clipped to [0, 1]."""
    return np.clip(alpha * x + beta, 0.0, 1.0)


def arctan_gate(x: Any) -> Any:
    """arctan(x) / pi + 1/2, in the left tail without cancellation."""
    return np.arctan2(1.0, -x) / np.pi


def zero_where(condition: Any, values: Any) -> Any:
    """`values`, and 0 where `condition` holds (where a product is 0 * infinity)."""
    return np.where(condition, 0.0, values)
