"""Definitions of the rarer functions, written again for mpmath at 30 digits."""

from __future__ import annotations

from typing import Any

from catalogue_reference import Reference, cdf, clip, nearest_even, pos, sgn, sig, sinc, splus
from mpmath import mp, mpf


def quad_slope(x: Any, a: Any, b: Any, left: Any, right: Any) -> Any:
    """The generalized SmeLU as the integral of its slope, from 0 at -infinity's line."""
    if x <= -a:
        return left * x
    top = min(x, b)
    slope = left + (right - left) * (top + a) / (a + b)
    return -left * a + (left + slope) / 2 * (top + a) + right * pos(x - b)


def three_lines(x: Any, low: Any, left: Any, high: Any, right: Any) -> Any:
    return clip(x, low, high) - left * pos(low - x) + right * pos(x - high)


def blurred_leaky(x: Any, alpha: Any, n: Any) -> Any:
    """E[leaky(x + Z / n)] for a normal Z: x Phi(n x) + phi(n x) / n for the positive part."""
    positive = x * cdf(n * x) + mp.npdf(n * x) / n
    negative = x * cdf(-n * x) - mp.npdf(n * x) / n
    return positive + alpha * negative


def power(x: Any, coefficients: Any) -> Any:
    return mp.fsum(c * x**k for k, c in enumerate(coefficients))


def pade(x: Any, *c: Any) -> Any:
    return power(x, c[:6]) / (1 + abs(mp.fsum(b * x**k for k, b in enumerate(c[6:], 1))))


def pade_apart(x: Any, *c: Any) -> Any:
    return power(x, c[:6]) / (1 + mp.fsum(abs(b * x**k) for k, b in enumerate(c[6:], 1)))


def b_spline(x: Any, k: int, degree: int) -> Any:
    """Cox-de Boor recursion on the knots -1 + 0.4 (j - 3)."""
    knots = [(mpf(2) * (j - 3) - 5) / 5 for j in range(12)]
    if degree == 0:
        return mpf(knots[k] <= x < knots[k + 1])
    width = knots[1] - knots[0]
    rise = (x - knots[k]) / (degree * width) * b_spline(x, k, degree - 1)
    fall = (knots[k + degree + 1] - x) / (degree * width) * b_spline(x, k + 1, degree - 1)
    return rise + fall


def spline_edge(x: Any, base: Any, spline: Any, *c: Any) -> Any:
    total = mp.fsum(value * b_spline(x, k, 3) for k, value in enumerate(c))
    return base * x * sig(x) + spline * total


def scad(x: Any, t: Any, a: Any) -> Any:
    if abs(x) <= 2 * t:
        return sgn(x) * pos(abs(x) - t)
    return x if abs(x) > a * t else ((a - 1) * x - sgn(x) * a * t) / (a - 2)


def firm(x: Any, low: Any, high: Any) -> Any:
    return sgn(x) * (abs(x) if abs(x) > high else high * pos(abs(x) - low) / (high - low))


def cats(x: Any, t: Any) -> Any:
    y = x * sig(x)
    return y if abs(y) >= t else mpf(0)


def mexican(u: Any) -> Any:
    return 2 / (mp.sqrt(3) * mp.root(mp.pi, 4)) * (1 - u * u) * mp.exp(-u * u / 2)


def velu(x: Any, alpha: Any, b1: Any, b2: Any, gamma: Any, mu: Any, s: Any) -> Any:
    angle = mp.atan(b1 * x) + mp.asin(clip(b2 * x, -1, 1))
    return x * sig(alpha * angle) * (1 + gamma * mp.tanh(mu * s))


def half_gate(x: Any) -> Any:
    """x E(-exp(-x)) with E(-z) = exp(z^2) erfc(z), or its asymptotic series."""
    z = mp.exp(-x)
    if z < 1000:
        return x * mp.exp(z * z) * mp.erfc(z)
    return x * (1 - 1 / (2 * z * z) + 3 / (4 * z**4)) / (z * mp.sqrt(mp.pi))


def normal(x: Any, mean: Any, deviation: Any) -> Any:
    return cdf((x - mean) / deviation)


