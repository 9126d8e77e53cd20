"""Self-gated units: x times a gate."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from actc.approx.catalogue.entry import Parameter, Source, arxiv, entry
from actc.approx.catalogue.shared import gelu, sigmoid, softplus

_GELU = arxiv("Hendrycks and Gimpel", "Gaussian Error Linear Units (GELUs)", "1606.08415")


def _elish(x: Any) -> Any:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))) * sigmoid(x)


ENTRIES = (
    entry("GELU", "x (1 + erf(x / sqrt(2))) / 2", gelu, _GELU, searched=True),
    entry(
        "TanhGELU",
        "x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2",
        lambda x: x * sigmoid(2.0 * np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3)),
        _GELU,
        searched=True,
    ),
    entry(
        "QuickGELU", "x sigmoid(1.702 x)", lambda x: x * sigmoid(1.702 * x), _GELU, searched=True
    ),
    entry(
        "SiLU",
        "x sigmoid(x)",
        lambda x: x * sigmoid(x),
        arxiv(
            "Elfwing et al.",
            "Sigmoid-Weighted Linear Units for Neural Network Function Approximation in "
            "Reinforcement Learning",
            "1702.03118",
        ),
        searched=True,
    ),
    entry(
        "Swish",
        "x sigmoid(beta x)",
        lambda x, beta: x * sigmoid(beta * x),
        arxiv("Ramachandran et al.", "Searching for Activation Functions", "1710.05941"),
        Parameter("beta", 1.0),
        searched=True,
    ),
    entry(
        "Mish",
        "x tanh(softplus(x))",
        lambda x: x * np.tanh(softplus(x)),
        arxiv("Misra", "Mish: A Self Regularized Non-Monotonic Activation Function", "1908.08681"),
        searched=True,
    ),
    entry(
        "GoLU",
        "x exp(-exp(-x))",
        lambda x: x * np.exp(-np.exp(-x)),
        arxiv(
            "Das et al.",
            "Gompertz Linear Units: Leveraging Asymmetry for Enhanced Learning Dynamics",
            "2502.03654",
        ),
        searched=True,
    ),
    entry(
        "TanhExp",
        "x tanh(exp(x))",
        lambda x: x * np.tanh(np.exp(x)),
        arxiv(
            "Liu and Di",
            "TanhExp: A Smooth Activation Function with High Convergence Speed for Lightweight "
            "Neural Networks",
            "2003.09855",
        ),
        searched=True,
        aliases=("TeLU",),
    ),
    entry(
        "LiSHT",
        "x tanh(x)",
        lambda x: x * np.tanh(x),
        arxiv(
            "Roy et al.",
            "LiSHT: Non-Parametric Linearly Scaled Hyperbolic Tangent Activation Function for "
            "Neural Networks",
            "1901.05894",
        ),
        searched=True,
    ),
    entry(
        "ELiSH",
        "x sigmoid(x) if x > 0 else (exp(x) - 1) sigmoid(x)",
        _elish,
        arxiv("Basirat and Roth", "The Quest for the Golden Activation Function", "1808.00783"),
        searched=True,
    ),
    entry(
        "Logish",
        "x ln(1 + sigmoid(x))",
        lambda x: x * np.log1p(sigmoid(x)),
        Source(
            "Zhu et al.",
            "Logish: A new nonlinear nonmonotonic activation function for convolutional neural "
            "network",
            "Neurocomputing 458",
            2021,
        ),
        searched=True,
    ),
    entry(
        "Smish",
        "x tanh(ln(1 + sigmoid(x)))",
        lambda x: x * np.tanh(np.log1p(sigmoid(x))),
        Source(
            "Wang et al.",
            "Smish: A Novel Activation Function for Deep Learning Methods",
            "Electronics 11",
            2022,
        ),
        searched=True,
    ),
    entry(
        "Serf",
        "x erf(ln(1 + exp(x)))",
        lambda x: x * special.erf(softplus(x)),
        arxiv(
            "Nag et al.",
            "SERF: Towards better training of deep neural networks using log-Softplus ERror "
            "activation Function",
            "2108.09598",
        ),
        searched=True,
    ),
    entry(
        "Phish",
        "x tanh(gelu(x))",
        lambda x: x * np.tanh(gelu(x)),
        Source("Naveen", "Phish: A Novel Hyper-Optimizable Activation Function", "TechRxiv", 2022),
        searched=True,
    ),
    entry(
        "CoLU",
        "x / (1 - x exp(-(x + exp(x))))",
        lambda x: x / (1.0 - x * np.exp(-(x + np.exp(x)))),
        arxiv("Vagerwal", "Deeper Learning with CoLU Activation", "2112.12078"),
        searched=True,
    ),
)
