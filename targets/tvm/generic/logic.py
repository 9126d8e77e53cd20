"""Comparisons, logic and bits of all types."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.generic.arithmetic import is_nan, magnitude
from actc.targets.tvm.generic.kernel import (
    Expr,
    Kernel,
    KernelFunction,
    const,
    dtype_of,
    is_float,
    is_signed,
    keep,
    nest,
    select,
)


def pointwise(function: Callable[..., Expr]) -> KernelFunction:
    """A kernel that broadcasts its operands."""

    def kernel(k: Kernel) -> None:
        with nest(k.out.shape) as index:
            k.out.store(index, function(*(x.broadcast(index) for x in k.given)))

    return kernel


def _equal(a: Expr, b: Expr) -> Expr:
    if dtype_of(a) == "bool":
        return T.Not(_differ(a, b))
    return tirx.EQ(a, b)


def _differ(a: Expr, b: Expr) -> Expr:
    return T.Or(T.And(a, T.Not(b)), T.And(b, T.Not(a)))


def _bit_shift(k: Kernel) -> None:
    """Shifts by the width or more, or by a negative number, leave only the sign."""
    left = k.attribute("direction", "LEFT") == "LEFT"
    bits = int(k.out.dtype.lstrip("uint"))

    def function(a: Expr, b: Expr) -> Expr:
        dtype, zero = dtype_of(a), const(0, dtype_of(a))
        wide = keep(tirx.Cast("int64", b))
        fits = T.And(wide >= const(0, "int64"), wide < const(bits, "int64"))
        amount = keep(select(fits, b, const(bits - 1, dtype)))
        if not left:
            moved = tirx.shift_right(a, amount)
            return moved if is_signed(dtype) else select(fits, moved, zero)
        unsigned = tirx.Cast(f"u{dtype}", a) if is_signed(dtype) else a
        moved = tirx.Cast(dtype, tirx.shift_left(unsigned, tirx.Cast(dtype_of(unsigned), amount)))
        return select(fits, moved, zero)

    pointwise(function)(k)


def _is_nan(k: Kernel) -> None:
    pointwise(is_nan)(k)


def _is_inf(k: Kernel) -> None:
    negative, positive = (
        bool(k.attribute(f"detect_{side}", 1)) for side in ("negative", "positive")
    )

    def function(x: Expr) -> Expr:
        dtype = dtype_of(x)
        if negative and positive:
            return tirx.EQ(magnitude(x), const(np.inf, dtype))
        if not negative and not positive:
            return const(0, "bool")
        return tirx.EQ(x, const(np.inf if positive else -np.inf, dtype))

    pointwise(function)(k)


def _negate_bits(a: Expr) -> Expr:
    assert not is_float(dtype_of(a))
    return tirx.bitwise_not(a)


KERNELS: dict[str, KernelFunction] = {
    "And": pointwise(lambda a, b: T.And(a, b)),
    "BitShift": _bit_shift,
    "BitwiseAnd": pointwise(lambda a, b: tirx.bitwise_and(a, b)),
    "BitwiseNot": pointwise(_negate_bits),
    "BitwiseOr": pointwise(lambda a, b: tirx.bitwise_or(a, b)),
    "BitwiseXor": pointwise(lambda a, b: tirx.bitwise_xor(a, b)),
    "Equal": pointwise(_equal),
    "Greater": pointwise(lambda a, b: a > b),
    "GreaterOrEqual": pointwise(lambda a, b: a >= b),
    "IsInf": _is_inf,
    "IsNaN": _is_nan,
    "Less": pointwise(lambda a, b: a < b),
    "LessOrEqual": pointwise(lambda a, b: a <= b),
    "Not": pointwise(lambda a: T.Not(a)),
    "Or": pointwise(lambda a, b: T.Or(a, b)),
    "Xor": pointwise(_differ),
}