RECTIFIERS: dict[str, Reference] = {
    "RReLU": lambda x, low, high: pos(x) - (low + high) / 2 * pos(-x),
    "HeLU": pos,
    "dReLU": lambda x, v: pos(x) * pos(v),
    "DisplacedReLU": lambda x, d: pos(x + d) - d,
    "ShiftedReLU": lambda x: pos(x + 1) - 1,
    "ClippedReLU": lambda x, c: clip(x, 0, c),
    "ReLUN": lambda x, n: clip(x, 0, n),
    "FReLU": lambda x, b: b + pos(x),
    "CReLUNegative": lambda x: (abs(x) - x) / 2,
    "StarReLU": lambda x, s, b: s * pos(x) ** 2 + b,
    "NLReLU": lambda x, b: mp.log(1 + b * pos(x)),
    "SReLU": three_lines,
    "BoundedLeakyReLU": lambda x, alpha, a: three_lines(x, 0, alpha, a, alpha),
    "PLU": lambda x, alpha, c: three_lines(x, -c, alpha, c, alpha),
    "APL": lambda x, a, b, c, d: pos(x) + a * pos(b - x) + c * pos(d - x),
    "MeLU": lambda x, a, b, c: (
        pos(x) - a * pos(-x) + b * pos(2 - abs(x - 2)) + c * pos(1 - abs(x - 1))
    ),
    "Maxout": lambda x, w1, b1, w2, b2: max(w1 * x + b1, w2 * x + b2),
    "RPReLU": lambda x, a, g, z: pos(x - g) - a * pos(g - x) + z,
    "RESCU": quad_slope,
    "SignReLU": lambda x, a: x if x > 0 else a * x / (1 - x),
    "CRReLU": lambda x, e: pos(x) + e * x * mp.exp(-(x**2) / 2),
    "PELU": lambda x, a, b: a / b * x if x > 0 else a * (mp.exp(x / b) - 1),
    "MPELU": lambda x, a, b: x if x > 0 else a * (mp.exp(b * x) - 1),
    "PDELU": lambda x, a, t: x if x > 0 else a * (pos(1 + (1 - t) * x) ** (1 / (1 - t)) - 1),
    "SERLU": lambda x, s, a: s * x if x > 0 else s * a * x * mp.exp(x),
    "ShiftedSoftplus": lambda x: mp.log((mp.exp(x) + 1) / 2),
    "SoftExponential": lambda x, a: (mp.exp(a * x) - 1) / a + a,
    "SAU": blurred_leaky,
    "SMU": lambda x, a, mu: ((1 + a) * x + (1 - a) * x * mp.erf(mu * (1 - a) * x)) / 2,
    "SMU1": lambda x, a, mu: ((1 + a) * x + mp.sqrt((1 - a) ** 2 * x**2 + mu**2)) / 2,
    "xIELU": lambda x, p, n, b: (p * x**2 if x > 0 else n * (mp.exp(x) - 1 - x)) + b * x,
    "RSigELU": lambda x, a: x * sig(x) * a + x if x > 1 else x if x >= 0 else a * (mp.exp(x) - 1),
    "DELU": lambda x, n: (n + mpf(1) / 2) * x + abs(mp.exp(-x) - 1) if x > 0 else x * sig(x),
    "SoftModulusQ": lambda x: x**2 * (2 - abs(x)) if abs(x) <= 1 else abs(x),
    "SoftModulusT": lambda x, a: x * mp.tanh(x / a),
}

GATED: dict[str, Reference] = {
    "ATLU": lambda x: x * (mp.atan(x) / mp.pi + mpf(1) / 2),
    "xATLU": lambda x, a: x * ((mp.atan(x) / mp.pi + mpf(1) / 2) * (1 + 2 * a) - a),
    "xGELU": lambda x, a: x * (cdf(x) * (1 + 2 * a) - a),
    "xSiLU": lambda x, a: x * (sig(x) * (1 + 2 * a) - a),
    "AGLU": lambda x, k, n: x * (n * mp.exp(-k * x) + 1) ** (-1 / n),
    "MittagLefflerUnit": half_gate,
    "ASH": lambda x, a, z, m, d: x / (1 + mp.exp(-a * (x - m - z * d))),
    "HardASH": lambda x, a, z, m, d: clip(x, 0, 2) * clip(a * (x - m - z * d) + 3, 0, 6) / 6,
    "Dice": lambda x, a, m, d: sig((x - m) / d) * x + (1 - sig((x - m) / d)) * a * x,
    "VeLU": velu,
    "BSiLU": lambda x, a: (x + a) * sig(x) - a / 2,
    "SiLUGradient": lambda x: sig(x) * (1 + x * (1 - sig(x))),
    "ESwish": lambda x, b: b * x * sig(x),
    "FTSwish": lambda x, t: t + (x * sig(x) if x >= 0 else 0),
    "SwishT": lambda x, b, a: x * sig(b * x) + a * mp.tanh(x),
    "ARiA2": lambda x, a, b: x * (1 + mp.exp(-b * x)) ** (-a),
    "ACON": lambda x, p, q, b: (p - q) * x * sig(b * (p - q) * x) + q * x,
    "HardELiSH": lambda x: (x if x >= 0 else mp.exp(x) - 1) * max(0, min(1, (x + 1) / 2)),
    "SGELU": lambda x, a: a * x * mp.erf(x / mp.sqrt(2)),
    "TanhSoft1": lambda x, a: mp.tanh(a * x) * splus(x),
    "TanhSoft2": lambda x, b, g: x * mp.tanh(b * mp.exp(g * x)),
    "ErfAct": lambda x, a, b: x * mp.erf(a * mp.exp(b * x)),
    "Pserf": lambda x, g, d: x * mp.erf(g * splus(d * x)),
    "Gish": lambda x: x * mp.log1p(-mp.expm1(-mp.exp(x))),
    "CosLU": lambda x, a, b: (x + a * mp.cos(b * x)) * sig(x),
    "MaxSigmoid": lambda x: max(x, sig(x)),
    "MaxTanh": lambda x: max(x, mp.tanh(x)),
    "MinSine": lambda x: min(x, mp.sin(x)),
    "CosMinusX": lambda x: mp.cos(x) - x,
    "ArctanSquaredMinusX": lambda x: mp.atan(x) ** 2 - x,
    "SincPlusX": lambda x: sinc(x) + x,
    "XArcsinhSquared": lambda x: x * mp.asinh(x) ** 2,
}

