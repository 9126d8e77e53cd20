"""Activations of binary and quantized networks."""

from __future__ import annotations

from typing import Any

import numpy as np

from actc.approx.catalogue.entry import TINY, Parameter, arxiv, entry
from actc.approx.catalogue.shared import relu, sigmoid


def _approx_sign(x: Any) -> Any:
    t = np.clip(x, -1.0, 1.0)
    return 2.0 * t - t * np.abs(t)


def _swish_sign(x: Any, beta: Any) -> Any:
    u = beta * x
    return 2.0 * sigmoid(u) * (1.0 + u * sigmoid(-u)) - 1.0


def _square_wave(x: Any, omega: Any) -> Any:
    return np.where(np.sin(omega * x) >= 0, 1.0, -1.0)


ENTRIES = (
    entry(
        "SquareWave",
        "1 if sin(omega x) >= 0 else -1",
        _square_wave,
        arxiv(
            "Vargas et al.", "BiPer: Binary Neural Networks using a Periodic Function", "2404.01278"
        ),
        Parameter("omega", 1.0),
        aliases=("BiPer",),
    ),
    entry(
        "RSign",
        "1 if x > alpha else -1",
        lambda x, alpha: np.where(x > alpha, 1.0, -1.0),
        arxiv(
            "Liu et al.",
            "ReActNet: Towards Precise Binary Neural Network with Generalized Activation Functions",
            "2003.03488",
        ),
        Parameter("alpha", 0.1),
    ),
    entry(
        "ApproxSign",
        "2 x - x |x| for x clipped to [-1, 1]",
        _approx_sign,
        arxiv(
            "Liu et al.",
            "Bi-Real Net: Enhancing the Performance of 1-bit CNNs With Improved "
            "Representational Capability and Advanced Training Algorithm",
            "1808.00278",
        ),
    ),
    entry(
        "SwishSign",
        "2 sigmoid(b x) (1 + b x (1 - sigmoid(b x))) - 1",
        _swish_sign,
        arxiv("Darabi et al.", "Regularized Binary Network Training", "1812.11800"),
        Parameter("b", 5.0, TINY),
    ),
    entry(
        "PACT",
        "(|x| - |x - alpha| + alpha) / 2",
        lambda x, alpha: np.minimum(relu(x), alpha),
        arxiv(
            "Choi et al.",
            "PACT: Parameterized Clipping Activation for Quantized Neural Networks",
            "1805.06085",
        ),
        Parameter("alpha", 10.0, 0.0),
    ),
    entry(
        "DoReFa",
        "round(levels x) / levels for x clipped to [0, 1]",
        lambda x, levels: np.rint(levels * np.clip(x, 0.0, 1.0)) / levels,
        arxiv(
            "Zhou et al.",
            "DoReFa-Net: Training Low Bitwidth Convolutional Neural Networks with "
            "Low Bitwidth Gradients",
            "1606.06160",
        ),
        Parameter("levels", 3.0, 1.0),
    ),
    entry(
        "TernarySign",
        "sign(x) if |x| > delta else 0",
        lambda x, delta: np.where(np.abs(x) > delta, np.sign(x), 0.0),
        arxiv("Li et al.", "Ternary Weight Networks", "1605.04711"),
        Parameter("delta", 0.7, 0.0),
    ),
)
