"""Thresholding functions: sparsity, shrinkage and out-of-distribution detection."""

from __future__ import annotations

from typing import Any

import numpy as np

from actc.approx.catalogue.entry import Parameter, Source, arxiv, entry
from actc.approx.catalogue.shared import relu, sigmoid

_VRA = arxiv(
    "Xu et al.",
    "VRA: Variational Rectified Activation for Out-of-distribution Detection",
    "2302.11716",
)


def _cats(x: Any, t: Any) -> Any:
    y = x * sigmoid(x)
    return np.where(np.abs(y) >= t, y, 0.0)


def _garrote(x: Any, t: Any) -> Any:
    size = np.abs(x)
    return np.where(size > t, x - t * t / np.where(size > t, x, 1.0), 0.0)


def _firm(x: Any, low: Any, high: Any) -> Any:
    size = np.abs(x)
    middle = np.sign(x) * high * (size - low) / (high - low)
    return np.where(size <= low, 0.0, np.where(size > high, x, middle))


def _scad(x: Any, t: Any, a: Any) -> Any:
    size = np.abs(x)
    soft = np.sign(x) * relu(size - t)
    middle = ((a - 1.0) * x - np.sign(x) * a * t) / (a - 2.0)
    return np.where(size <= 2.0 * t, soft, np.where(size <= a * t, middle, x))


def _vra(x: Any, low: Any, high: Any, gain: Any) -> Any:
    return np.where(x < low, 0.0, np.where(x > high, high, x + gain))


ENTRIES = (
    entry(
        "JumpReLU",
        "x if x > theta else 0, theta learned",
        lambda x, theta: np.where(x > theta, x, 0.0),
        arxiv(
            "Rajamanoharan et al.",
            "Jumping Ahead: Improving Reconstruction Fidelity with JumpReLU Sparse Autoencoders",
            "2407.14435",
        ),
        Parameter("theta", 0.5),
    ),
    entry(
        "FATReLU",
        "x if x >= T else 0",
        lambda x, t: np.where(x >= t, x, 0.0),
        Source(
            "Kurtz et al.",
            "Inducing and Exploiting Activation Sparsity for Fast Inference on Deep "
            "Neural Networks",
            "ICML",
            2020,
        ),
        Parameter("T", 0.3),
    ),
    entry(
        "TopKThreshold",
        "x if x >= t else 0; inference form, t the fixed k-th largest value",
        lambda x, t: np.where(x >= t, x, 0.0),
        arxiv("Makhzani and Frey", "k-Sparse Autoencoders", "1312.5663"),
        Parameter("t", 0.8),
        aliases=("TopK", "kSparse"),
    ),
    entry(
        "CATS",
        "SiLU(x) if |SiLU(x)| >= t else 0",
        _cats,
        arxiv(
            "Lee et al.",
            "CATS: Contextually-Aware Thresholding for Sparsity in Large Language Models",
            "2404.08763",
        ),
        Parameter("t", 0.1, 0.0),
    ),
    entry(
        "TEAL",
        "x if |x| > t else 0",
        lambda x, t: np.where(np.abs(x) > t, x, 0.0),
        arxiv(
            "Liu et al.", "Training-Free Activation Sparsity in Large Language Models", "2408.14690"
        ),
        Parameter("t", 0.3, 0.0),
    ),
    entry(
        "GarroteShrink",
        "x - t^2 / x if |x| > t else 0",
        _garrote,
        Source(
            "Gao",
            "Wavelet Shrinkage Denoising Using the Non-Negative Garrote",
            "J. Computational and Graphical Statistics 7",
            1998,
        ),
        Parameter("t", 0.5, 0.0),
    ),
    entry(
        "FirmShrink",
        "0 if |x| <= low, x if |x| > high, else sign(x) high (|x| - low) / (high - low)",
        _firm,
        Source("Gao and Bruce", "WaveShrink with firm shrinkage", "Statistica Sinica 7", 1997),
        Parameter("low", 0.5, 0.0, 0.99),
        Parameter("high", 1.5, 1.0),
    ),
    entry(
        "SCADThreshold",
        "soft(x, t) if |x| <= 2 t, x if |x| > a t, else ((a - 1) x - sign(x) a t) / (a - 2)",
        _scad,
        Source(
            "Fan and Li",
            "Variable Selection via Nonconcave Penalized Likelihood and its Oracle Properties",
            "J. American Statistical Association 96",
            2001,
        ),
        Parameter("t", 0.5, 0.0),
        Parameter("a", 3.7, 2.01),
    ),
    entry(
        "ReAct",
        "min(x, c)",
        lambda x, c: np.minimum(x, c),
        arxiv(
            "Sun et al.",
            "ReAct: Out-of-distribution Detection With Rectified Activations",
            "2111.12797",
        ),
        Parameter("c", 1.5),
    ),
    entry(
        "VRA",
        "0 if x < alpha, beta if x > beta, else x",
        lambda x, low, high: _vra(x, low, high, 0.0),
        _VRA,
        Parameter("alpha", 0.5),
        Parameter("beta", 2.0),
    ),
    entry(
        "VRAPlus",
        "0 if x < alpha, beta if x > beta, else x + gamma",
        _vra,
        _VRA,
        Parameter("alpha", 0.5),
        Parameter("beta", 2.0),
        Parameter("gamma", 0.3),
        aliases=("VRA+",),
    ),
)
