"""Localized functions: Gaussians, radial bases and wavelets."""

from __future__ import annotations

from typing import Any

import numpy as np

from actc.approx.catalogue.entry import ELEMENTARY, TINY, Parameter, Source, arxiv, entry

_BEYOND = arxiv(
    "Ramasinghe and Lucey",
    "Beyond Periodicity: Towards a Unifying Framework for Activations in Coordinate-MLPs",
    "2111.15135",
)
_NETWORKS = Source(
    "Zhang and Benveniste", "Wavelet networks", "IEEE Trans. Neural Networks 3", 1992
)
_WAVKAN = arxiv("Bozorgasl and Chen", "Wav-KAN: Wavelet Kolmogorov-Arnold Networks", "2405.12832")
_MEXICAN = 2.0 / (np.sqrt(3.0) * np.pi**0.25)
_A = Parameter("a", 1.0, TINY)


def _bell(x: Any) -> Any:
    return np.exp(-0.5 * x * x)


def _mexican_hat(x: Any) -> Any:
    return _MEXICAN * (1.0 - x * x) * _bell(x)


def _haar(x: Any) -> Any:
    return np.where((x >= 0) & (x < 1), np.where(x < 0.5, 1.0, -1.0), 0.0)


def _shannon(x: Any) -> Any:
    return np.sinc(0.5 * x) * np.cos(1.5 * np.pi * x)


ENTRIES = (
    entry("GaussianUnit", "exp(-x^2 / (2 a^2))", lambda x, a: _bell(x / a), _BEYOND, _A),
    entry("LaplacianUnit", "exp(-|x| / a)", lambda x, a: np.exp(-np.abs(x) / a), _BEYOND, _A),
    entry(
        "QuadraticUnit", "1 / (1 + (a x)^2)", lambda x, a: 1.0 / (1.0 + (a * x) ** 2), _BEYOND, _A
    ),
    entry(
        "MultiQuadraticUnit",
        "1 / sqrt(1 + (a x)^2)",
        lambda x, a: 1.0 / np.hypot(1.0, a * x),
        _BEYOND,
        _A,
    ),
    entry(
        "SuperGaussianUnit",
        "exp(-x^2 / (2 a^2))^b",
        lambda x, a, b: np.exp(-0.5 * b * (x / a) ** 2),
        _BEYOND,
        _A,
        Parameter("b", 2.0, TINY),
    ),
    entry("ExpSine", "exp(-sin(a x))", lambda x, a: np.exp(-np.sin(a * x)), _BEYOND, _A),
    entry(
        "Gabor",
        "cos(omega x) exp(-(s x)^2), the real part of WIRE's wavelet",
        lambda x, omega, s: np.cos(omega * x) * np.exp(-((s * x) ** 2)),
        arxiv("Saragadam et al.", "WIRE: Wavelet Implicit Neural Representations", "2301.05187"),
        Parameter("omega", 5.0),
        Parameter("s", 1.0, TINY),
        aliases=("WIRE",),
    ),
    entry(
        "MexicanHat",
        "2 (1 - x^2) exp(-x^2 / 2) / (sqrt(3) pi^(1/4))",
        _mexican_hat,
        ELEMENTARY,
        aliases=("Ricker",),
    ),
    entry(
        "Morlet",
        "cos(omega x) exp(-x^2 / 2)",
        lambda x, omega: np.cos(omega * x) * _bell(x),
        _WAVKAN,
        Parameter("omega", 5.0),
    ),
    entry(
        "GaussianDerivative",
        "-x exp(-x^2 / 2)",
        lambda x: -x * _bell(x),
        _NETWORKS,
        aliases=("DoG",),
    ),
    entry(
        "ShannonWavelet",
        "sinc(x / 2) cos(3 pi x / 2), sinc(t) = sin(pi t) / (pi t)",
        _shannon,
        ELEMENTARY,
    ),
    entry("Haar", "1 on [0, 1/2), -1 on [1/2, 1), else 0", _haar, ELEMENTARY),
)