SIGMOIDS: dict[str, Reference] = {
    "TemperedSigmoid": lambda x, s, t, o: s * sig(t * x) - o,
    "APA": lambda x, k, n: (n * mp.exp(-k * x) + 1) ** (-1 / n),
    "PenalizedTanh": lambda x, a: mp.tanh(x) if x > 0 else a * mp.tanh(x),
    "DyT": lambda x, a, g, b: g * mp.tanh(a * x) + b,
    "LaplaceActivation": normal,
    "Probit": cdf,
    "ComplementaryLogLog": lambda x: -mp.expm1(-mp.exp(x)),
    "LogLog": lambda x: mp.exp(-mp.exp(-x)),
    "ArandaOrdaz": lambda x, a: 1 - (1 + a * mp.exp(x)) ** (-1 / a),
    "BipolarSigmoid": lambda x: 2 * sig(x) - 1,
    "NormalizedArctan": lambda x: 2 / mp.pi * mp.atan(mp.pi * x / 2),
    "Elliott": lambda x: (x / (1 + abs(x)) + 1) / 2,
    "RootSigmoid": lambda x: x / (1 + mp.sqrt(1 + x**2)),
    "SQNL": lambda x: sgn(x) if abs(x) > 2 else x - x * abs(x) / 4,
    "Softclip": lambda x, a: mp.log((1 + mp.exp(a * x)) / (1 + mp.exp(a * (x - 1)))) / a,
    "SmoothStep": lambda x, g: (
        mpf(x > 0) if abs(x) >= g / 2 else -2 / g**3 * x**3 + 3 / (2 * g) * x + mpf(1) / 2
    ),
    "Symlog": lambda x: sgn(x) * mp.log(abs(x) + 1),
    "ReSech": lambda x: x / mp.cosh(x),
}

WAVES: dict[str, Reference] = {
    "SnakeBeta": lambda x, a, b: x + mp.sin(a * x) ** 2 / b,
    "SIREN": lambda x, w: mp.sin(w * x),
    "FINER": lambda x, w: mp.sin(w * (abs(x) + 1) * x),
    "HOSC": lambda x, b: mp.tanh(b * mp.sin(x)),
    "SQU": lambda x: x * (x + 1),
    "NCU": lambda x: x * (1 - x**2),
    "DSU": lambda x: mp.pi / 2 * (sinc(x - mp.pi) - sinc(x + mp.pi)),
    "SSU": lambda x: mp.pi * sinc(x - mp.pi),
    "FourierBasis": lambda x, a0, a1, b1, a2, b2: (
        a0 + mp.re((a1 - 1j * b1) * mp.expj(x) + (a2 - 1j * b2) * mp.expj(2 * x))
    ),
    "GaussianUnit": lambda x, a: mp.exp(-(x**2) / (2 * a**2)),
    "LaplacianUnit": lambda x, a: mp.exp(-abs(x) / a),
    "QuadraticUnit": lambda x, a: 1 / (1 + (a * x) ** 2),
    "MultiQuadraticUnit": lambda x, a: 1 / mp.sqrt(1 + (a * x) ** 2),
    "SuperGaussianUnit": lambda x, a, b: mp.exp(-(x**2) / (2 * a**2)) ** b,
    "ExpSine": lambda x, a: mp.exp(-mp.sin(a * x)),
    "Gabor": lambda x, w, s: mp.re(mp.exp(1j * w * x - abs(s * x) ** 2)),
    "MexicanHat": mexican,
    "Morlet": lambda x, w: mp.cos(w * x) * mp.exp(-(x**2) / 2),
    "GaussianDerivative": lambda x: -x * mp.sqrt(2 * mp.pi) * mp.npdf(x),
    "ShannonWavelet": lambda x: sinc(mp.pi * x / 2) * mp.cos(3 * mp.pi * x / 2),
    "Haar": lambda x: mpf(0) if x < 0 or x >= 1 else mpf(1) if 2 * x < 1 else mpf(-1),
}

