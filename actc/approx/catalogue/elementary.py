"""Elementary functions, of which others are made."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from actc.approx.catalogue.entry import ELEMENTARY, REALS, CatalogueEntry, entry
from actc.approx.catalogue.shared import sigmoid

_POSITIVE = (0.0, math.inf)


def _elementary(
    name: str,
    formula: str,
    evaluate: Callable[..., Any],
    domain: tuple[float, float] = REALS,
    aliases: tuple[str, ...] = (),
) -> CatalogueEntry:
    return entry(name, formula, evaluate, ELEMENTARY, domain=domain, searched=True, aliases=aliases)


ENTRIES = (
    _elementary("Identity", "x", lambda x: x, aliases=("Linear",)),
    _elementary("Abs", "|x|", np.abs, aliases=("Modulus", "VReLU")),
    _elementary("Sign", "sign(x)", np.sign),
    _elementary("Step", "1 if x > 0 else 0", lambda x: np.where(x > 0, 1.0, 0.0)),
    _elementary("Square", "x^2", lambda x: x * x),
    _elementary("Cube", "x^3", lambda x: x * x * x),
    _elementary("Sqrt", "sqrt(x)", np.sqrt, _POSITIVE),
    _elementary("Rsqrt", "1 / sqrt(x)", lambda x: 1.0 / np.sqrt(x), _POSITIVE),
    _elementary("Reciprocal", "1 / x", lambda x: 1.0 / x),
    _elementary("Exp", "exp(x)", np.exp),
    _elementary("Exp2", "2^x", np.exp2),
    _elementary("Log", "ln(x)", np.log, _POSITIVE),
    _elementary("Log1p", "ln(1 + x)", np.log1p, (-1.0, math.inf)),
    _elementary("Erf", "erf(x)", special.erf),
    _elementary("Tanh", "tanh(x)", np.tanh),
    _elementary("Sigmoid", "1 / (1 + exp(-x))", sigmoid, aliases=("Logistic",)),
    _elementary("Sine", "sin(x)", np.sin),
    _elementary("Cosine", "cos(x)", np.cos),
    _elementary("Tan", "tan(x)", np.tan),
    _elementary("Sinh", "sinh(x)", np.sinh),
    _elementary("Cosh", "cosh(x)", np.cosh),
    _elementary("Arctan", "arctan(x)", np.arctan),
    _elementary("Arcsinh", "arcsinh(x)", np.arcsinh),
    _elementary("Gaussian", "exp(-x^2)", lambda x: np.exp(-x * x)),
    _elementary("Floor", "floor(x)", np.floor),
    _elementary("Ceil", "ceil(x)", np.ceil),
    _elementary("Round", "x rounded half to even", np.rint),
)
