"""Sigmoids: bounded or slowly growing monotone functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from actc.approx.catalogue.entry import ELEMENTARY, TINY, Parameter, Source, arxiv, entry
from actc.approx.catalogue.shared import sigmoid, softplus
from actc.approx.catalogue.sigmoid_gates import apa

_TRANSFER = Source(
    "Gomes and Ludermir",
    "Complementary Log-Log and Probit: Activation Functions Implemented in Artificial Neural "
    "Networks",
    "HIS",
    2008,
)


def _tree_step(x: Any, gamma: Any) -> Any:
    t = np.clip(x / gamma, -0.5, 0.5)
    return -2.0 * t**3 + 1.5 * t + 0.5


def _square_nonlinearity(x: Any) -> Any:
    t = np.clip(x, -2.0, 2.0)
    return t - 0.25 * t * np.abs(t)


def _softclip(x: Any, alpha: Any) -> Any:
    return (softplus(alpha * x) - softplus(alpha * (x - 1.0))) / alpha


def _resech(x: Any) -> Any:
    size = np.abs(x)
    return 2.0 * x * np.exp(-size) / (1.0 + np.exp(-2.0 * size))


ENTRIES = (
    entry(
        "TemperedSigmoid",
        "s sigmoid(T x) - o",
        lambda x, s, t, o: s * sigmoid(t * x) - o,
        arxiv(
            "Papernot et al.",
            "Tempered Sigmoid Activations for Deep Learning with Differential Privacy",
            "2007.14191",
        ),
        Parameter("s", 1.58),
        Parameter("T", 3.0),
        Parameter("o", 0.71),
    ),
    entry(
        "APA",
        "(lambda exp(-kappa x) + 1)^(-1 / lambda)",
        apa,
        arxiv(
            "Alexandridis et al.",
            "Adaptive Parametric Activation: Unifying and Generalising Activation Functions Across "
            "Tasks",
            "2407.08567",
        ),
        Parameter("kappa", 1.0, TINY),
        Parameter("lambda", 0.5, TINY),
    ),
    entry(
        "PenalizedTanh",
        "tanh(x) if x > 0 else a tanh(x)",
        lambda x, a: np.where(x > 0, 1.0, a) * np.tanh(x),
        arxiv("Xu et al.", "Revise Saturated Activation Functions", "1602.05980"),
        Parameter("a", 0.25),
    ),
    entry(
        "DyT",
        "gamma tanh(alpha x) + beta",
        lambda x, alpha, gamma, beta: gamma * np.tanh(alpha * x) + beta,
        arxiv("Zhu et al.", "Transformers without Normalization", "2503.10622"),
        Parameter("alpha", 0.5),
        Parameter("gamma", 1.0),
        Parameter("beta", 0.0),
    ),
    entry(
        "LaplaceActivation",
        "(1 + erf((x - mean) / (deviation sqrt(2)))) / 2",
        lambda x, mean, deviation: special.ndtr((x - mean) / deviation),
        arxiv("Ma et al.", "Mega: Moving Average Equipped Gated Attention", "2209.10655"),
        Parameter("mean", 0.7071067811865476),
        Parameter("deviation", 0.28209479177387814, TINY),
    ),
    entry("Probit", "(1 + erf(x / sqrt(2))) / 2", special.ndtr, _TRANSFER, aliases=("NormalCDF",)),
    entry(
        "ComplementaryLogLog",
        "1 - exp(-exp(x))",
        lambda x: -np.expm1(-np.exp(x)),
        _TRANSFER,
        aliases=("CLogLog",),
    ),
    entry(
        "LogLog", "exp(-exp(-x))", lambda x: np.exp(-np.exp(-x)), ELEMENTARY, aliases=("Gompertz",)
    ),
    entry(
        "ArandaOrdaz",
        "1 - (1 + alpha exp(x))^(-1 / alpha)",
        lambda x, alpha: -np.expm1(-np.logaddexp(0.0, np.log(alpha) + x) / alpha),
        Source(
            "Aranda-Ordaz",
            "On two families of transformations to additivity for binary response data",
            "Biometrika 68",
            1981,
        ),
        Parameter("alpha", 0.5, TINY),
    ),
    entry(
        "BipolarSigmoid", "(1 - exp(-x)) / (1 + exp(-x))", lambda x: np.tanh(0.5 * x), ELEMENTARY
    ),
    entry(
        "NormalizedArctan",
        "2 arctan(pi x / 2) / pi",
        lambda x: 2.0 / np.pi * np.arctan(0.5 * np.pi * x),
        ELEMENTARY,
    ),
    entry(
        "Elliott",
        "x / (2 (1 + |x|)) + 1/2",
        lambda x: 0.5 * x / (1.0 + np.abs(x)) + 0.5,
        Source(
            "Elliott",
            "A better activation function for artificial neural networks",
            "Technical Report TR 93-8, University of Maryland",
            1993,
        ),
    ),
    entry(
        "RootSigmoid",
        "x / (1 + sqrt(1 + x^2))",
        lambda x: x / (1.0 + np.hypot(1.0, x)),
        Source(
            "Duch and Jankowski",
            "Survey of neural transfer functions",
            "Neural Computing Surveys 2",
            1999,
        ),
    ),
    entry(
        "SQNL",
        "x - x |x| / 4 for x clipped to [-2, 2]",
        _square_nonlinearity,
        Source(
            "Wuraola and Patel",
            "SQNL: A New Computationally Efficient Activation Function",
            "IJCNN",
            2018,
        ),
    ),
    entry(
        "Softclip",
        "ln((1 + exp(alpha x)) / (1 + exp(alpha (x - 1)))) / alpha",
        _softclip,
        arxiv(
            "Klimek and Perelstein",
            "Neural Network-Based Approach to Phase Space Integration",
            "1810.11509",
        ),
        Parameter("alpha", 5.0, TINY),
    ),
    entry(
        "SmoothStep",
        "-2 t^3 + 3 t / 2 + 1/2, t = x / gamma clipped to [-1/2, 1/2]",
        _tree_step,
        arxiv(
            "Hazimeh et al.",
            "The Tree Ensemble Layer: Differentiability meets Conditional Computation",
            "2002.07772",
        ),
        Parameter("gamma", 1.0, TINY),
    ),
    entry(
        "Symlog",
        "sign(x) ln(1 + |x|)",
        lambda x: np.copysign(np.log1p(np.abs(x)), x),
        arxiv("Hafner et al.", "Mastering Diverse Domains through World Models", "2301.04104"),
    ),
    entry(
        "ReSech",
        "x / cosh(x)",
        _resech,
        Source(
            "Njikam and Zhao",
            "A novel activation function for multilayer feed-forward neural networks",
            "Applied Intelligence 45",
            2016,
        ),
    ),
)
