"""Textbook scalar functions: formula, parameters, source and a float64 definition.

The definitions do not come from any model: they name what a model computes
(:mod:`actc.approx.label`) and give tests something independent to compare with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from actc.approx.function import Float64Array, ScalarFunction


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a function and its usual value."""

    name: str
    default: float


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A published scalar function.

    Attributes:
        name: the field's usual name.
        formula: plain text, x the variable.
        parameters: in the order in which `evaluate` takes them.
        evaluate: ``evaluate(x, *parameters)``; float64 arrays that broadcast.
        source: paper, or "elementary".
    """

    name: str
    formula: str
    parameters: tuple[Parameter, ...]
    evaluate: Callable[..., Float64Array]
    source: str

    @property
    def defaults(self) -> tuple[float, ...]:
        """The usual value of each parameter."""
        return tuple(parameter.default for parameter in self.parameters)

    def function(self, *parameters: float) -> ScalarFunction:
        """The function with `parameters` (none: the defaults) filled in.

        Raises:
            ValueError: wrong number of parameters.
        """
        values = parameters or self.defaults
        if len(values) != len(self.parameters):
            raise ValueError(f"{self.name} takes {len(self.parameters)} parameters")
        return ScalarFunction(self.title(*values), lambda x: self.evaluate(x, *values))

    def title(self, *values: float) -> str:
        """Name with the parameters that differ from the usual ones: "LeakyReLU(0.1)"."""
        if all(abs(v - d) <= 1e-6 * abs(d) for v, d in zip(values, self.defaults, strict=True)):
            return self.name
        return f"{self.name}({', '.join(f'{value:.6g}' for value in values)})"


def find(name: str) -> CatalogueEntry:
    """The entry called `name` (case does not matter).

    Raises:
        KeyError: no such function.
    """
    return _BY_NAME[name.lower()]


def _sigmoid(x: Any) -> Any:
    return special.expit(x)


def _softplus(x: Any) -> Any:
    return np.logaddexp(0.0, x)


def _relu(x: Any) -> Any:
    return np.maximum(x, 0.0)


def _gelu(x: Any) -> Any:
    # erfc keeps the relative precision of the left tail, which 1 + erf would cancel
    return 0.5 * x * special.erfc(-x / np.sqrt(2.0))


def _elu(x: Any, alpha: Any) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def _hard_sigmoid(x: Any, alpha: Any = 1 / 6, beta: Any = 0.5) -> Any:
    return np.clip(alpha * x + beta, 0.0, 1.0)


_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


def _entry(
    name: str,
    formula: str,
    evaluate: Callable[..., Any],
    source: str = "elementary",
    **parameters: float,
) -> CatalogueEntry:
    named = tuple(Parameter(key, default) for key, default in parameters.items())
    return CatalogueEntry(name, formula, named, evaluate, source)


# The order matters for labels: of several entries that fit, the first gives the name.
_ELEMENTARY = (
    _entry("Identity", "x", lambda x: x),
    _entry("Abs", "|x|", np.abs),
    _entry("Sign", "sign(x)", np.sign),
    _entry("Step", "1 if x > 0 else 0", lambda x: np.where(x > 0, 1.0, 0.0)),
    _entry("Square", "x^2", lambda x: x * x),
    _entry("Cube", "x^3", lambda x: x * x * x),
    _entry("Sqrt", "sqrt(x)", np.sqrt),
    _entry("Rsqrt", "1 / sqrt(x)", lambda x: 1.0 / np.sqrt(x)),
    _entry("Reciprocal", "1 / x", lambda x: 1.0 / x),
    _entry("Exp", "exp(x)", np.exp),
    _entry("Exp2", "2^x", np.exp2),
    _entry("Log", "ln(x)", np.log),
    _entry("Log1p", "ln(1 + x)", np.log1p),
    _entry("Erf", "erf(x)", special.erf),
    _entry("Tanh", "tanh(x)", np.tanh),
    _entry("Sigmoid", "1 / (1 + exp(-x))", _sigmoid),
    _entry("Sine", "sin(x)", np.sin),
    _entry("Cosine", "cos(x)", np.cos),
    _entry("Tan", "tan(x)", np.tan),
    _entry("Sinh", "sinh(x)", np.sinh),
    _entry("Cosh", "cosh(x)", np.cosh),
    _entry("Arctan", "arctan(x)", np.arctan),
    _entry("Arcsinh", "arcsinh(x)", np.arcsinh),
    _entry("Gaussian", "exp(-x^2)", lambda x: np.exp(-x * x)),
    _entry("Floor", "floor(x)", np.floor),
    _entry("Ceil", "ceil(x)", np.ceil),
    _entry("Round", "x rounded half to even", np.rint),
)

_RECTIFIERS = (
    _entry("ReLU", "max(x, 0)", _relu, "Nair and Hinton, ICML 2010"),
    _entry(
        "ReLU6", "min(max(x, 0), 6)", lambda x: np.clip(x, 0.0, 6.0), "Krizhevsky, CIFAR-10, 2010"
    ),
    _entry("SquaredReLU", "max(x, 0)^2", lambda x: _relu(x) ** 2, "So et al., arXiv 2109.08668"),
    _entry("HardTanh", "min(max(x, -1), 1)", lambda x: np.clip(x, -1.0, 1.0), "Collobert, 2004"),
    _entry(
        "HardSigmoid",
        "min(max(alpha x + beta, 0), 1)",
        _hard_sigmoid,
        "Courbariaux et al., arXiv 1511.00363",
        alpha=1 / 6,
        beta=0.5,
    ),
    _entry(
        "HardSwish",
        "x min(max(x + 3, 0), 6) / 6",
        lambda x: x * _hard_sigmoid(x),
        "Howard et al., arXiv 1905.02244",
    ),
    _entry(
        "HardMish",
        "x min(max(x + 2, 0), 2) / 2",
        lambda x: x * np.clip(x + 2.0, 0.0, 2.0) / 2.0,
        "Wright, 2020",
    ),
    _entry(
        "LeakyReLU",
        "x if x > 0 else alpha x",
        lambda x, alpha: np.where(x > 0, x, alpha * x),
        "Maas et al., ICML 2013",
        alpha=0.01,
    ),
    _entry(
        "PReLU",
        "x if x > 0 else alpha x, alpha learned",
        lambda x, alpha: np.where(x > 0, x, alpha * x),
        "He et al., arXiv 1502.01852",
        alpha=0.25,
    ),
    _entry(
        "ThresholdedReLU",
        "x if x > theta else 0",
        lambda x, theta: np.where(x > theta, x, 0.0),
        "Konda et al., arXiv 1402.3337",
        theta=1.0,
    ),
    _entry(
        "Threshold",
        "x if x > theta else value",
        lambda x, theta, value: np.where(x > theta, x, value),
        theta=0.0,
        value=0.0,
    ),
    _entry(
        "Softshrink",
        "sign(x) max(|x| - lambda, 0)",
        lambda x, width: np.sign(x) * _relu(np.abs(x) - width),
        "Donoho, IEEE Trans. Inf. Theory 41, 1995",
        width=0.5,
    ),
    _entry(
        "Hardshrink",
        "x if |x| > lambda else 0",
        lambda x, width: np.where(np.abs(x) > width, x, 0.0),
        "Donoho and Johnstone, Biometrika 81, 1994",
        width=0.5,
    ),
    _entry("Maximum", "max(x, low)", lambda x, low: np.maximum(x, low), low=-1.0),
    _entry("Minimum", "min(x, high)", lambda x, high: np.minimum(x, high), high=1.0),
    _entry(
        "Clip",
        "min(max(x, low), high)",
        lambda x, low, high: np.minimum(np.maximum(x, low), high),
        low=-1.0,
        high=1.0,
    ),
    _entry(
        "SmeLU",
        "0 if x <= -beta, x if x >= beta, else (x + beta)^2 / (4 beta)",
        lambda x, beta: np.where(
            np.abs(x) <= beta, (x + beta) ** 2 / (4.0 * beta), np.where(x > 0, x, 0.0)
        ),
        "Shamir et al., arXiv 2202.06499",
        beta=1.0,
    ),
)

_EXPONENTIAL_UNITS = (
    _entry("ELU", "x if x > 0 else alpha (exp(x) - 1)", _elu, "arXiv 1511.07289", alpha=1.0),
    _entry(
        "SELU",
        "scale ELU(x, alpha), alpha = 1.67326, scale = 1.05070",
        lambda x: _SELU_SCALE * _elu(x, _SELU_ALPHA),
        "Klambauer et al., arXiv 1706.02515",
    ),
    _entry(
        "CELU",
        "max(x, 0) + min(0, alpha (exp(x / alpha) - 1))",
        lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0) / alpha)),
        "Barron, arXiv 1704.07483",
        alpha=1.0,
    ),
    _entry(
        "Softplus",
        "ln(1 + exp(beta x)) / beta",
        lambda x, beta: _softplus(beta * x) / beta,
        "Dugas et al., NIPS 2000",
        beta=1.0,
    ),
    _entry("LogSigmoid", "-ln(1 + exp(-x))", lambda x: -_softplus(-x)),
    _entry("Softsign", "x / (1 + |x|)", lambda x: x / (1.0 + np.abs(x)), "Bergstra et al., 2009"),
    _entry("TanhShrink", "x - tanh(x)", lambda x: x - np.tanh(x)),
    _entry(
        "Squareplus",
        "(x + sqrt(x^2 + b)) / 2",
        lambda x, b: 0.5 * (x + np.sqrt(x * x + b)),
        "Barron, arXiv 2112.11687",
        b=4.0,
    ),
    _entry(
        "BentIdentity",
        "x + (sqrt(x^2 + 1) - 1) / 2",
        lambda x: x + 0.5 * (np.sqrt(x * x + 1.0) - 1.0),
    ),
    _entry(
        "ISRU",
        "x / sqrt(1 + alpha x^2)",
        lambda x, alpha: x / np.sqrt(1.0 + alpha * x * x),
        "Carlile et al., arXiv 1710.09967",
        alpha=1.0,
    ),
    _entry(
        "ISRLU",
        "x if x > 0 else x / sqrt(1 + alpha x^2)",
        lambda x, alpha: np.where(x > 0, x, x / np.sqrt(1.0 + alpha * x * x)),
        "Carlile et al., arXiv 1710.09967",
        alpha=1.0,
    ),
    _entry(
        "LeCunTanh",
        "1.7159 tanh(2 x / 3)",
        lambda x: 1.7159 * np.tanh(2.0 * x / 3.0),
        "LeCun et al., Efficient BackProp, 1998",
    ),
)

_GATED = (
    _entry("GELU", "x (1 + erf(x / sqrt(2))) / 2", _gelu, "arXiv 1606.08415"),
    _entry(
        "TanhGELU",
        "x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2",
        lambda x: x * _sigmoid(2.0 * np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3)),
        "Hendrycks and Gimpel, arXiv 1606.08415",
    ),
    _entry(
        "QuickGELU", "x sigmoid(1.702 x)", lambda x: x * _sigmoid(1.702 * x), "arXiv 1606.08415"
    ),
    _entry("SiLU", "x sigmoid(x)", lambda x: x * _sigmoid(x), "Elfwing et al., arXiv 1702.03118"),
    _entry(
        "Swish",
        "x sigmoid(beta x)",
        lambda x, beta: x * _sigmoid(beta * x),
        "Ramachandran et al., arXiv 1710.05941",
        beta=1.0,
    ),
    _entry("Mish", "x tanh(softplus(x))", lambda x: x * np.tanh(_softplus(x)), "arXiv 1908.08681"),
    _entry(
        "GoLU", "x exp(-exp(-x))", lambda x: x * np.exp(-np.exp(-x)), "Das et al., arXiv 2502.03654"
    ),
    _entry("TanhExp", "x tanh(exp(x))", lambda x: x * np.tanh(np.exp(x)), "arXiv 2003.09855"),
    _entry("LiSHT", "x tanh(x)", lambda x: x * np.tanh(x), "Roy et al., arXiv 1901.05894"),
    _entry(
        "ELiSH",
        "x sigmoid(x) if x > 0 else (exp(x) - 1) sigmoid(x)",
        lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))) * _sigmoid(x),
        "Basirat and Roth, arXiv 1808.00783",
    ),
    _entry(
        "Logish", "x ln(1 + sigmoid(x))", lambda x: x * np.log1p(_sigmoid(x)), "Zhu et al., 2021"
    ),
    _entry(
        "Smish",
        "x tanh(ln(1 + sigmoid(x)))",
        lambda x: x * np.tanh(np.log1p(_sigmoid(x))),
        "Wang et al., Electronics 11, 2022",
    ),
    _entry(
        "Serf",
        "x erf(ln(1 + exp(x)))",
        lambda x: x * special.erf(_softplus(x)),
        "Nag et al., arXiv 2108.09598",
    ),
    _entry("Phish", "x tanh(gelu(x))", lambda x: x * np.tanh(_gelu(x)), "Naveen, 2022"),
    _entry(
        "CoLU",
        "x / (1 - x exp(-(x + exp(x))))",
        lambda x: x / (1.0 - x * np.exp(-(x + np.exp(x)))),
        "Vagerwal, arXiv 2112.12078",
    ),
)

_PERIODIC = (
    _entry(
        "Snake",
        "x + sin(a x)^2 / a",
        lambda x, a: x + np.sin(a * x) ** 2 / a,
        "Ziyin et al., arXiv 2006.08195",
        a=1.0,
    ),
    _entry("GrowingCosine", "x cos(x)", lambda x: x * np.cos(x), "Noel et al., arXiv 2108.12943"),
    _entry(
        "SPDER",
        "sin(x) sqrt(|x|)",
        lambda x: np.sin(x) * np.sqrt(np.abs(x)),
        "Shah and Sitawarin, arXiv 2306.15242",
    ),
    _entry(
        "SinLU",
        "(x + a sin(b x)) sigmoid(x)",
        lambda x, a, b: (x + a * np.sin(b * x)) * _sigmoid(x),
        "Paul et al., Mathematics 10, 2022",
        a=1.0,
        b=1.0,
    ),
    _entry(
        "Elephant",
        "1 / (1 + |x / a|^d)",
        lambda x, a, d: 1.0 / (1.0 + np.abs(x / a) ** d),
        "Lan and Mahmood, arXiv 2310.01365",
        a=1.0,
        d=4.0,
    ),
)

CATALOGUE: tuple[CatalogueEntry, ...] = (
    _ELEMENTARY + _RECTIFIERS + _EXPONENTIAL_UNITS + _GATED + _PERIODIC
)
_BY_NAME = {entry.name.lower(): entry for entry in CATALOGUE}
