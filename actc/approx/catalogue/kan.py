"""Edges of Kolmogorov-Arnold networks; the coefficients are learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from actc.approx.catalogue.entry import ELEMENTARY, TINY, Parameter, arxiv, entry
from actc.approx.catalogue.rational import polynomial
from actc.approx.catalogue.shared import relu, sigmoid

_WEIGHTS = (0.3, -0.2, 0.5, 0.1, -0.4, 0.6, 0.2, -0.1)
_CENTRES = np.linspace(-2.0, 2.0, 8)
_STEP = 4.0 / 7.0


def _coefficients(count: int) -> list[Parameter]:
    return [Parameter(f"c{k}", value) for k, value in enumerate(_WEIGHTS[:count])]


def _cubic_spline(t: Any) -> Any:
    """The uniform cubic B-spline with knots 0, 1, 2, 3, 4."""
    size = np.minimum(np.abs(t - 2.0), 2.0)
    near = 2.0 / 3.0 - size * size + 0.5 * size**3
    return np.where(size < 1, near, (2.0 - size) ** 3 / 6.0)


def _spline_edge(x: Any, base: Any, spline: Any, *c: Any) -> Any:
    # eight splines on the grid of five intervals of width 0.4 over [-1, 1]
    total = sum(value * _cubic_spline((x + 2.2) / 0.4 - k) for k, value in enumerate(c))
    return base * x * sigmoid(x) + spline * total


def _radial_edge(x: Any, *c: Any) -> Any:
    return sum(
        value * np.exp(-(((x - centre) / _STEP) ** 2))
        for value, centre in zip(c, _CENTRES, strict=True)
    )


def _relu_edge(x: Any, s: Any, e: Any) -> Any:
    return (relu(e - x) * relu(x - s)) ** 2 * 16.0 / (e - s) ** 4


def _chebyshev_edge(x: Any, *c: Any) -> Any:
    t = np.tanh(x)
    return polynomial(t, c[0] - c[2], c[1] - 3.0 * c[3], 2.0 * c[2], 4.0 * c[3])


def _legendre_edge(x: Any, *c: Any) -> Any:
    t = np.tanh(x)
    return polynomial(t, c[0] - 0.5 * c[2], c[1] - 1.5 * c[3], 1.5 * c[2], 2.5 * c[3])


def _fourier_edge(x: Any, a1: Any, b1: Any, a2: Any, b2: Any) -> Any:
    return a1 * np.cos(x) + b1 * np.sin(x) + a2 * np.cos(2.0 * x) + b2 * np.sin(2.0 * x)


def _sine_edge(x: Any, w1: Any, w2: Any, a1: Any, a2: Any, p1: Any, p2: Any) -> Any:
    return a1 * np.sin(w1 * x + p1) + a2 * np.sin(w2 * x + p2)


def _wavelet_edge(x: Any, s: Any, t: Any, w: Any) -> Any:
    u = (x - t) / s
    return w * 2.0 / (np.sqrt(3.0) * np.pi**0.25) * (u * u - 1.0) * np.exp(-0.5 * u * u)


ENTRIES = (
    entry(
        "BSplineKAN",
        "base x sigmoid(x) + spline sum c_k B_k(x), cubic B-splines on a grid of 5 over [-1, 1]",
        _spline_edge,
        arxiv("Liu et al.", "KAN: Kolmogorov-Arnold Networks", "2404.19756"),
        Parameter("base", 1.0),
        Parameter("spline", 1.0),
        *_coefficients(8),
        aliases=("KAN",),
    ),
    entry(
        "FastKAN",
        "sum c_k exp(-((x - g_k) / h)^2), 8 centres g_k over [-2, 2], h = 4/7",
        _radial_edge,
        arxiv("Li", "Kolmogorov-Arnold Networks are Radial Basis Function Networks", "2405.06721"),
        *_coefficients(8),
    ),
    entry(
        "ReLUKAN",
        "16 (max(e - x, 0) max(x - s, 0))^2 / (e - s)^4",
        _relu_edge,
        arxiv(
            "Qiu et al.",
            "ReLU-KAN: New Kolmogorov-Arnold Networks that Only Need Matrix "
            "Addition, Dot Multiplication, and ReLU",
            "2406.02075",
        ),
        Parameter("s", -1.0, -np.inf, 0.0),
        Parameter("e", 1.0, TINY),
    ),
    entry(
        "FourierKAN",
        "a1 cos(x) + b1 sin(x) + a2 cos(2 x) + b2 sin(2 x)",
        _fourier_edge,
        arxiv(
            "Xu et al.",
            "FourierKAN-GCF: Fourier Kolmogorov-Arnold Network - An Effective and "
            "Efficient Feature Transformation for Graph Collaborative Filtering",
            "2406.01034",
        ),
        Parameter("a1", 0.3),
        Parameter("b1", -0.2),
        Parameter("a2", 0.5),
        Parameter("b2", 0.1),
    ),
    entry(
        "SineKAN",
        "a1 sin(w1 x + p1) + a2 sin(w2 x + p2)",
        _sine_edge,
        arxiv(
            "Reinhardt et al.",
            "SineKAN: Kolmogorov-Arnold Networks Using Sinusoidal Activation Functions",
            "2407.04149",
        ),
        Parameter("w1", 1.0),
        Parameter("w2", 2.0),
        Parameter("a1", 0.6),
        Parameter("a2", -0.3),
        Parameter("p1", 0.2),
        Parameter("p2", 0.7),
    ),
    entry(
        "ChebyshevKAN",
        "c0 T0(t) + ... + c3 T3(t), Chebyshev polynomials, t = tanh(x)",
        _chebyshev_edge,
        arxiv(
            "Sidharth et al.",
            "Chebyshev Polynomial-Based Kolmogorov-Arnold Networks: An "
            "Efficient Architecture for Nonlinear Function Approximation",
            "2405.07200",
        ),
        *_coefficients(4),
    ),
    entry(
        "LegendreKAN",
        "c0 P0(t) + ... + c3 P3(t), Legendre polynomials, t = tanh(x)",
        _legendre_edge,
        ELEMENTARY,
        *_coefficients(4),
    ),
    entry(
        "WaveletKAN",
        "w 2 (u^2 - 1) exp(-u^2 / 2) / (sqrt(3) pi^(1/4)), u = (x - t) / s",
        _wavelet_edge,
        arxiv("Bozorgasl and Chen", "Wav-KAN: Wavelet Kolmogorov-Arnold Networks", "2405.12832"),
        Parameter("s", 1.5, TINY),
        Parameter("t", 0.3),
        Parameter("w", 1.0),
        aliases=("WavKAN",),
    ),
)
