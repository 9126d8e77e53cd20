"""Smooth rectifiers: exponential, softplus and algebraic units."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from actc.approx.catalogue.entry import ELEMENTARY, TINY, Parameter, Source, arxiv, entry
from actc.approx.catalogue.shared import elu, relu, sigmoid, softplus

_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805
_ISRU = arxiv(
    "Carlile et al.",
    "Improving Deep Learning by Inverse Square Root Linear Units (ISRLUs)",
    "1710.09967",
)
_SMU = arxiv(
    "Biswas et al.",
    "SMU: smooth activation function for deep networks using smoothing maximum technique",
    "2111.04682",
)
_SOFT_MODULUS = arxiv(
    "Vallés-Pérez et al.",
    "Empirical study of the modulus as activation function in computer vision applications",
    "2301.05993",
)


def _serlu(x: Any, scale: Any, alpha: Any) -> Any:
    below = np.minimum(x, 0.0)
    return scale * np.where(x > 0, x, alpha * below * np.exp(below))


def _pdelu(x: Any, alpha: Any, t: Any) -> Any:
    inner = relu(1.0 + (1.0 - t) * np.minimum(x, 0.0))
    return np.where(x > 0, x, alpha * (inner ** (1.0 / (1.0 - t)) - 1.0))


def _sau(x: Any, alpha: Any, n: Any) -> Any:
    linear = 0.5 * x * (1.0 + alpha + (1.0 - alpha) * special.erf(n * x / np.sqrt(2.0)))
    return linear + (1.0 - alpha) * np.exp(-0.5 * (n * x) ** 2) / (n * np.sqrt(2.0 * np.pi))


def _smu(x: Any, alpha: Any, mu: Any) -> Any:
    return 0.5 * x * (1.0 + alpha + (1.0 - alpha) * special.erf(mu * (1.0 - alpha) * x))


def _smu1(x: Any, alpha: Any, mu: Any) -> Any:
    return 0.5 * ((1.0 + alpha) * x + np.hypot((1.0 - alpha) * x, mu))


def _xielu(x: Any, positive: Any, negative: Any, beta: Any) -> Any:
    below = np.minimum(x, 0.0)
    return beta * x + np.where(x > 0, positive * x * x, negative * (np.expm1(below) - below))


def _rsigelu(x: Any, alpha: Any) -> Any:
    return np.where(x > 1, x * (1.0 + alpha * sigmoid(x)), elu(x, alpha))


def _delu(x: Any, n: Any) -> Any:
    right = (n + 0.5) * x - np.expm1(-relu(x))
    return np.where(x > 0, right, x * sigmoid(x))


def _soft_modulus(x: Any) -> Any:
    size = np.abs(x)
    return np.where(size <= 1, x * x * (2.0 - size), size)


_CLASSIC = (
    entry(
        "ELU",
        "x if x > 0 else alpha (exp(x) - 1)",
        elu,
        arxiv(
            "Clevert et al.",
            "Fast and Accurate Deep Network Learning by Exponential Linear Units (ELUs)",
            "1511.07289",
        ),
        Parameter("alpha", 1.0),
        searched=True,
    ),
    entry(
        "SELU",
        "scale ELU(x, alpha), alpha = 1.67326, scale = 1.05070",
        lambda x: _SELU_SCALE * elu(x, _SELU_ALPHA),
        arxiv("Klambauer et al.", "Self-Normalizing Neural Networks", "1706.02515"),
        searched=True,
    ),
    entry(
        "CELU",
        "max(x, 0) + min(0, alpha (exp(x / alpha) - 1))",
        lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0) / alpha)),
        arxiv("Barron", "Continuously Differentiable Exponential Linear Units", "1704.07483"),
        Parameter("alpha", 1.0, TINY),
        searched=True,
    ),
    entry(
        "Softplus",
        "ln(1 + exp(beta x)) / beta",
        lambda x, beta: softplus(beta * x) / beta,
        Source(
            "Dugas et al.",
            "Incorporating Second-Order Functional Knowledge for Better Option Pricing",
            "NIPS",
            2000,
        ),
        Parameter("beta", 1.0, TINY),
        searched=True,
    ),
    entry("LogSigmoid", "-ln(1 + exp(-x))", lambda x: -softplus(-x), ELEMENTARY, searched=True),
    entry(
        "Softsign",
        "x / (1 + |x|)",
        lambda x: x / (1.0 + np.abs(x)),
        Source(
            "Bergstra et al.",
            "Quadratic Polynomials Learn Better Image Features",
            "Technical Report 1337, Université de Montréal",
            2009,
        ),
        searched=True,
    ),
    entry("TanhShrink", "x - tanh(x)", lambda x: x - np.tanh(x), ELEMENTARY, searched=True),
    entry(
        "Squareplus",
        "(x + sqrt(x^2 + b)) / 2",
        lambda x, b: 0.5 * (x + np.sqrt(x * x + b)),
        arxiv("Barron", "Squareplus: A Softplus-Like Algebraic Rectifier", "2112.11687"),
        Parameter("b", 4.0, 0.0),
        searched=True,
    ),
    entry(
        "BentIdentity",
        "x + (sqrt(x^2 + 1) - 1) / 2",
        lambda x: x + 0.5 * (np.sqrt(x * x + 1.0) - 1.0),
        ELEMENTARY,
        searched=True,
    ),
    entry(
        "ISRU",
        "x / sqrt(1 + alpha x^2)",
        lambda x, alpha: x / np.sqrt(1.0 + alpha * x * x),
        _ISRU,
        Parameter("alpha", 1.0, 0.0),
        searched=True,
    ),
    entry(
        "ISRLU",
        "x if x > 0 else x / sqrt(1 + alpha x^2)",
        lambda x, alpha: np.where(x > 0, x, x / np.sqrt(1.0 + alpha * x * x)),
        _ISRU,
        Parameter("alpha", 1.0, 0.0),
        searched=True,
    ),
    entry(
        "LeCunTanh",
        "1.7159 tanh(2 x / 3)",
        lambda x: 1.7159 * np.tanh(2.0 * x / 3.0),
        Source("LeCun et al.", "Efficient BackProp", "Neural Networks: Tricks of the Trade", 1998),
        searched=True,
    ),
)

_VARIANTS = (
    entry(
        "PELU",
        "(alpha / beta) x if x > 0 else alpha (exp(x / beta) - 1)",
        lambda x, alpha, beta: np.where(
            x > 0, alpha / beta * x, alpha * np.expm1(np.minimum(x, 0.0) / beta)
        ),
        arxiv(
            "Trottier et al.",
            "Parametric Exponential Linear Unit for Deep Convolutional Neural Networks",
            "1605.09332",
        ),
        Parameter("alpha", 1.0, TINY),
        Parameter("beta", 1.0, TINY),
    ),
    entry(
        "MPELU",
        "x if x > 0 else alpha (exp(beta x) - 1)",
        lambda x, alpha, beta: np.where(x > 0, x, alpha * np.expm1(beta * np.minimum(x, 0.0))),
        arxiv(
            "Li et al.",
            "Improving Deep Neural Network with Multiple Parametric Exponential Linear Units",
            "1606.00305",
        ),
        Parameter("alpha", 1.0),
        Parameter("beta", 1.0, 0.0),
    ),
    entry(
        "PDELU",
        "x if x > 0 else alpha (max(1 + (1 - t) x, 0)^(1 / (1 - t)) - 1)",
        _pdelu,
        Source(
            "Cheng et al.",
            "Parametric Deformable Exponential Linear Units for deep neural networks",
            "Neural Networks 125",
            2020,
        ),
        Parameter("alpha", 1.0),
        Parameter("t", 0.9, 0.0, 0.99),
    ),
    entry(
        "SERLU",
        "lambda x if x > 0 else lambda alpha x exp(x)",
        _serlu,
        arxiv(
            "Zhang and Li",
            "Effectiveness of Scaled Exponentially-Regularized Linear Units (SERLUs)",
            "1807.10117",
        ),
        Parameter("lambda", 1.07862),
        Parameter("alpha", 2.90427),
    ),
    entry(
        "ShiftedSoftplus",
        "ln(exp(x) / 2 + 1 / 2)",
        lambda x: softplus(x) - np.log(2.0),
        arxiv(
            "Schütt et al.",
            "SchNet: A continuous-filter convolutional neural network for modeling quantum "
            "interactions",
            "1706.08566",
        ),
    ),
    entry(
        "SoftExponential",
        "(exp(alpha x) - 1) / alpha + alpha",
        lambda x, alpha: np.expm1(alpha * x) / alpha + alpha,
        arxiv(
            "Godfrey and Gashler",
            "A continuum among logarithmic, linear, and exponential functions, and its potential "
            "to improve generalization in neural networks",
            "1602.01321",
        ),
        Parameter("alpha", 0.5, TINY),
    ),
    entry(
        "SAU",
        "LeakyReLU(alpha) convolved with a normal density of deviation 1 / n (n = 20000 in the "
        "paper)",
        _sau,
        arxiv(
            "Biswas et al.",
            "SAU: Smooth activation function using convolution with approximate identities",
            "2109.13210",
        ),
        Parameter("alpha", 0.15, 0.0, 1.0),
        Parameter("n", 1.0, TINY),
    ),
    entry(
        "SMU",
        "((1 + alpha) x + (1 - alpha) x erf(mu (1 - alpha) x)) / 2",
        _smu,
        _SMU,
        Parameter("alpha", 0.25, 0.0, 1.0),
        Parameter("mu", 1.0, 0.0),
    ),
    entry(
        "SMU1",
        "((1 + alpha) x + sqrt((1 - alpha)^2 x^2 + mu^2)) / 2",
        _smu1,
        _SMU,
        Parameter("alpha", 0.25, 0.0, 1.0),
        Parameter("mu", 1.0, 0.0),
    ),
    entry(
        "xIELU",
        "alpha_p x^2 + beta x if x > 0 else alpha_n (exp(x) - 1 - x) + beta x",
        _xielu,
        arxiv("Huang and Schlag", "Deriving Activation Functions Using Integration", "2411.13010"),
        Parameter("alpha_p", 0.8, 0.0),
        Parameter("alpha_n", 0.8),
        Parameter("beta", 0.5),
    ),
    entry(
        "RSigELU",
        "x (1 + alpha sigmoid(x)) if x > 1, x if 0 <= x <= 1, else alpha (exp(x) - 1)",
        _rsigelu,
        Source(
            "Kiliçarslan and Celik",
            "RSigELU: A nonlinear activation function for deep neural networks",
            "Expert Systems with Applications 174",
            2021,
        ),
        Parameter("alpha", 0.5, 0.0),
    ),
    entry(
        "DELU",
        "(n + 1/2) x + 1 - exp(-x) if x > 0 else x sigmoid(x)",
        _delu,
        Source("Pishchik", "Trainable Activations for Image Classification", "Preprints.org", 2023),
        Parameter("n", 0.5),
    ),
    entry(
        "SoftModulusQ",
        "x^2 (2 - |x|) if |x| <= 1 else |x|",
        _soft_modulus,
        _SOFT_MODULUS,
    ),
    entry(
        "SoftModulusT",
        "x tanh(x / alpha)",
        lambda x, alpha: x * np.tanh(x / alpha),
        _SOFT_MODULUS,
        Parameter("alpha", 0.01, TINY),
    ),
)

ENTRIES = _CLASSIC + _VARIANTS
