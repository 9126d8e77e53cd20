"""Polynomials and max-plus polynomials."""

from __future__ import annotations

from typing import Any

import numpy as np

from actc.approx.catalogue.entry import Parameter, arxiv, entry
from actc.approx.catalogue.rational import polynomial
from actc.approx.catalogue.shared import relu

_COMPOSITION = arxiv(
    "Zhuo et al.",
    "Polynomial Composition Activations: Unleashing the Dynamics of Large Language Models",
    "2411.03884",
)
_BASES = arxiv(
    "Khalfaoui-Hassani and Kesselheim",
    "Polynomial, trigonometric, and tropical activations",
    "2502.01247",
)


def _hermite(x: Any, a0: Any, a1: Any, a2: Any, a3: Any) -> Any:
    return a0 + a1 * x + a2 * (x * x - 1.0) / 2.0 + a3 * (x**3 - 3.0 * x) / 6.0


def _tropical(x: Any, *coefficients: Any) -> Any:
    best = coefficients[0] + 0.0 * x
    for power, coefficient in enumerate(coefficients[1:], start=1):
        best = np.maximum(best, coefficient + power * x)
    return best


ENTRIES = (
    entry(
        "PolyReLU",
        "a0 + a1 r + a2 r^2 + a3 r^3, r = max(x, 0)",
        lambda x, *a: polynomial(relu(x), *a),
        _COMPOSITION,
        Parameter("a0", 0.0),
        Parameter("a1", 1 / 3),
        Parameter("a2", 1 / 3),
        Parameter("a3", 1 / 3),
    ),
    entry(
        "PolyNorm",
        "a0 + a1 x + a2 x^2 + a3 x^3, the norms of the powers divided into a1, a2, a3",
        polynomial,
        _COMPOSITION,
        Parameter("a0", 0.0),
        Parameter("a1", 1 / 3),
        Parameter("a2", 1 / 3),
        Parameter("a3", 1 / 3),
    ),
    entry(
        "SLAF",
        "a0 + a1 x + a2 x^2",
        polynomial,
        arxiv(
            "Goyal et al.",
            "Learning Activation Functions: A new paradigm for understanding Neural Networks",
            "1906.09529",
        ),
        Parameter("a0", 0.1),
        Parameter("a1", 0.5),
        Parameter("a2", 0.25),
    ),
    entry(
        "HermiteBasis",
        "a0 + a1 x + a2 (x^2 - 1) / 2 + a3 (x^3 - 3 x) / 6, from ReLU",
        _hermite,
        _BASES,
        Parameter("a0", 0.3989422804014327),
        Parameter("a1", 0.5),
        Parameter("a2", 0.3989422804014327),
        Parameter("a3", 0.0),
        aliases=("Hermite",),
    ),
    entry(
        "TropicalBasis",
        "sqrt(2) max(a0, a1 + x, a2 + 2 x, a3 + 3 x) / 3",
        lambda x, *a: np.sqrt(2.0) / 3.0 * _tropical(x, *a),
        _BASES,
        Parameter("a0", 0.0),
        Parameter("a1", 0.0),
        Parameter("a2", -1.0),
        Parameter("a3", -3.0),
        aliases=("Tropical",),
    ),
    entry(
        "TropicalRational",
        "max(a0, a1 + x, a2 + 2 x) - max(b0, b1 + x)",
        lambda x, *c: _tropical(x, *c[:3]) - _tropical(x, *c[3:]),
        _BASES,
        Parameter("a0", 0.0),
        Parameter("a1", 0.5),
        Parameter("a2", -1.0),
        Parameter("b0", 0.0),
        Parameter("b1", -0.5),
    ),
)