RATIONALS: dict[str, Reference] = {
    "PAU": pade,
    "RecurrentRational": pade_apart,
    "GroupRational": pade,
    "RationalKAN": lambda x, a0, a1, a2, b1, b2: (
        power(sig(x), (a0, a1, a2)) / (1 + b1 * sig(x) + b2 * sig(x) ** 2)
    ),
    "Cauchy": lambda x, a, b, d: a * x / (x**2 + d**2) + b / (x**2 + d**2),
    "PFLU": lambda x: x * (1 + x / mp.sqrt(1 + x**2)) / 2,
    "FPFLU": lambda x: x if x >= 0 else x + x**2 / mp.sqrt(1 + x**2),
    "PolyReLU": lambda x, *a: power(pos(x), a),
    "PolyNorm": lambda x, *a: power(x, a),
    "SLAF": lambda x, *a: power(x, a),
    "HermiteBasis": lambda x, *a: mp.fsum(
        c * mp.hermite(k, x / mp.sqrt(2)) / (mp.sqrt(2) ** k * mp.factorial(k))
        for k, c in enumerate(a)
    ),
    "TropicalBasis": lambda x, *a: max(c + k * x for k, c in enumerate(a)) * mp.sqrt(2) / 3,
    "TropicalRational": lambda x, a0, a1, a2, b0, b1: max(a0, a1 + x, a2 + 2 * x) - max(b0, b1 + x),
    "BSplineKAN": spline_edge,
    "FastKAN": lambda x, *c: mp.fsum(
        v * mp.exp(-(((x + 2 - 4 * mpf(k) / 7) * 7 / 4) ** 2)) for k, v in enumerate(c)
    ),
    "ReLUKAN": lambda x, s, e: (pos(e - x) * pos(x - s) * 4 / (e - s) ** 2) ** 2,
    "FourierKAN": lambda x, a1, b1, a2, b2: mp.re(
        (a1 - 1j * b1) * mp.expj(x) + (a2 - 1j * b2) * mp.expj(2 * x)
    ),
    "SineKAN": lambda x, w1, w2, a1, a2, p1, p2: mp.im(
        a1 * mp.expj(w1 * x + p1) + a2 * mp.expj(w2 * x + p2)
    ),
    "ChebyshevKAN": lambda x, *c: mp.fsum(v * mp.chebyt(k, mp.tanh(x)) for k, v in enumerate(c)),
    "LegendreKAN": lambda x, *c: mp.fsum(v * mp.legendre(k, mp.tanh(x)) for k, v in enumerate(c)),
    "WaveletKAN": lambda x, s, t, w: -w * mexican((x - t) / s),
}

THRESHOLDS: dict[str, Reference] = {
    "JumpReLU": lambda x, t: x * mpf(x > t),
    "FATReLU": lambda x, t: x * mpf(x >= t),
    "TopKThreshold": lambda x, t: x * mpf(x >= t),
    "CATS": cats,
    "TEAL": lambda x, t: x * mpf(abs(x) > t),
    "GarroteShrink": lambda x, t: x - t**2 / x if abs(x) > t else mpf(0),
    "FirmShrink": firm,
    "SCADThreshold": scad,
    "ReAct": min,
    "VRA": lambda x, a, b: mpf(0) if x < a else b if x > b else x,
    "VRAPlus": lambda x, a, b, g: mpf(0) if x < a else b if x > b else x + g,
    "SquareWave": lambda x, w: mpf(1) if mp.sin(w * x) >= 0 else mpf(-1),
    "RSign": lambda x, a: mpf(1) if x > a else mpf(-1),
    "ApproxSign": lambda x: sgn(x) if abs(x) >= 1 else 2 * x - x * abs(x),
    "SwishSign": lambda x, b: 2 * sig(b * x) * (1 + b * x * (1 - sig(b * x))) - 1,
    "PACT": lambda x, a: (abs(x) - abs(x - a) + a) / 2,
    "DoReFa": lambda x, n: nearest_even(n * clip(x, 0, 1)) / n,
    "TernarySign": lambda x, d: mpf(x > d) - mpf(x < -d),
}

VARIANTS: dict[str, Reference] = RECTIFIERS | GATED | SIGMOIDS | WAVES | RATIONALS | THRESHOLDS
