"""Sine, cosine and tangent of float32 vectors, of angles of any size.

Polynomials on an eighth of a turn: Moshier, Cephes mathematical library (single precision).
Angles below 2**30 are reduced by a multiple of pi/2 in three parts (Cody and Waite), the rest
by the bits of 2/pi that matter (Payne and Hanek, "Radian reduction for trigonometric
functions", 1983).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.kernels.conv_vector import Expr, intrinsic, load, store
from actc.targets.tvm.kernels.float_math import (
    bits_of,
    f32,
    f64,
    i32,
    keep,
    magnitude,
    negated,
    polynomial,
    rounded,
)
from actc.targets.tvm.kernels.tir import cast, const, lanes_of, register_scope

_SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_HALF_PI = (1.57079632673412561417, 6.07710050630396597660e-11, 2.02226624879595063154e-21)
"""pi/2 in float64 parts of 33 bits, so that their products with 20 bit numbers are exact."""

_FAR = 2.0**30
_TWO_OVER_PI = (
    0xA2F9836E, 0x4E441529, 0xFC2757D1, 0xF534DDC0, 0xDB629599, 0x3C439041, 0xFE5163AB,
)  # fmt: skip
"""The binary places of 2/pi, 32 a word."""


def sin(x: Expr) -> Expr:
    """The sine."""
    rest, quadrant = _reduced_angle(x)
    value = _circular(x, rest, quadrant)
    return keep(T.Select(tirx.EQ(x, f32(0, x)), x, value))  # also the sign of zero


def cos(x: Expr) -> Expr:
    """The cosine."""
    rest, quadrant = _reduced_angle(x)
    return _circular(x, rest, keep(quadrant + i32(1, x)))


def tan(x: Expr) -> Expr:
    """The tangent."""
    return keep(sin(x) / cos(x))


def _reduced_angle(x: Expr) -> tuple[Expr, Expr]:
    """(x minus a multiple of pi/2 as float32, that multiple modulo 4 as int32)."""
    lanes, size = lanes_of(x), keep(magnitude(x))
    safe = keep(T.Select(size <= f32(_FAR, x), x, f32(0, x)))
    wide = keep(cast("float64", safe))
    turns = rounded("roundeven", keep(wide * f64(2 / np.pi, x)))
    near = wide
    for part in _HALF_PI:
        near = keep(near - turns * f64(part, x))
    scope = register_scope()
    rest = T.alloc_buffer((lanes,), "float32", scope=scope)
    quadrant = T.alloc_buffer((lanes,), "int32", scope=scope)
    store(rest, 0, cast("float32", near), lanes)
    store(quadrant, 0, cast("int32", turns), lanes)
    largest = size if lanes == 1 else intrinsic("llvm.vector.reduce.fmax", "float32", size)
    with T.If(largest > tirx.FloatImm("float32", _FAR)), T.Then():
        far_rest, far_quadrant = _far_angle(x)
        is_far = size > f32(_FAR, x)
        store(rest, 0, T.Select(is_far, far_rest, load(rest, 0, lanes)), lanes)
        store(quadrant, 0, T.Select(is_far, far_quadrant, load(quadrant, 0, lanes)), lanes)
    return load(rest, 0, lanes), load(quadrant, 0, lanes)


def _far_angle(x: Expr) -> tuple[Expr, Expr]:
    """As `_reduced_angle`, for sizes from 2**30 on: a mantissa times the places behind 2/pi's
    multiples of a turn, modulo 2**64 parts of a turn."""
    bits = keep(bits_of(x))
    exponent = keep(((bits >> i32(23, x)) & i32(0xFF, x)) - i32(127, x))
    place = keep(tirx.Max(exponent - i32(25, x), i32(0, x)))  # of 2/pi, the first that matters
    word, shift = keep(place >> i32(5, x)), keep(cast("uint64", place & i32(31, x)))
    found = []
    for j in range(4):
        part = const(_TWO_OVER_PI[j], "uint64", x)
        for k in (1, 2, 3):
            other = const(_TWO_OVER_PI[j + k], "uint64", x)
            part = T.Select(tirx.EQ(word, i32(k, x)), other, part)
        found.append(keep(part))
    half = const(32, "uint64", x)
    window = [keep(((high << half | low) << shift) >> half) for high, low in pairwise(found)]
    mantissa = keep(cast("uint64", (bits & i32(0x7FFFFF, x)) | i32(0x800000, x)))
    turn = (mantissa * window[0] << half) + mantissa * window[1] + (mantissa * window[2] >> half)
    turn = keep(turn)
    quarter = keep((turn + const(1 << 61, "uint64", x)) >> const(62, "uint64", x))
    apart = keep(cast("int64", turn - (quarter << const(62, "uint64", x))))
    angle = keep(cast("float32", cast("float64", apart) * f64(np.pi / 2 * 2.0**-62, x)))
    quadrant = keep(cast("int32", quarter))
    below = bits < i32(0, x)
    return (
        keep(T.Select(below, negated(angle), angle)),
        keep(T.Select(below, i32(0, x) - quadrant, quadrant)),
    )


def _circular(x: Expr, rest: Expr, quadrant: Expr) -> Expr:
    """The sine of ``rest + quadrant * pi / 2``; NaN where x is not finite."""
    square = keep(rest * rest)
    sine = keep(polynomial(_SIN, square) * square * rest + rest)
    cosine = polynomial(_COS, square) * square * square
    cosine = keep(cosine - f32(0.5, x) * square + f32(1, x))
    odd = tirx.NE(quadrant & i32(1, x), i32(0, x))
    value = keep(T.Select(odd, cosine, sine))
    value = keep(T.Select(tirx.NE(quadrant & i32(2, x), i32(0, x)), negated(value), value))
    finite = magnitude(x) < f32(np.inf, x)
    return keep(T.Select(finite, value, f32(np.nan, x)))
