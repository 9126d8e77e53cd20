"""Published variants of the rectifier."""

from __future__ import annotations

from typing import Any

import numpy as np

from actc.approx.catalogue.entry import TINY, Parameter, Source, arxiv, entry
from actc.approx.catalogue.shared import leaky, relu

_CLEVERT = arxiv(
    "Clevert et al.",
    "Fast and Accurate Deep Network Learning by Exponential Linear Units (ELUs)",
    "1511.07289",
)
_REACTNET = arxiv(
    "Liu et al.",
    "ReActNet: Towards Precise Binary Neural Network with Generalized Activation Functions",
    "2003.03488",
)


def _rescu(x: Any, alpha: Any, beta: Any, left: Any, right: Any) -> Any:
    # a parabola that takes the slope from `left` at -alpha to `right` at beta
    bend = (right - left) / (2.0 * (alpha + beta))
    middle = left * x + bend * (x + alpha) ** 2
    above = right * x + 0.5 * (right - left) * (alpha - beta)
    return np.where(x <= -alpha, left * x, np.where(x >= beta, above, middle))


def _srelu(x: Any, low: Any, left: Any, high: Any, right: Any) -> Any:
    below = low + left * (x - low)
    above = high + right * (x - high)
    return np.where(x <= low, below, np.where(x >= high, above, x))


def _bounded_leaky(x: Any, alpha: Any, bound: Any) -> Any:
    return np.where(x < 0, alpha * x, np.where(x > bound, bound + alpha * (x - bound), x))


def _plu(x: Any, alpha: Any, c: Any) -> Any:
    return np.maximum(alpha * (x + c) - c, np.minimum(alpha * (x - c) + c, x))


def _hat(x: Any, centre: float, width: float) -> Any:
    return relu(width - np.abs(x - centre))


def _sqrelu_star(x: Any, scale: Any, bias: Any) -> Any:
    return scale * relu(x) ** 2 + bias


