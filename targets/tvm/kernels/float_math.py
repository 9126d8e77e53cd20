"""Elementary functions of float32 vectors as TIR expressions.

TVM hands exp, erf and their like to libm one lane at a time, and its tanh loses
relative accuracy near 0; these stay in vector registers. Method and most
coefficients: Moshier, Cephes mathematical library (single precision). Errors are
within a few units in the last place; NaN and infinities come out as IEEE 754
recommends, which `tests/test_cpu_float_kernels.py` checks over the whole range.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.kernels.conv_vector import Expr, intrinsic, load, store
from actc.targets.tvm.kernels.tir import cast, const, lanes_of, register_scope, vector

_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5)
_LOG = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
_TANH = (
    -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1,
)  # fmt: skip
_ERF = (
    7.853861353153693e-5, -8.010193625184903e-4, 5.188327685732524e-3, -2.685381193529856e-2,
    1.128358514861418e-1, -3.761262582423300e-1, 1.128379165726710,
)  # fmt: skip
_ERFC_NEAR = (
    2.326819970068386e-2, -1.387039388740657e-1, 3.687424674597105e-1, -5.824733027278666e-1,
    6.210004621745983e-1, -4.944515323274145e-1, 3.404879937665872e-1, -2.741127028184656e-1,
    5.638259427386472e-1,
)  # fmt: skip
_ERFC_FAR = (
    -1.047766399936249e1, 1.297719955372516e1, -7.495518717768503, 2.921019019210786,
    -1.015265279202700, 4.218463358204948e-1, -2.820767439740514e-1, 5.641895067754075e-1,
)  # fmt: skip

_ATAN = (8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1)


def f32(value: float, like: Expr) -> Expr:
    """A float32 constant in every lane of `like`."""
    return const(float(np.float32(value)), "float32", like)


def i32(value: int, like: Expr) -> Expr:
    """An int32 constant in every lane of `like`."""
    return const(value, "int32", like)


def keep(value: Expr) -> Expr:
    """Compute once what is used several times; not for truth values.

    A store and a load that LLVM turns into a register. TVM's own bindings would be
    substituted into each other by its simplifier, which takes exponential time here
    and then treats rounding as if it were algebra (``(x + 1) - 1`` became ``x``).
    """
    lanes = lanes_of(value)
    place = T.alloc_buffer((lanes,), _scalar_type(value), scope=register_scope())
    store(place, 0, value, lanes)
    return load(place, 0, lanes)


def is_nan(x: Expr) -> Expr:
    """Lanes that are NaN; from the bits, since simplifiers fold ``x != x``."""
    magnitude = bits_of(x) & i32(0x7FFFFFFF, x)
    return magnitude > i32(0x7F800000, x)


def magnitude(x: Expr) -> Expr:
    """The absolute value."""
    return _float(bits_of(x) & i32(0x7FFFFFFF, x))


def with_sign_of(value: Expr, sign: Expr) -> Expr:
    """`value` (not negative) with the sign of `sign`."""
    return _float(bits_of(value) | (bits_of(sign) & i32(-(1 << 31), sign)))


def maximum(a: Expr, b: Expr) -> Expr:
    """The larger one, NaN if either is."""
    return T.Select(is_nan(a), a, T.Select(a > b, a, b))


def minimum(a: Expr, b: Expr) -> Expr:
    """The smaller one, NaN if either is."""
    return T.Select(is_nan(a), a, T.Select(a < b, a, b))


def exp(x: Expr) -> Expr:
    """``e**x``."""
    bounded = T.Select(x > f32(89, x), f32(89, x), x)
    bounded = keep(T.Select(bounded < f32(-104, x), f32(-104, x), bounded))
    turns = keep(rounded("roundeven", bounded * f32(1.4426950408889634, x)))
    rest = keep(bounded - turns * f32(_LN2_HIGH, x))
    rest = keep(rest - turns * f32(_LN2_LOW, x))
    value = polynomial(_EXP, rest) * (rest * rest) + rest + f32(1, x)
    # Two factors, because 2**turns itself may be no normal number.
    power = keep(cast("int32", turns))
    half = keep(power >> i32(1, x))
    scaled = value * _power_of_two(half) * _power_of_two(power - half)
    return keep(T.Select(is_nan(x), x, scaled))


def log(x: Expr) -> Expr:
    """The natural logarithm; -inf at 0, NaN below."""
    tiny = x < f32(1.1754943508222875e-38, x)
    normal = keep(T.Select(tiny, x * f32(2.0**23, x), x))
    bits = keep(bits_of(normal))
    exponent = (bits >> i32(23, x)) - i32(126, x) - T.Select(tiny, i32(23, x), i32(0, x))
    mantissa = keep(_float((bits & i32(0x007FFFFF, x)) | i32(0x3F000000, x)))
    low = mantissa < f32(0.7071067811865476, x)
    rest = keep(T.Select(low, mantissa + mantissa, mantissa) - f32(1, x))
    power = keep(cast("float32", exponent - T.Select(low, i32(1, x), i32(0, x))))
    square = keep(rest * rest)
    value = polynomial(_LOG, rest) * rest * square
    value = value + power * f32(_LN2_LOW, x) - square * f32(0.5, x)
    value = value + rest + power * f32(_LN2_HIGH, x)
    value = T.Select(x > f32(3.4028234663852886e38, x), x, value)
    value = T.Select(x < f32(0, x), f32(float("nan"), x), value)
    value = T.Select(tirx.EQ(x, f32(0, x)), f32(float("-inf"), x), value)
    return keep(T.Select(is_nan(x), x, value))


def log1p(x: Expr) -> Expr:
    """``log(1 + x)``, accurate near 0 (Kahan's correction of the rounded sum)."""
    total = keep(x + f32(1, x))
    change = keep(total - f32(1, x))
    large = change > f32(2.0**24, x)
    value = log(total) * keep(T.Select(large, f32(1, x), x / change))
    return keep(T.Select(tirx.EQ(change, f32(0, x)), x, value))


def sigmoid(x: Expr) -> Expr:
    """``1 / (1 + exp(-x))``."""
    return keep(f32(1, x) / (f32(1, x) + exp(keep(f32(0, x) - x))))


def softplus(x: Expr) -> Expr:
    """``log(1 + exp(x))`` without overflow."""
    decay = exp(keep(f32(0, x) - magnitude(x)))
    return keep(T.Select(x < f32(0, x), f32(0, x), x) + log1p(decay))


def tanh(x: Expr) -> Expr:
    """The hyperbolic tangent."""
    size = keep(magnitude(x))
    square = keep(x * x)
    near = polynomial(_TANH, square) * square * size + size
    far = f32(1, x) - f32(2, x) / (exp(keep(size + size)) + f32(1, x))
    value = keep(T.Select(size < f32(0.625, x), near, far))
    return keep(T.Select(is_nan(x), x, with_sign_of(value, x)))


def erf(x: Expr) -> Expr:
    """The error function."""
    size = keep(magnitude(x))
    square = keep(x * x)
    near = polynomial(_ERF, square) * x
    # Beyond 4 the complement is below half a unit of 1; the bound avoids inf * 0.
    bounded = keep(T.Select(size > f32(4, x), f32(4, x), T.Select(is_nan(x), f32(4, x), size)))
    inverse = keep(f32(1, x) / T.Select(bounded < f32(0.5, x), f32(0.5, x), bounded))
    inverse_square = keep(inverse * inverse)
    tail = T.Select(
        bounded < f32(2, x),
        polynomial(_ERFC_NEAR, inverse_square),
        polynomial(_ERFC_FAR, inverse_square),
    )
    complement = exp(keep(f32(0, x) - bounded * bounded)) * inverse * tail
    far = with_sign_of(keep(f32(1, x) - complement), x)
    value = T.Select(size < f32(1, x), near, far)
    return keep(T.Select(is_nan(x), x, value))


def atan(x: Expr) -> Expr:
    """The inverse tangent."""
    size = keep(magnitude(x))
    steep, middle = size > f32(2.414213562373095, x), size > f32(0.4142135623730950, x)
    one = f32(1, x)
    lower = T.Select(middle, (size - one) / (size + one), size)
    angle = keep(T.Select(steep, f32(-1, x) / T.Select(steep, size, one), lower))
    offset = T.Select(steep, f32(np.pi / 2, x), T.Select(middle, f32(np.pi / 4, x), f32(0, x)))
    square = keep(angle * angle)
    value = keep(offset + (polynomial(_ATAN, square) * square * angle + angle))
    return keep(T.Select(is_nan(x), x, with_sign_of(value, x)))


def power(x: Expr, exponent: Expr) -> Expr:
    """``x**exponent`` as IEEE 754's pow, through float64 logarithm and exponential."""
    size = keep(magnitude(x))
    whole = keep(rounded("trunc", exponent))
    half = keep(exponent * f32(0.5, x))
    product = keep(cast("float64", exponent) * _log2(size))
    value = keep(cast("float32", _exp2(product)))
    value = keep(T.Select(tirx.EQ(size, f32(1, x)), f32(1, x), value))
    value = keep(T.Select(is_nan(size), size, T.Select(is_nan(exponent), exponent, value)))
    odd = T.And(tirx.EQ(whole, exponent), tirx.NE(rounded("trunc", half), half))
    negative = keep(T.Select(odd, negated(value), value))
    invalid = T.And(tirx.NE(whole, exponent), T.And(size > f32(0, x), size < f32(np.inf, x)))
    negative = keep(T.Select(invalid, f32(np.nan, x), negative))
    below = keep(T.Select(bits_of(x) < i32(0, x), negative, value))
    signed = keep(T.Select(is_nan(x), value, below))
    signed = keep(T.Select(tirx.EQ(x, f32(1, x)), f32(1, x), signed))
    return keep(T.Select(tirx.EQ(exponent, f32(0, x)), f32(1, x), signed))


def square_root(x: Expr) -> Expr:
    """The square root."""
    return _llvm("sqrt", x)


def rounded(how: str, x: Expr) -> Expr:
    """An integral float32: `how` is "floor", "ceil", "trunc" or "roundeven"."""
    return _llvm(how, x)


def _llvm(name: str, x: Expr) -> Expr:
    """An LLVM intrinsic of one operand that is an instruction on current CPUs."""
    return keep(intrinsic(f"llvm.{name}", vector(_scalar_type(x), lanes_of(x)), x))


def _scalar_type(x: Expr) -> str:
    return str(x.ty.dtype).split("x")[0]


def f64(value: float, like: Expr) -> Expr:
    """A float64 constant in every lane of `like`."""
    return const(value, "float64", like)


def _log2(size: Expr) -> Expr:
    """The binary logarithm in float64 of float32 numbers >= 0, to 2**-38 of its value."""
    wide = keep(cast("float64", size))
    bits = keep(T.reinterpret(vector("int64", lanes_of(size)), wide))
    exponent = keep((bits >> const(52, "int64", size)) - const(1023, "int64", size))
    fraction = (bits & const((1 << 52) - 1, "int64", size)) | const(1023 << 52, "int64", size)
    mantissa = keep(T.reinterpret(vector("float64", lanes_of(size)), fraction))
    large = mantissa > f64(np.sqrt(2), size)
    scaled = keep(T.Select(large, mantissa * f64(0.5, size), mantissa))
    power_of_two = keep(cast("float64", exponent) + T.Select(large, f64(1, size), f64(0, size)))
    ratio = keep((scaled - f64(1, size)) / (scaled + f64(1, size)))
    square = keep(ratio * ratio)
    total = f64(1 / 15, size)
    for k in (13, 11, 9, 7, 5, 3, 1):
        total = total * square + f64(1 / k, size)
    value = keep(power_of_two + total * ratio * f64(2 / np.log(2), size))
    value = keep(T.Select(tirx.EQ(size, f32(np.inf, size)), f64(np.inf, size), value))
    return keep(T.Select(tirx.EQ(size, f32(0, size)), f64(-np.inf, size), value))


def _exp2(x: Expr) -> Expr:
    """``2**x`` in float64, exact enough for float32; beyond its range 0 and infinity."""
    bounded = keep(T.Select(x > f64(300, x), f64(300, x), x))
    bounded = keep(T.Select(bounded < f64(-300, x), f64(-300, x), bounded))
    whole = _llvm("roundeven", bounded)
    rest = keep((bounded - whole) * f64(np.log(2), x))
    total = f64(1 / math.factorial(11), x)
    for k in range(10, -1, -1):
        total = total * rest + f64(1 / math.factorial(k), x)
    biased = cast("int64", whole) + const(1023, "int64", x)
    scale = T.reinterpret(vector("float64", lanes_of(x)), biased << const(52, "int64", x))
    return keep(total * scale)


def polynomial(coefficients: Sequence[float], x: Expr) -> Expr:
    """Horner's scheme, highest power first."""
    total = f32(coefficients[0], x)
    for coefficient in coefficients[1:]:
        total = total * x + f32(coefficient, x)
    return keep(total)


def _power_of_two(exponent: Expr) -> Expr:
    """``2**exponent`` of int32 lanes between -126 and 127."""
    return _float((exponent + i32(127, exponent)) << i32(23, exponent))


def bits_of(x: Expr) -> Expr:
    """The bits of float32 lanes as int32."""
    return T.reinterpret(vector("int32", lanes_of(x)), x)


def _float(bits: Any) -> Expr:
    return T.reinterpret(vector("float32", lanes_of(bits)), bits)


def negated(x: Expr) -> Expr:
    """``-x``, with the sign of zero."""
    return _float(bits_of(x) ^ i32(-(1 << 31), x))
