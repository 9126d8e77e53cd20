"""Rectifiers and their hard relatives: ReLU, clips, leaks and thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np

from actc.approx.catalogue.entry import ELEMENTARY, TINY, Parameter, Source, arxiv, entry
from actc.approx.catalogue.shared import hard_sigmoid, leaky, relu


def _smelu(x: Any, beta: Any) -> Any:
    middle = (x + beta) ** 2 / (4.0 * beta)
    return np.where(np.abs(x) <= beta, middle, np.where(x > 0, x, 0.0))


ENTRIES = (
    entry(
        "ReLU",
        "max(x, 0)",
        relu,
        Source(
            "Nair and Hinton",
            "Rectified Linear Units Improve Restricted Boltzmann Machines",
            "ICML",
            2010,
        ),
        searched=True,
    ),
    entry(
        "ReLU6",
        "min(max(x, 0), 6)",
        lambda x: np.clip(x, 0.0, 6.0),
        Source(
            "Krizhevsky",
            "Convolutional Deep Belief Networks on CIFAR-10",
            "University of Toronto",
            2010,
        ),
        searched=True,
    ),
    entry(
        "SquaredReLU",
        "max(x, 0)^2",
        lambda x: relu(x) ** 2,
        arxiv(
            "So et al.",
            "Primer: Searching for Efficient Transformers for Language Modeling",
            "2109.08668",
        ),
        searched=True,
    ),
    entry(
        "HardTanh",
        "min(max(x, -1), 1)",
        lambda x: np.clip(x, -1.0, 1.0),
        Source("Collobert", "Large Scale Machine Learning", "thesis, Université Paris 6", 2004),
        searched=True,
    ),
    entry(
        "HardSigmoid",
        "min(max(alpha x + beta, 0), 1)",
        hard_sigmoid,
        arxiv(
            "Courbariaux et al.",
            "BinaryConnect: Training Deep Neural Networks with binary weights during propagations",
            "1511.00363",
        ),
        Parameter("alpha", 1 / 6, 0.0),
        Parameter("beta", 0.5),
        searched=True,
    ),
    entry(
        "HardSwish",
        "x min(max(x + 3, 0), 6) / 6",
        lambda x: x * hard_sigmoid(x),
        arxiv("Howard et al.", "Searching for MobileNetV3", "1905.02244"),
        searched=True,
    ),
    entry(
        "HardMish",
        "x min(max(x + 2, 0), 2) / 2",
        lambda x: x * np.clip(x + 2.0, 0.0, 2.0) / 2.0,
        Source("Misra", "H-Mish", "code repository digantamisra98/H-Mish", 2020),
        searched=True,
    ),
    entry(
        "LeakyReLU",
        "x if x > 0 else alpha x",
        leaky,
        Source(
            "Maas et al.",
            "Rectifier Nonlinearities Improve Neural Network Acoustic Models",
            "ICML",
            2013,
        ),
        Parameter("alpha", 0.01),
        searched=True,
    ),
    entry(
        "PReLU",
        "x if x > 0 else alpha x, alpha learned",
        leaky,
        arxiv(
            "He et al.",
            "Delving Deep into Rectifiers: Surpassing Human-Level Performance on ImageNet "
            "Classification",
            "1502.01852",
        ),
        Parameter("alpha", 0.25),
        searched=True,
    ),
    entry(
        "ThresholdedReLU",
        "x if x > theta else 0",
        lambda x, theta: np.where(x > theta, x, 0.0),
        arxiv(
            "Konda et al.",
            "Zero-bias autoencoders and the benefits of co-adapting features",
            "1402.3337",
        ),
        Parameter("theta", 1.0),
        searched=True,
    ),
    entry(
        "Threshold",
        "x if x > theta else value",
        lambda x, theta, value: np.where(x > theta, x, value),
        ELEMENTARY,
        Parameter("theta", 0.0),
        Parameter("value", 0.0),
        searched=True,
    ),
    entry(
        "Softshrink",
        "sign(x) max(|x| - lambda, 0)",
        lambda x, width: np.sign(x) * relu(np.abs(x) - width),
        Source(
            "Donoho", "De-noising by soft-thresholding", "IEEE Trans. Information Theory 41", 1995
        ),
        Parameter("lambda", 0.5, 0.0),
        searched=True,
        aliases=("SoftThreshold",),
    ),
    entry(
        "Hardshrink",
        "x if |x| > lambda else 0",
        lambda x, width: np.where(np.abs(x) > width, x, 0.0),
        Source(
            "Donoho and Johnstone",
            "Ideal spatial adaptation by wavelet shrinkage",
            "Biometrika 81",
            1994,
        ),
        Parameter("lambda", 0.5, 0.0),
        searched=True,
        aliases=("HardThreshold",),
    ),
    entry("Maximum", "max(x, low)", np.maximum, ELEMENTARY, Parameter("low", -1.0), searched=True),
    entry("Minimum", "min(x, high)", np.minimum, ELEMENTARY, Parameter("high", 1.0), searched=True),
    entry(
        "Clip",
        "min(max(x, low), high)",
        lambda x, low, high: np.minimum(np.maximum(x, low), high),
        ELEMENTARY,
        Parameter("low", -1.0),
        Parameter("high", 1.0),
        searched=True,
    ),
    entry(
        "SmeLU",
        "0 if x <= -beta, x if x >= beta, else (x + beta)^2 / (4 beta)",
        _smelu,
        arxiv(
            "Shamir and Lin",
            "Real World Large Scale Recommendation Systems Reproducibility and Smooth Activations",
            "2202.06499",
        ),
        Parameter("beta", 1.0, TINY),
        searched=True,
    ),
)