ENTRIES = (
    entry(
        "RReLU",
        "x if x > 0 else x (lower + upper) / 2; inference form, in training the slope is random",
        lambda x, lower, upper: leaky(x, 0.5 * (lower + upper)),
        arxiv(
            "Xu et al.",
            "Empirical Evaluation of Rectified Activations in Convolutional Network",
            "1505.00853",
        ),
        Parameter("lower", 1 / 8, 0.0, 1.0),
        Parameter("upper", 1 / 3, 0.0, 1.0),
    ),
    entry(
        "HeLU",
        "max(x, 0); inference form, in training the gradient passes from x > -alpha on",
        relu,
        arxiv(
            "Kimhi et al.", "Hysteresis Activation Function for Efficient Inference", "2411.10573"
        ),
    ),
    entry(
        "dReLU",
        "max(x, 0) max(v, 0), v the other half of the gated unit",
        lambda x, v: relu(x) * relu(v),
        arxiv(
            "Song et al.",
            "Turbo Sparse: Achieving LLM SOTA Performance with Minimal Activated Parameters",
            "2406.05955",
        ),
        Parameter("v", 1.0, 0.0),
    ),
    entry(
        "DisplacedReLU",
        "max(x, -delta)",
        lambda x, delta: np.maximum(x, -delta),
        Source(
            "Macêdo et al.",
            "Enhancing batch normalized convolutional networks using displaced rectifier linear "
            "units: A systematic comparative study",
            "Expert Systems with Applications 124",
            2019,
        ),
        Parameter("delta", 0.05, 0.0),
    ),
    entry("ShiftedReLU", "max(x, -1)", lambda x: np.maximum(x, -1.0), _CLEVERT),
    entry(
        "ClippedReLU",
        "min(max(x, 0), ceiling)",
        lambda x, ceiling: np.minimum(relu(x), ceiling),
        arxiv(
            "Hannun et al.", "Deep Speech: Scaling up end-to-end speech recognition", "1412.5567"
        ),
        Parameter("ceiling", 20.0, 0.0),
    ),
    entry(
        "ReLUN",
        "min(max(x, 0), n), n learned",
        lambda x, n: np.minimum(relu(x), n),
        Source("Pishchik", "Trainable Activations for Image Classification", "Preprints.org", 2023),
        Parameter("n", 1.0, 0.0),
    ),
    entry(
        "FReLU",
        "max(x, 0) + b",
        lambda x, b: relu(x) + b,
        arxiv(
            "Qiu et al.",
            "FReLU: Flexible Rectified Linear Units for Improving Convolutional Neural Networks",
            "1706.08098",
        ),
        Parameter("b", -0.5),
    ),
    entry(
        "CReLUNegative",
        "max(-x, 0), the half of CReLU that is not ReLU",
        lambda x: relu(-x),
        arxiv(
            "Shang et al.",
            "Understanding and Improving Convolutional Neural Networks via Concatenated Rectified "
            "Linear Units",
            "1603.05201",
        ),
        aliases=("CReLU",),
    ),
    entry(
        "StarReLU",
        "s max(x, 0)^2 + b",
        _sqrelu_star,
        arxiv("Yu et al.", "MetaFormer Baselines for Vision", "2210.13452"),
        Parameter("s", 0.8944),
        Parameter("b", -0.4472),
    ),
    entry(
        "NLReLU",
        "ln(1 + beta max(x, 0))",
        lambda x, beta: np.log1p(beta * relu(x)),
        arxiv(
            "Liu et al.",
            "Natural-Logarithm-Rectified Activation Function in Convolutional Neural Networks",
            "1908.03682",
        ),
        Parameter("beta", 1.0, 0.0),
    ),
    entry(
        "SReLU",
        "x between low and high; lines of slope left and right outside",
        _srelu,
        arxiv(
            "Jin et al.",
            "Deep Learning with S-shaped Rectified Linear Activation Units",
            "1512.07030",
        ),
        Parameter("low", -1.0),
        Parameter("left", 0.2),
        Parameter("high", 1.0),
        Parameter("right", 0.5),
    ),
    entry(
        "BoundedLeakyReLU",
        "alpha x if x < 0, a + alpha (x - a) if x > a, else x",
        _bounded_leaky,
        Source(
            "Liew et al.",
            "Bounded activation functions for enhanced training stability of deep neural networks "
            "on visual pattern recognition problems",
            "Neurocomputing 216",
            2016,
        ),
        Parameter("alpha", 0.01, 0.0, 1.0),
        Parameter("a", 1.0, 0.0),
    ),
    entry(
        "PLU",
        "max(alpha (x + c) - c, min(alpha (x - c) + c, x))",
        _plu,
        arxiv("Nicolae", "PLU: The Piecewise Linear Unit Activation Function", "1809.09534"),
        Parameter("alpha", 0.1, 0.0, 1.0),
        Parameter("c", 1.0, 0.0),
    ),
    entry(
        "APL",
        "max(x, 0) + a1 max(b1 - x, 0) + a2 max(b2 - x, 0)",
        lambda x, a1, b1, a2, b2: relu(x) + a1 * relu(b1 - x) + a2 * relu(b2 - x),
        arxiv(
            "Agostinelli et al.",
            "Learning Activation Functions to Improve Deep Neural Networks",
            "1412.6830",
        ),
        Parameter("a1", 0.2),
        Parameter("b1", 0.0),
        Parameter("a2", -0.1),
        Parameter("b2", 1.0),
    ),
    entry(
        "MeLU",
        "PReLU(x, c0) + c1 max(2 - |x - 2|, 0) + c2 max(1 - |x - 1|, 0)",
        lambda x, c0, c1, c2: leaky(x, c0) + c1 * _hat(x, 2, 2) + c2 * _hat(x, 1, 1),
        arxiv(
            "Maguolo et al.",
            "Ensemble of Convolutional Neural Networks Trained with Different Activation Functions",
            "1905.02473",
        ),
        Parameter("c0", 0.25),
        Parameter("c1", 0.3),
        Parameter("c2", -0.2),
    ),
    entry(
        "Maxout",
        "max(w1 x + b1, w2 x + b2)",
        lambda x, w1, b1, w2, b2: np.maximum(w1 * x + b1, w2 * x + b2),
        arxiv("Goodfellow et al.", "Maxout Networks", "1302.4389"),
        Parameter("w1", 1.0),
        Parameter("b1", 0.0),
        Parameter("w2", 0.25),
        Parameter("b2", 0.5),
    ),
    entry(
        "RPReLU",
        "PReLU(x - gamma, alpha) + zeta",
        lambda x, alpha, gamma, zeta: leaky(x - gamma, alpha) + zeta,
        _REACTNET,
        Parameter("alpha", 0.25),
        Parameter("gamma", 0.1),
        Parameter("zeta", 0.2),
    ),
    entry(
        "RESCU",
        "g- x if x <= -alpha, g+ x + (g+ - g-) (alpha - beta) / 2 if x >= beta, "
        "else g- x + (g+ - g-) (x + alpha)^2 / (2 (alpha + beta)): the generalized SmeLU",
        _rescu,
        arxiv(
            "Shamir et al.", "Smooth Activations and Reproducibility in Deep Networks", "2010.09931"
        ),
        Parameter("alpha", 1.0, TINY),
        Parameter("beta", 0.5, TINY),
        Parameter("g-", 0.1),
        Parameter("g+", 1.0),
        aliases=("GeneralizedSmeLU", "gSmeLU"),
    ),
    entry(
        "SignReLU",
        "x if x > 0 else alpha x / (1 + |x|)",
        lambda x, alpha: np.where(x > 0, x, alpha * x / (1.0 + np.abs(x))),
        Source(
            "Lin and Shen",
            "Research on convolutional neural network based on improved Relu piecewise activation "
            "function",
            "Procedia Computer Science 131",
            2018,
        ),
        Parameter("alpha", 0.5, 0.0),
    ),
    entry(
        "CRReLU",
        "max(x, 0) + epsilon x exp(-x^2 / 2)",
        lambda x, epsilon: relu(x) + epsilon * x * np.exp(-0.5 * x * x),
        arxiv("Sun et al.", "A Method on Searching Better Activation Functions", "2405.12954"),
        Parameter("epsilon", 0.01),
    ),
)
