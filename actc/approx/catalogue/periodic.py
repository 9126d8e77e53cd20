"""Periodic and growing oscillating functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from actc.approx.catalogue.entry import TINY, Parameter, Source, arxiv, entry
from actc.approx.catalogue.shared import sigmoid

_OSCILLATING = arxiv(
    "Noel et al.",
    "Biologically Inspired Oscillating Activation Functions Can Bridge the "
    "Performance Gap between Biological and Artificial Neurons",
    "2111.04020",
)


def _sinc(x: Any) -> Any:
    return np.sinc(x / np.pi)


_CLASSIC = (
    entry(
        "Snake",
        "x + sin(a x)^2 / a",
        lambda x, a: x + np.sin(a * x) ** 2 / a,
        arxiv(
            "Ziyin et al.",
            "Neural Networks Fail to Learn Periodic Functions and How to Fix It",
            "2006.08195",
        ),
        Parameter("a", 1.0, TINY),
        searched=True,
    ),
    entry(
        "GrowingCosine",
        "x cos(x)",
        lambda x: x * np.cos(x),
        arxiv(
            "Noel et al.",
            "Growing Cosine Unit: A Novel Oscillatory Activation Function That Can "
            "Speedup Training and Reduce Parameters in Convolutional Neural Networks",
            "2108.12943",
        ),
        searched=True,
        aliases=("GCU",),
    ),
    entry(
        "SPDER",
        "sin(x) sqrt(|x|)",
        lambda x: np.sin(x) * np.sqrt(np.abs(x)),
        arxiv(
            "Shah and Sitawarin",
            "SPDER: Semiperiodic Damping-Enabled Object Representation",
            "2306.15242",
        ),
        searched=True,
    ),
    entry(
        "SinLU",
        "(x + a sin(b x)) sigmoid(x)",
        lambda x, a, b: (x + a * np.sin(b * x)) * sigmoid(x),
        Source("Paul et al.", "SinLU: Sinu-Sigmoidal Linear Unit", "Mathematics 10", 2022),
        Parameter("a", 1.0),
        Parameter("b", 1.0),
        searched=True,
    ),
    entry(
        "Elephant",
        "1 / (1 + |x / a|^d)",
        lambda x, a, d: 1.0 / (1.0 + np.abs(x / a) ** d),
        arxiv(
            "Lan and Mahmood",
            "Elephant Neural Networks: Born to Be a Continual Learner",
            "2310.01365",
        ),
        Parameter("a", 1.0, TINY),
        Parameter("d", 4.0, TINY),
        searched=True,
    ),
)

_VARIANTS = (
    entry(
        "SnakeBeta",
        "x + sin(alpha x)^2 / beta",
        lambda x, alpha, beta: x + np.sin(alpha * x) ** 2 / beta,
        arxiv(
            "Lee et al.",
            "BigVGAN: A Universal Neural Vocoder with Large-Scale Training",
            "2206.04658",
        ),
        Parameter("alpha", 1.0),
        Parameter("beta", 2.0, TINY),
    ),
    entry(
        "SIREN",
        "sin(omega x)",
        lambda x, omega: np.sin(omega * x),
        arxiv(
            "Sitzmann et al.",
            "Implicit Neural Representations with Periodic Activation Functions",
            "2006.09661",
        ),
        Parameter("omega", 30.0),
    ),
    entry(
        "FINER",
        "sin(omega (1 + |x|) x), omega = 30 in the paper's code",
        lambda x, omega: np.sin(omega * (1.0 + np.abs(x)) * x),
        arxiv(
            "Liu et al.",
            "FINER: Flexible spectral-bias tuning in Implicit NEural Representation "
            "by Variable-periodic Activation Functions",
            "2312.02434",
        ),
        Parameter("omega", 1.0),
    ),
    entry(
        "HOSC",
        "tanh(beta sin(x))",
        lambda x, beta: np.tanh(beta * np.sin(x)),
        arxiv(
            "Serrano et al.",
            "HOSC: A Periodic Activation Function for Preserving Sharp Features "
            "in Implicit Neural Representations",
            "2401.10967",
        ),
        Parameter("beta", 2.0),
    ),
    entry("SQU", "x^2 + x", lambda x: x * x + x, _OSCILLATING),
    entry("NCU", "x - x^3", lambda x: x - x**3, _OSCILLATING),
    entry(
        "DSU",
        "pi (sinc(x - pi) - sinc(x + pi)) / 2, sinc(t) = sin(t) / t",
        lambda x: 0.5 * np.pi * (_sinc(x - np.pi) - _sinc(x + np.pi)),
        _OSCILLATING,
    ),
    entry(
        "SSU",
        "pi sinc(x - pi), sinc(t) = sin(t) / t",
        lambda x: np.pi * _sinc(x - np.pi),
        _OSCILLATING,
    ),
    entry(
        "FourierBasis",
        "a0 + a1 cos(x) + b1 sin(x) + a2 cos(2 x) + b2 sin(2 x)",
        lambda x, a0, a1, b1, a2, b2: (
            a0 + a1 * np.cos(x) + b1 * np.sin(x) + a2 * np.cos(2.0 * x) + b2 * np.sin(2.0 * x)
        ),
        arxiv(
            "Khalfaoui-Hassani and Kesselheim",
            "Polynomial, trigonometric, and tropical activations",
            "2502.01247",
        ),
        Parameter("a0", 0.5),
        Parameter("a1", -0.4),
        Parameter("b1", 0.6),
        Parameter("a2", 0.1),
        Parameter("b2", -0.2),
        aliases=("Fourier",),
    ),
)

ENTRIES = _CLASSIC + _VARIANTS
