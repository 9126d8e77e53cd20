"""Arithmetic of one type: integers wrap around, NaN passes, functions are libm's.

Expressions that use an operand more than once expect it to be cheap (loaded or kept).
"""

from __future__ import annotations

import math

import numpy as np
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.generic.cast import convert
from actc.targets.tvm.generic.kernel import (
    Cell,
    Expr,
    const,
    dtype_of,
    is_float,
    is_signed,
    keep,
    nest,
    select,
)

_BITS = {"float32": "int32", "float64": "int64"}


def libm(name: str, *operands: Expr) -> Expr:
    """A function of C's mathematical library, for float32 or float64."""
    dtype = dtype_of(operands[0])
    symbol = name if dtype == "float64" else f"{name}f"
    return keep(tirx.call_pure_extern(dtype, symbol, *operands))


def intrinsic(name: str, *operands: Expr) -> Expr:
    """An LLVM intrinsic that is an instruction on current CPUs."""
    return keep(T.call_llvm_pure_intrin(dtype_of(operands[0]), f"llvm.{name}", *operands))


# ---- integers that wrap around: signed overflow is undefined in LLVM as TVM emits it ------


def _unsigned(value: Expr) -> Expr:
    dtype = dtype_of(value)
    return tirx.Cast(f"u{dtype}", value) if is_signed(dtype) else value


def _wrapped(value: Expr, dtype: str) -> Expr:
    return tirx.Cast(dtype, value) if is_signed(dtype) else value


def add(a: Expr, b: Expr) -> Expr:
    """The sum."""
    return _wrapped(_unsigned(a) + _unsigned(b), dtype_of(a))


def subtract(a: Expr, b: Expr) -> Expr:
    """The difference."""
    return _wrapped(_unsigned(a) - _unsigned(b), dtype_of(a))


def multiply(a: Expr, b: Expr) -> Expr:
    """The product."""
    return _wrapped(_unsigned(a) * _unsigned(b), dtype_of(a))


def divide(a: Expr, b: Expr) -> Expr:
    """The quotient; that of integers is truncated, and 0 where the divisor is."""
    dtype = dtype_of(a)
    if is_float(dtype):
        return a / b
    a, b = keep(a), keep(b)
    quotient = tirx.truncdiv(a, keep(select(_plain_divisor(b), b, const(1, dtype))))
    return _unless_special(a, b, quotient, negate(a))


def remainder(a: Expr, b: Expr) -> Expr:
    """The remainder of `divide`: it has the sign of `a` (C's % and fmod)."""
    dtype = dtype_of(a)
    if is_float(dtype):
        return libm("fmod", a, b)
    a, b = keep(a), keep(b)
    rest = tirx.truncmod(a, keep(select(_plain_divisor(b), b, const(1, dtype))))
    return _unless_special(a, b, rest, const(0, dtype))


def modulo(a: Expr, b: Expr) -> Expr:
    """The remainder with the sign of `b` (Python's %)."""
    zero = const(0, dtype_of(a))
    a, b = keep(a), keep(b)
    rest = keep(remainder(a, b))
    if not is_float(dtype_of(a)) and not is_signed(dtype_of(a)):
        return rest
    crosses = T.And(
        tirx.NE(rest, zero), T.Or(T.And(rest < zero, b > zero), T.And(rest > zero, b < zero))
    )
    return select(crosses, rest + b, rest)


def _plain_divisor(b: Expr) -> Expr:
    """Whether the processor can divide by it: not 0, and not -1, which may overflow."""
    dtype = dtype_of(b)
    valid = tirx.NE(b, const(0, dtype))
    return T.And(valid, tirx.NE(b, const(-1, dtype))) if is_signed(dtype) else valid


def _unless_special(a: Expr, b: Expr, value: Expr, by_minus_one: Expr) -> Expr:
    dtype = dtype_of(a)
    found = select(tirx.EQ(b, const(0, dtype)), const(0, dtype), value)
    if not is_signed(dtype):
        return found
    return select(tirx.EQ(b, const(-1, dtype)), by_minus_one, found)


def negate(x: Expr) -> Expr:
    """``-x``, with the sign of zero."""
    dtype = dtype_of(x)
    if is_float(dtype):
        return _from_bits(_bits(x) ^ _sign_bit(dtype), dtype)
    return _wrapped(tirx.bitwise_not(_unsigned(x)) + const(1, dtype_of(_unsigned(x))), dtype)


