"""Codes and what they stand for; products of codes."""

from __future__ import annotations

from tvm import tirx

from actc.targets.tvm.generic import arithmetic as n
from actc.targets.tvm.generic.convolutions import first, requantized
from actc.targets.tvm.generic.kernel import (
    Array,
    Cell,
    Expr,
    Index,
    Kernel,
    KernelFunction,
    const,
    int64,
    keep,
    nest,
)

_RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "uint16": (0, 65535)}


def _parameter(k: Kernel, array: Array, index: Index) -> Expr:
    """The scale or zero point of an element: one for all, per axis, or per block of an axis."""
    if array.rank == 0 or (array.rank == 1 and array.shape[0] == 1 and k.out.rank != 1):
        return array[[0] * array.rank]
    axis = k.attribute("axis", 1) % k.out.rank
    if array.rank == 1:
        return array[[index[axis] if array.shape[0] != 1 else int64(0)]]
    block = int64(k.attribute("block_size", 0) or 1)
    return array[[tirx.floordiv(i, block) if a == axis else i for a, i in enumerate(index)]]


def _wide(value: Expr) -> Expr:
    return keep(tirx.Cast("float32", value))


def _quantize(k: Kernel) -> None:
    """Round to even, saturate."""
    x, scale, zero = (*k.inputs, None)[:3]
    low, high = _RANGES[k.out.dtype]
    with nest(k.out.shape) as index:
        ratio = keep(_wide(x[index]) / _wide(_parameter(k, scale, index)))
        value = n.intrinsic("roundeven", ratio)
        if zero is not None:
            value = keep(value + _wide(_parameter(k, zero, index)))
        bounds = [const(end, "float32") for end in (low, high)]
        k.out.store(index, tirx.Cast(k.out.dtype, n.bounded(value, bounds[0], bounds[1])))


def _dequantize(k: Kernel) -> None:
    x, scale, zero = (*k.inputs, None)[:3]
    with nest(k.out.shape) as index:
        code = keep(tirx.Cast("int32", x[index]))
        if zero is not None:
            code = keep(code - tirx.Cast("int32", _parameter(k, zero, index)))
        value = keep(_wide(code) * _wide(_parameter(k, scale, index)))
        k.out.store(index, tirx.Cast(k.out.compute, value))


def _line(array: Array | None, place: Expr) -> Expr | None:
    """A parameter of a matrix: one for all, or one per row or column."""
    if array is None:
        return None
    if array.rank == 0:
        return array[[]]
    *rest, extent = (int(e) for e in array.shape)
    if rest and rest[-1] != 1:  # a column: one per row, in each matrix
        return array[[int64(0)] * (len(rest) - 1) + [place, int64(0)]]
    return array[[int64(0)] * len(rest) + [int64(0) if extent == 1 else place]]


def _integer_dot(k: Kernel, a: Array, b: Array, zeros: list[Array | None], index: Index) -> Expr:
    """Row times column of codes, each less its zero point, as int32."""
    inner = a.shape[-1]
    matrix_a, matrix_b = a.rank > 1, b.rank > 1
    outer = list(index)
    column = outer.pop() if matrix_b else int64(0)
    row = outer.pop() if matrix_a else int64(0)
    total = Cell(const(0, "int32"))
    offsets = [_line(zeros[0], row), _line(zeros[1], column)]
    low, high = (const(0, "int32") if z is None else keep(tirx.Cast("int32", z)) for z in offsets)
    with nest([inner]) as (i,):
        left = a[_batch(a, outer, [row, i] if matrix_a else [i])]
        right = b[_batch(b, outer, [i, column] if matrix_b else [i])]
        one = keep(tirx.Cast("int32", left) - low)
        total.set(n.add(total.value, n.multiply(one, keep(tirx.Cast("int32", right) - high))))
    return total.value


def _batch(array: Array, outer: list[Expr], inner: list[Expr]) -> list[Expr]:
    """The index of an element of a matrix of a stack that broadcasts."""
    count = array.rank - len(inner)
    own = outer[len(outer) - count :]
    stack = [int64(0) if array.shape[a] == 1 else i for a, i in enumerate(own)]
    return [*stack, *inner]


def _matmul_integer(k: Kernel) -> None:
    a, b, a_zero, b_zero = (*k.inputs, None, None)[:4]
    with nest(k.out.shape) as index:
        k.out.store(index, _integer_dot(k, a, b, [a_zero, b_zero], index))


def _qlinear_matmul(k: Kernel) -> None:
    a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = k.inputs
    with nest(k.out.shape) as index:
        total = _integer_dot(k, a, b, [a_zero, b_zero], index)
        row = index[-2] if a.rank > 1 and len(index) > 1 else int64(0)
        scales = [_line(a_scale, row), _line(b_scale, index[-1])]
        one, two = (_wide(s) for s in scales if s is not None)
        scale = keep(keep(one * two) / _wide(first(y_scale)))
        k.out.store(index, requantized(total, scale, y_zero, k.out.dtype))


KERNELS: dict[str, KernelFunction] = {
    "DequantizeLinear": _dequantize,
    "MatMulInteger": _matmul_integer,
    "QLinearMatMul": _qlinear_matmul,
    "QuantizeLinear": _quantize,
}
