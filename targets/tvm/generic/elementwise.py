"""Arithmetic and functions of one element, of all types."""

from __future__ import annotations

import math
from collections.abc import Callable

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.generic import arithmetic as n
from actc.targets.tvm.generic.arithmetic import ends
from actc.targets.tvm.generic.cast import convert
from actc.targets.tvm.generic.kernel import (
    Array,
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


def _apply(k: Kernel, function: Callable[..., Expr]) -> None:
    """One loop nest over the result; the operands broadcast and are loaded once."""
    with nest(k.out.shape) as index:
        values = [keep(x.broadcast(index)) for x in k.given]
        k.out.store(index, function(*values))


def _plain(function: Callable[..., Expr]) -> KernelFunction:
    return lambda k: _apply(k, function)


def _libm(name: str) -> KernelFunction:
    return _plain(lambda x: n.libm(name, x))


def _rounded(how: str) -> KernelFunction:
    return _plain(lambda x: n.intrinsic(how, x) if is_float(dtype_of(x)) else x)


def _fold(function: Callable[[Expr, Expr], Expr]) -> KernelFunction:
    """A variadic operator, from left to right."""

    def folded(*values: Expr) -> Expr:
        total = values[0]
        for value in values[1:]:
            total = keep(function(total, value))
        return total

    return _plain(folded)


def _like(value: float, x: Expr) -> Expr:
    return const(value, dtype_of(x))


def _mean(*values: Expr) -> Expr:
    total = values[0]
    for value in values[1:]:
        total = keep(total + value)
    return total / _like(len(values), total)


def sigmoid(x: Expr) -> Expr:
    """``1 / (1 + exp(-x))``."""
    return keep(_like(1, x) / (_like(1, x) + n.libm("exp", n.negate(x))))


def softplus(x: Expr) -> Expr:
    """``log(1 + exp(x))`` without overflow."""
    decay = n.libm("exp", keep(n.negate(n.magnitude(x))))
    return keep(select(x < _like(0, x), _like(0, x), x) + n.libm("log1p", decay))


def _sign(x: Expr) -> Expr:
    zero, one = _like(0, x), _like(1, x)
    if not is_float(dtype_of(x)):
        below = _like(-1, x) if is_signed(dtype_of(x)) else zero
        return select(x > zero, one, select(x < zero, below, zero))
    other = select(n.is_nan(x), x, zero)
    return select(x > zero, one, select(x < zero, _like(-1, x), other))


def _where(condition: Expr, chosen: Expr, other: Expr) -> Expr:
    if dtype_of(chosen) == "bool":
        return T.Or(T.And(condition, chosen), T.And(T.Not(condition), other))
    return select(condition, chosen, other)


def _clip(k: Kernel) -> None:
    """Absent bounds are the ends of the type, so that an infinity becomes finite."""
    x, *bounds = k.inputs
    low, high = [*bounds, None, None][:2]
    smallest, largest = ends(x.dtype)

    def bound(array: Array | None, default: Expr) -> Expr:
        return default if array is None else keep(array.broadcast([]))

    with nest(k.out.shape) as index:
        least = bound(low, const(smallest, x.compute))
        most = bound(high, const(largest, x.compute))
        k.out.store(index, n.bounded(keep(x[index]), least, most))


def _mod(k: Kernel) -> None:
    _apply(k, n.remainder if k.attribute("fmod", 0) else n.modulo)


def _gelu(k: Kernel) -> None:
    def exact(x: Expr) -> Expr:
        tail = n.libm("erfc", keep(n.negate(x) * _like(math.sqrt(0.5), x)))
        return keep(_like(0.5, x) * x) * tail

    def tanh(x: Expr) -> Expr:
        cube = keep(_like(0.044715, x) * x * x * x)
        bend = n.libm("tanh", keep(_like(math.sqrt(2 / math.pi), x) * (x + cube)))
        return keep(_like(0.5, x) * x) * (_like(1, x) + bend)

    _apply(k, tanh if k.attribute("approximate", "none") == "tanh" else exact)


def _elu(x: Expr, alpha: float, width: float = 1.0) -> Expr:
    """``alpha * (exp(x / width) - 1)`` below 0."""
    below = _like(alpha, x) * n.libm("expm1", keep(x / _like(width, x)))
    return keep(select(x < _like(0, x), below, x))


def _selu(k: Kernel) -> None:
    alpha = k.attribute("alpha", 1.67326319217681884765625)
    gamma = k.attribute("gamma", 1.05070102214813232421875)
    _apply(k, lambda x: _like(gamma, x) * _elu(x, alpha))


def _hard_sigmoid(x: Expr, alpha: float, beta: float) -> Expr:
    line = keep(keep(_like(alpha, x) * x) + _like(beta, x))
    return keep(n.bounded(line, _like(0, x), _like(1, x)))


def _shrink(k: Kernel) -> None:
    bias, limit = k.attribute("bias", 0.0), k.attribute("lambd", 0.5)
    dtype = k.out.compute

    def function(x: Expr) -> Expr:
        wide = x if is_float(dtype) else keep(tirx.Cast("float64", x))
        upper = select(wide > _like(limit, wide), wide - _like(bias, wide), _like(0, wide))
        value = select(wide < _like(-limit, wide), wide + _like(bias, wide), upper)
        return convert(value, dtype)

    _apply(k, function)


def _leaky(x: Expr, slope: Expr) -> Expr:
    return select(x < _like(0, x), n.multiply(slope, x), x)


def _with(name: str, default: float, function: Callable[[Expr, float], Expr]) -> KernelFunction:
    """A function of one operand and of one attribute."""
    return lambda k: _apply(k, lambda x: function(x, k.attribute(name, default)))


def _identity(k: Kernel) -> None:
    with nest(k.out.shape) as index:
        k.out.store(index, k.inputs[0].broadcast(index))


KERNELS: dict[str, KernelFunction] = {
    **{
        name.capitalize(): _libm(name)
        for name in (
            "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "erf", "exp", "log",
            "sin", "sinh", "tan", "tanh",
        )
    },
    "Abs": _plain(n.magnitude),
    "Add": _plain(n.add),
    "Ceil": _rounded("ceil"),
    "Celu": _with("alpha", 1.0, lambda x, alpha: _elu(x, alpha, alpha)),
    "Clip": _clip,
    "Div": _plain(n.divide),
    "Elu": _with("alpha", 1.0, _elu),
    "Floor": _rounded("floor"),
    "Gelu": _gelu,
    "HardSigmoid": lambda k: _apply(
        k, lambda x: _hard_sigmoid(x, k.attribute("alpha", 0.2), k.attribute("beta", 0.5))
    ),
    "HardSwish": _plain(lambda x: x * _hard_sigmoid(x, 1 / 6, 0.5)),
    "Identity": _identity,
    "LeakyRelu": _with("alpha", 0.01, lambda x, alpha: _leaky(x, _like(alpha, x))),
    "Max": _fold(n.maximum),
    "Mean": _plain(_mean),
    "Min": _fold(n.minimum),
    "Mish": _plain(lambda x: x * n.libm("tanh", softplus(x))),
    "Mod": _mod,
    "Mul": _plain(n.multiply),
    "Neg": _plain(n.negate),
    "PRelu": _plain(_leaky),
    "Pow": _plain(n.power),
    "Reciprocal": _plain(lambda x: _like(1, x) / x),
    "Relu": _plain(lambda x: select(x < _like(0, x), _like(0, x), x)),
    "Round": _rounded("roundeven"),
    "Selu": _selu,
    "Shrink": _shrink,
    "Sigmoid": _plain(sigmoid),
    "Sign": _plain(_sign),
    "Softplus": _plain(softplus),
    "Softsign": _plain(lambda x: x / (_like(1, x) + n.magnitude(x))),
    "Sqrt": _plain(lambda x: n.intrinsic("sqrt", x)),
    "Sub": _plain(n.subtract),
    "Sum": _fold(n.add),
    "Swish": _with("alpha", 1.0, lambda x, alpha: x * sigmoid(keep(_like(alpha, x) * x))),
    "ThresholdedRelu": _with(
        "alpha", 1.0, lambda x, alpha: select(x > _like(alpha, x), x, _like(0, x))
    ),
    "Where": _plain(_where),
}  # fmt: skip
