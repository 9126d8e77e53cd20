"""Rational functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from actc.approx.catalogue.entry import TINY, Parameter, Source, arxiv, entry
from actc.approx.catalogue.shared import sigmoid

_PFLU = Source(
    "Zhu et al.",
    "PFLU and FPFLU: Two novel non-monotonic activation functions in convolutional neural networks",
    "Neurocomputing 429",
    2021,
)


def polynomial(x: Any, *coefficients: Any) -> Any:
    """sum_k coefficients[k] x^k, by Horner's rule."""
    total = coefficients[-1] + 0.0 * x
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


def _safe_pade(x: Any, *coefficients: Any) -> Any:
    # six of the numerator, then the denominator's from x on
    below = polynomial(x, 0.0, *coefficients[6:])
    return polynomial(x, *coefficients[:6]) / (1.0 + np.abs(below))


def _separate_pade(x: Any, *coefficients: Any) -> Any:
    below = [np.abs(value) for value in coefficients[6:]]
    return polynomial(x, *coefficients[:6]) / polynomial(np.abs(x), 1.0, *below)


def _named(numerator: tuple[float, ...], denominator: tuple[float, ...]) -> list[Parameter]:
    above = [Parameter(f"a{k}", value) for k, value in enumerate(numerator)]
    return above + [Parameter(f"b{k}", value) for k, value in enumerate(denominator, start=1)]


def _pade_2_2(x: Any, a0: Any, a1: Any, a2: Any, b1: Any, b2: Any) -> Any:
    t = sigmoid(x)
    return polynomial(t, a0, a1, a2) / polynomial(t, 1.0, b1, b2)


def _cauchy(x: Any, l1: Any, l2: Any, d: Any) -> Any:
    return (l1 * x + l2) / (x * x + d * d)


def _root_gate(x: Any) -> Any:
    # 1 + x / sqrt(1 + x^2); the left side without cancellation
    root = np.hypot(1.0, x)
    return np.where(x > 0, 1.0 + x / root, 1.0 / (root * (root - np.minimum(x, 0.0))))


def _fpflu(x: Any) -> Any:
    return np.where(x > 0, x, x * _root_gate(x))


ENTRIES = (
    entry(
        "PAU",
        "(a0 + ... + a5 x^5) / (1 + |b1 x + ... + b4 x^4|), from LeakyReLU",
        _safe_pade,
        arxiv(
            "Molina et al.",
            "Padé Activation Units: End-to-end Learning of Flexible Activation "
            "Functions in Deep Networks",
            "1907.06732",
        ),
        *_named(
            (0.02996348, 0.61690165, 2.37539147, 3.06608078, 1.52474449, 0.25281987),
            (1.19160814, 4.40811795, 0.91111034, 0.34885983),
        ),
        aliases=("Pade", "Rational"),
    ),
    entry(
        "RecurrentRational",
        "(a0 + ... + a5 x^5) / (1 + |b1 x| + ... + |b4 x^4|), shared by all layers",
        _separate_pade,
        arxiv(
            "Delfosse et al.",
            "Adaptive Rational Activations to Boost Deep Reinforcement Learning",
            "2102.09407",
        ),
        *_named(
            (0.02979278, 0.61837353, 2.32330906, 3.05193624, 1.48542033, 0.2510245),
            (1.14195484, 4.39315997, 0.87147123, 0.34719662),
        ),
    ),
    entry(
        "GroupRational",
        "(a0 + ... + a5 x^5) / (1 + |b1 x + ... + b4 x^4|), one per group, from SiLU on [-3, 3]",
        _safe_pade,
        arxiv("Yang and Wang", "Kolmogorov-Arnold Transformer", "2409.10594"),
        *_named(
            (0.0, 0.5, 0.25, 0.05326628, 0.00580303, 0.0002752),
            (0.0, 0.10652899, 0.0, 0.00055023),
        ),
        aliases=("KAT", "GRKAN"),
    ),
    entry(
        "RationalKAN",
        "(a0 + a1 t + a2 t^2) / (1 + b1 t + b2 t^2), t = sigmoid(x)",
        _pade_2_2,
        arxiv("Aghaei", "rKAN: Rational Kolmogorov-Arnold Networks", "2406.14495"),
        Parameter("a0", 0.1),
        Parameter("a1", 0.8),
        Parameter("a2", 0.3),
        Parameter("b1", 0.2, -0.49, 0.49),  # |b1| + |b2| < 1: no pole
        Parameter("b2", 0.4, -0.49, 0.49),
    ),
    entry(
        "Cauchy",
        "(lambda1 x + lambda2) / (x^2 + d^2)",
        _cauchy,
        arxiv("Li et al.", "Cauchy activation function and XNet", "2409.19221"),
        Parameter("lambda1", 1.0),
        Parameter("lambda2", 0.5),
        Parameter("d", 1.0, TINY),
        aliases=("XNet",),
    ),
    entry("PFLU", "x (1 + x / sqrt(1 + x^2)) / 2", lambda x: 0.5 * x * _root_gate(x), _PFLU),
    entry("FPFLU", "x if x > 0 else x + x^2 / sqrt(1 + x^2)", _fpflu, _PFLU),
)
