"""Published variants of the self-gated units."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from actc.approx.catalogue.entry import TINY, Parameter, Source, arxiv, entry
from actc.approx.catalogue.shared import arctan_gate, gelu, hard_sigmoid, sigmoid, softplus

_EXPANDED = arxiv("Huang", "Expanded Gating Ranges Improve Activation Functions", "2405.20768")
_TANHSOFT = arxiv(
    "Biswas et al.",
    "TanhSoft: a family of activation functions combining Tanh and Softplus",
    "2009.03863",
)
_ERFACT = arxiv(
    "Biswas et al.",
    "ErfAct and Pserf: Non-monotonic Smooth Trainable Activation Functions",
    "2109.04386",
)
_SEARCH = arxiv("Ramachandran et al.", "Searching for Activation Functions", "1710.05941")
_MEAN = Parameter("mean", 0.0)
_DEVIATION = Parameter("deviation", 1.0, TINY)


def apa(x: Any, kappa: Any, lambda_: Any) -> Any:
    """(lambda exp(-kappa x) + 1)^(-1 / lambda), through logarithms without overflow."""
    return np.exp(-np.logaddexp(0.0, np.log(lambda_) - kappa * x) / lambda_)


def _acon(x: Any, p1: Any, p2: Any, beta: Any) -> Any:
    return (p1 - p2) * x * sigmoid(beta * (p1 - p2) * x) + p2 * x


def _dice(x: Any, alpha: Any, mean: Any, deviation: Any) -> Any:
    gate = sigmoid((x - mean) / deviation)
    return x * (gate + alpha * (1.0 - gate))


def _velu(x: Any, alpha: Any, b1: Any, b2: Any, gamma: Any, mu: Any, s: Any) -> Any:
    angle = np.arctan(b1 * x) + np.arcsin(np.clip(b2 * x, -1.0, 1.0))
    return x * sigmoid(alpha * angle) * (1.0 + gamma * np.tanh(mu * s))


def _hard_ash(x: Any, alpha: Any, z: Any, mean: Any, deviation: Any) -> Any:
    return np.clip(x, 0.0, 2.0) * hard_sigmoid(alpha * (x - mean - z * deviation))


def _hard_elish(x: Any) -> Any:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))) * hard_sigmoid(x, 0.5, 0.5)


def _swish_gradient(x: Any) -> Any:
    return sigmoid(x) * (1.0 + x * sigmoid(-x))


def _gish(x: Any) -> Any:
    # 2 - exp(-exp(x)) = 1 + (1 - exp(-exp(x)))
    return x * np.log1p(-np.expm1(-np.exp(x)))


ENTRIES = (
    entry(
        "ATLU",
        "x (arctan(x) / pi + 1/2)",
        lambda x: x * arctan_gate(x),
        _EXPANDED,
        aliases=("ArcTanLU",),
    ),
    entry(
        "xATLU",
        "x ((1 + 2 alpha) (arctan(x) / pi + 1/2) - alpha)",
        lambda x, alpha: x * ((1.0 + 2.0 * alpha) * arctan_gate(x) - alpha),
        _EXPANDED,
        Parameter("alpha", 0.2),
    ),
    entry(
        "xGELU",
        "x ((1 + 2 alpha) (1 + erf(x / sqrt(2))) / 2 - alpha)",
        lambda x, alpha: (1.0 + 2.0 * alpha) * gelu(x) - alpha * x,
        _EXPANDED,
        Parameter("alpha", 0.2),
    ),
    entry(
        "xSiLU",
        "x ((1 + 2 alpha) sigmoid(x) - alpha)",
        lambda x, alpha: x * ((1.0 + 2.0 * alpha) * sigmoid(x) - alpha),
        _EXPANDED,
        Parameter("alpha", 0.2),
    ),
    entry(
        "AGLU",
        "x (lambda exp(-kappa x) + 1)^(-1 / lambda)",
        lambda x, kappa, lambda_: x * apa(x, kappa, lambda_),
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
        "MittagLefflerUnit",
        "x E(-exp(-x)), E(-z) = exp(z^2) erfc(z) the Mittag-Leffler function of order 1/2 "
        "(order 0 gives SiLU, order 1 GoLU)",
        lambda x: x * special.erfcx(np.exp(-x)),
        arxiv(
            "Mostafanejad",
            "Unification of popular artificial neural network activation functions",
            "2302.11007",
        ),
    ),
    entry(
        "ASH",
        "x sigmoid(alpha (x - mean - z deviation)); inference form, statistics fixed",
        lambda x, alpha, z, mean, deviation: x * sigmoid(alpha * (x - mean - z * deviation)),
        arxiv("Lee et al.", "Stochastic Adaptive Activation Function", "2210.11672"),
        Parameter("alpha", 2.0, 0.0),
        Parameter("z", 0.5),
        _MEAN,
        _DEVIATION,
    ),
    entry(
        "HardASH",
        "min(max(x, 0), 2) min(max(alpha (x - mean - z deviation) + 3, 0), 6) / 6; inference "
        "form, statistics fixed",
        _hard_ash,
        arxiv(
            "Keskinen",
            "Hard ASH: Sparsity and the right optimizer make a continual learner",
            "2404.17651",
        ),
        Parameter("alpha", 3.0, 0.0),
        Parameter("z", 2.3),
        _MEAN,
        _DEVIATION,
    ),
    entry(
        "Dice",
        "p x + (1 - p) alpha x, p = sigmoid((x - mean) / deviation); inference form, statistics "
        "fixed",
        _dice,
        arxiv(
            "Zhou et al.", "Deep Interest Network for Click-Through Rate Prediction", "1706.06978"
        ),
        Parameter("alpha", 0.25),
        _MEAN,
        _DEVIATION,
    ),
    entry(
        "VeLU",
        "x sigmoid(alpha (arctan(b1 x) + arcsin(b2 x))) (1 + gamma tanh(mu s)), arcsin's argument "
        "clipped to [-1, 1]; inference form, s the fixed reciprocal of the root mean square",
        _velu,
        arxiv(
            "Shakarami et al.",
            "VeLU: Variance-enhanced Learning Unit for Deep Neural Networks",
            "2504.15051",
        ),
        Parameter("alpha", 2.0),
        Parameter("b1", 1.0),
        Parameter("b2", 0.7),
        Parameter("gamma", 0.1),
        Parameter("mu", 0.9),
        Parameter("s", 1.0, 0.0),
    ),
    entry(
        "BSiLU",
        "(x + alpha) sigmoid(x) - alpha / 2",
        lambda x, alpha: (x + alpha) * sigmoid(x) - 0.5 * alpha,
        arxiv("Horuz et al.", "The Resurrection of the ReLU", "2505.22074"),
        Parameter("alpha", 1.67),
    ),
    entry(
        "SiLUGradient",
        "sigmoid(x) (1 + x (1 - sigmoid(x)))",
        _swish_gradient,
        arxiv(
            "Elfwing et al.",
            "Sigmoid-Weighted Linear Units for Neural Network Function Approximation in "
            "Reinforcement Learning",
            "1702.03118",
        ),
        aliases=("dSiLU",),
    ),
    entry(
        "ESwish",
        "beta x sigmoid(x)",
        lambda x, beta: beta * x * sigmoid(x),
        arxiv(
            "Alcaide", "E-swish: Adjusting Activations to Different Network Depths", "1801.07145"
        ),
        Parameter("beta", 1.375),
    ),
    entry(
        "FTSwish",
        "x sigmoid(x) + T if x > 0 else T",
        lambda x, t: np.where(x > 0, x * sigmoid(x), 0.0) + t,
        arxiv(
            "Chieng et al.",
            "Flatten-T Swish: a thresholded ReLU-Swish-like activation function for deep learning",
            "1812.06247",
        ),
        Parameter("T", -0.2),
        aliases=("FlattenTSwish",),
    ),
    entry(
        "SwishT",
        "x sigmoid(beta x) + alpha tanh(x)",
        lambda x, beta, alpha: x * sigmoid(beta * x) + alpha * np.tanh(x),
        arxiv(
            "Seo et al.",
            "Swish-T: Enhancing Swish Activation with Tanh Bias for Improved Neural Network "
            "Performance",
            "2407.01012",
        ),
        Parameter("beta", 1.0),
        Parameter("alpha", 0.1),
    ),
    entry(
        "ARiA2",
        "x (1 + exp(-beta x))^(-alpha)",
        lambda x, alpha, beta: x * np.exp(-alpha * softplus(-beta * x)),
        arxiv(
            "Patwardhan et al.",
            "ARiA: Utilizing Richard's Curve for Controlling the Non-monotonicity of the "
            "Activation Function in Deep Neural Nets",
            "1805.08878",
        ),
        Parameter("alpha", 1.5, 0.0),
        Parameter("beta", 2.0, 0.0),
    ),
    entry(
        "ACON",
        "(p1 - p2) x sigmoid(beta (p1 - p2) x) + p2 x",
        _acon,
        arxiv("Ma et al.", "Activate or Not: Learning Customized Activation", "2009.04759"),
        Parameter("p1", 1.2),
        Parameter("p2", -0.3),
        Parameter("beta", 1.0),
        aliases=("ACON-C",),
    ),
    entry(
        "HardELiSH",
        "max(x, exp(min(x, 0)) - 1) min(max((x + 1) / 2, 0), 1)",
        _hard_elish,
        arxiv("Basirat and Roth", "The Quest for the Golden Activation Function", "1808.00783"),
    ),
    entry(
        "SGELU",
        "alpha x erf(x / sqrt(2))",
        lambda x, alpha: alpha * x * special.erf(x / np.sqrt(2.0)),
        arxiv(
            "Yu and Su",
            "Symmetrical Gaussian Error Linear Units (SGELUs)",
            "1911.03925",
        ),
        Parameter("alpha", 1.0),
    ),
    entry(
        "TanhSoft1",
        "tanh(alpha x) softplus(x)",
        lambda x, alpha: np.tanh(alpha * x) * softplus(x),
        _TANHSOFT,
        Parameter("alpha", 0.87),
    ),
    entry(
        "TanhSoft2",
        "x tanh(beta exp(gamma x))",
        lambda x, beta, gamma: x * np.tanh(beta * np.exp(gamma * x)),
        _TANHSOFT,
        Parameter("beta", 0.6, 0.0),
        Parameter("gamma", 1.0, 0.0),
    ),
    entry(
        "ErfAct",
        "x erf(alpha exp(beta x))",
        lambda x, alpha, beta: x * special.erf(alpha * np.exp(beta * x)),
        _ERFACT,
        Parameter("alpha", 0.75, 0.0),
        Parameter("beta", 0.75, 0.0),
    ),
    entry(
        "Pserf",
        "x erf(gamma ln(1 + exp(delta x)))",
        lambda x, gamma, delta: x * special.erf(gamma * softplus(delta * x)),
        _ERFACT,
        Parameter("gamma", 1.25, 0.0),
        Parameter("delta", 0.85, 0.0),
    ),
    entry(
        "Gish",
        "x ln(2 - exp(-exp(x)))",
        _gish,
        Source(
            "Kaytan et al.",
            "Gish: a novel activation function for image classification",
            "Neural Computing and Applications 35",
            2023,
        ),
    ),
    entry(
        "CosLU",
        "(x + alpha cos(beta x)) sigmoid(x)",
        lambda x, alpha, beta: (x + alpha * np.cos(beta * x)) * sigmoid(x),
        Source("Pishchik", "Trainable Activations for Image Classification", "Preprints.org", 2023),
        Parameter("alpha", 1.0),
        Parameter("beta", 1.0),
    ),
    entry("MaxSigmoid", "max(x, sigmoid(x))", lambda x: np.maximum(x, sigmoid(x)), _SEARCH),
    entry("MaxTanh", "max(x, tanh(x))", lambda x: np.maximum(x, np.tanh(x)), _SEARCH),
    entry("MinSine", "min(x, sin(x))", lambda x: np.minimum(x, np.sin(x)), _SEARCH),
    entry("CosMinusX", "cos(x) - x", lambda x: np.cos(x) - x, _SEARCH, aliases=("Cosid",)),
    entry(
        "ArctanSquaredMinusX",
        "arctan(x)^2 - x",
        lambda x: np.arctan(x) ** 2 - x,
        _SEARCH,
        aliases=("Arctid",),
    ),
    entry("SincPlusX", "sin(x) / x + x", lambda x: np.sinc(x / np.pi) + x, _SEARCH),
    entry("XArcsinhSquared", "x arcsinh(x)^2", lambda x: x * np.arcsinh(x) ** 2, _SEARCH),
)