def magnitude(x: Expr) -> Expr:
    """The absolute value; that of the lowest integer is itself."""
    dtype = dtype_of(x)
    if is_float(dtype):
        return _from_bits(_bits(x) & ~_sign_bit(dtype), dtype)
    return select(x < const(0, dtype), negate(x), x) if is_signed(dtype) else x


def is_nan(x: Expr) -> Expr:
    """Whether it is NaN; from the bits, since simplifiers fold ``x != x``."""
    dtype = dtype_of(x)
    infinity = {"float32": 0x7F800000, "float64": 0x7FF << 52}[dtype]
    return (_bits(x) & ~_sign_bit(dtype)) > const(infinity, _BITS[dtype])


def maximum(a: Expr, b: Expr) -> Expr:
    """The larger one; NaN if either is."""
    larger = select(a > b, a, b)
    return select(is_nan(a), a, larger) if is_float(dtype_of(a)) else larger


def minimum(a: Expr, b: Expr) -> Expr:
    """The smaller one; NaN if either is."""
    smaller = select(a < b, a, b)
    return select(is_nan(a), a, smaller) if is_float(dtype_of(a)) else smaller


def bounded(x: Expr, low: Expr, high: Expr) -> Expr:
    """`x` between bounds: NaN stays, the upper bound wins."""
    raised = keep(select(x < low, low, x))
    return select(raised > high, high, raised)


def lowest(dtype: str) -> Expr:
    """The smallest number: what a maximum starts with."""
    if is_float(dtype):
        return const(-math.inf, dtype)
    return tirx.min_value(dtype) if is_signed(dtype) else const(0, dtype)


def highest(dtype: str) -> Expr:
    """The largest number: what a minimum starts with."""
    return const(math.inf, dtype) if is_float(dtype) else tirx.max_value(dtype)


def ends(dtype: str) -> tuple[float, float]:
    """The lowest and the highest finite number of a stored type."""
    if dtype == "bfloat16":
        largest = 255 * 2.0**120
        return -largest, largest
    if is_float(dtype):
        info = np.finfo(dtype)
        return float(info.min), float(info.max)
    whole = np.iinfo(dtype)
    return int(whole.min), int(whole.max)


def power(x: Expr, exponent: Expr) -> Expr:
    """``x**exponent`` in the type of `x`; whole powers of integers are exact and wrap around."""
    dtype = dtype_of(x)
    if is_float(dtype):
        if dtype_of(exponent) == dtype:
            return libm("pow", x, exponent)
        wide = libm("pow", tirx.Cast("float64", x), tirx.Cast("float64", exponent))
        return wide if dtype == "float64" else tirx.Cast(dtype, wide)
    if is_float(dtype_of(exponent)):
        return convert(libm("pow", tirx.Cast("float64", x), tirx.Cast("float64", exponent)), dtype)
    return _whole_power(keep(x), keep(tirx.Cast("int64", exponent)))


def _whole_power(x: Expr, exponent: Expr) -> Expr:
    """By squaring: 63 steps that do nothing once the exponent is used up."""
    dtype = dtype_of(x)
    one, zero = const(1, "int64"), const(0, "int64")
    rest = Cell(select(exponent < zero, zero, exponent))
    base, total = Cell(x), Cell(const(1, dtype))
    with nest([63]):
        odd = tirx.NE(tirx.bitwise_and(rest.value, one), zero)
        total.set(select(odd, multiply(total.value, base.value), total.value))
        base.set(multiply(base.value, base.value))
        rest.set(tirx.shift_right(rest.value, one))
    if not is_signed(dtype):
        return total.value
    odd = tirx.NE(tirx.bitwise_and(exponent, one), zero)
    unit = select(tirx.EQ(x, const(-1, dtype)), select(odd, x, const(1, dtype)), const(0, dtype))
    unit = select(tirx.EQ(x, const(1, dtype)), x, unit)
    return select(exponent < zero, unit, total.value)


def _bits(x: Expr) -> Expr:
    return T.reinterpret(_BITS[dtype_of(x)], x)


def _from_bits(bits: Expr, dtype: str) -> Expr:
    return T.reinterpret(dtype, bits)


def _sign_bit(dtype: str) -> Expr:
    width = 31 if dtype == "float32" else 63
    return const(-(1 << width), _BITS[dtype])
