"""Definitions of the well-known functions, written again for mpmath at 30 digits.

They follow the papers' formulas as they are printed, without the rearrangements that
float64 needs, and share no code with the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mpmath import mp, mpf

Reference = Callable[..., Any]


def sig(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def splus(x: Any) -> Any:
    return mp.log1p(mp.exp(x)) if x < 0 else x + mp.log1p(mp.exp(-x))


def pos(x: Any) -> Any:
    return x if x > 0 else mpf(0)


def clip(x: Any, low: Any, high: Any) -> Any:
    return mpf(low) if x < low else mpf(high) if x > high else x


def sgn(x: Any) -> Any:
    return mpf((x > 0) - (x < 0))


def cdf(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def nearest_even(x: Any) -> Any:
    low = mp.floor(x)
    if x - low == mpf(1) / 2:
        return low if int(low) % 2 == 0 else low + 1
    return mp.floor(x + mpf(1) / 2)


def sinc(x: Any) -> Any:
    return mp.sin(x) / x if x else mpf(1)


WELL_KNOWN: dict[str, Reference] = {
    "Identity": lambda x: x,
    "Abs": lambda x: max(x, -x),
    "Sign": sgn,
    "Step": lambda x: mpf(x > 0),
    "Square": lambda x: x**2,
    "Cube": lambda x: x**3,
    "Sqrt": lambda x: x ** mpf("0.5"),
    "Rsqrt": lambda x: x ** mpf("-0.5"),
    "Reciprocal": lambda x: x**-1,
    "Exp": lambda x: mp.e**x,
    "Exp2": lambda x: mpf(2) ** x,
    "Log": mp.log,
    "Log1p": lambda x: mp.log(1 + x),
    "Erf": lambda x: mp.erf(x),
    "Tanh": lambda x: (1 - mp.exp(-2 * x)) / (1 + mp.exp(-2 * x)),
    "Sigmoid": sig,
    "Sine": mp.sin,
    "Cosine": mp.cos,
    "Tan": lambda x: mp.sin(x) / mp.cos(x),
    "Sinh": lambda x: (mp.exp(x) - mp.exp(-x)) / 2,
    "Cosh": lambda x: (mp.exp(x) + mp.exp(-x)) / 2,
    "Arctan": mp.atan,
    "Arcsinh": lambda x: sgn(x) * mp.log(abs(x) + mp.sqrt(x * x + 1)),
    "Gaussian": lambda x: mp.exp(-(x**2)),
    "Floor": mp.floor,
    "Ceil": mp.ceil,
    "Round": nearest_even,
    "ReLU": pos,
    "ReLU6": lambda x: clip(x, 0, 6),
    "SquaredReLU": lambda x: pos(x) * pos(x),
    "HardTanh": lambda x: clip(x, -1, 1),
    "HardSigmoid": lambda x, a, b: clip(a * x + b, 0, 1),
    "HardSwish": lambda x: x * clip(x + 3, 0, 6) / 6,
    "HardMish": lambda x: x * clip(x / 2 + 1, 0, 1),
    "LeakyReLU": lambda x, a: x if x >= 0 else a * x,
    "PReLU": lambda x, a: pos(x) - a * pos(-x),
    "ThresholdedReLU": lambda x, t: x if x > t else mpf(0),
    "Threshold": lambda x, t, v: x if x > t else v,
    "Softshrink": lambda x, t: x - clip(x, -t, t),
    "Hardshrink": lambda x, t: x if x > t or x < -t else mpf(0),
    "Maximum": lambda x, low: x if x > low else low,
    "Minimum": lambda x, high: x if x < high else high,
    "Clip": clip,
    "SmeLU": lambda x, b: pos(x) if abs(x) >= b else (x + b) ** 2 / (4 * b),
    "ELU": lambda x, a: x if x > 0 else a * (mp.exp(x) - 1),
    "SELU": lambda x: (
        mpf("1.0507009873554805") * (x if x > 0 else mpf("1.6732632423543772") * (mp.exp(x) - 1))
    ),
    "CELU": lambda x, a: max(x, 0) + min(0, a * (mp.exp(x / a) - 1)),
    "Softplus": lambda x, b: splus(b * x) / b,
    "LogSigmoid": lambda x: mp.log(sig(x)) if x < 0 else -mp.log1p(mp.exp(-x)),
    "Softsign": lambda x: x / (1 + abs(x)),
    "TanhShrink": lambda x: x - mp.tanh(x),
    "Squareplus": lambda x, b: (x + mp.sqrt(x**2 + b)) / 2,
    "BentIdentity": lambda x: (mp.sqrt(x**2 + 1) - 1) / 2 + x,
    "ISRU": lambda x, a: x / mp.sqrt(1 + a * x**2),
    "ISRLU": lambda x, a: x if x > 0 else x / mp.sqrt(1 + a * x**2),
    "LeCunTanh": lambda x: mpf("1.7159") * mp.tanh(2 * x / 3),
    "GELU": lambda x: x * cdf(x),
    "TanhGELU": lambda x: x / (1 + mp.exp(-mp.sqrt(8 / mp.pi) * (x + mpf("0.044715") * x**3))),
    "QuickGELU": lambda x: x * sig(mpf("1.702") * x),
    "SiLU": lambda x: x * sig(x),
    "Swish": lambda x, b: x * sig(b * x),
    "Mish": lambda x: x * mp.tanh(splus(x)),
    "GoLU": lambda x: x * mp.exp(-mp.exp(-x)),
    "TanhExp": lambda x: x * mp.tanh(mp.exp(x)),
    "LiSHT": lambda x: x * mp.tanh(x),
    "ELiSH": lambda x: (x if x > 0 else mp.exp(x) - 1) * sig(x),
    "Logish": lambda x: x * mp.log1p(sig(x)),
    "Smish": lambda x: x * mp.tanh(mp.log1p(sig(x))),
    "Serf": lambda x: x * mp.erf(splus(x)),
    "Phish": lambda x: x * mp.tanh(x * cdf(x)),
    "CoLU": lambda x: x / (1 - x * mp.exp(-(x + mp.exp(x)))),
    "Snake": lambda x, a: x + (1 - mp.cos(2 * a * x)) / (2 * a),
    "GrowingCosine": lambda x: x * mp.cos(x),
    "SPDER": lambda x: mp.sin(x) * mp.sqrt(abs(x)),
    "SinLU": lambda x, a, b: (x + a * mp.sin(b * x)) * sig(x),
    "Elephant": lambda x, a, d: 1 / (1 + abs(x / a) ** d),
}
