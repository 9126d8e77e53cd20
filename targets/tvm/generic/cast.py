"""Conversion between element types, as onnxruntime and numpy do it on x86."""

from __future__ import annotations

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.generic.kernel import (
    Expr,
    Kernel,
    KernelFunction,
    compute_type,
    const,
    dtype_of,
    is_float,
    keep,
    nest,
    select,
)


def convert(value: Expr, dtype: str) -> Expr:
    """`value` as `dtype`, which is not stored in half precision.

    Floats lose their fraction; out of range, and for NaN, integers of 32 and 64 bits become the
    lowest number, narrower ones what an int32 leaves in their bits.
    """
    source = dtype_of(value)
    if source == dtype:
        return value
    if dtype == "bool":
        return tirx.NE(value, const(0, source))
    if source == "bool":
        return select(value, const(1, dtype), const(0, dtype))
    if is_float(source) and not is_float(dtype):
        return _to_integer(value, dtype)
    return tirx.Cast(dtype, value)


def _to_integer(value: Expr, dtype: str) -> Expr:
    """Through int64, so that no conversion is undefined."""
    value = keep(value)
    source = dtype_of(value)
    if dtype == "uint64":
        half = const(2.0**63, source)
        large = value >= half
        low = _bounded(keep(select(large, value - half, value)), 63)
        top = select(large, const(1 << 63, "uint64"), const(0, "uint64"))
        return tirx.Cast("uint64", low) + top
    whole = _bounded(value, 31 if dtype == "int32" else 63)
    return tirx.Cast(dtype, whole)


def _bounded(value: Expr, bits: int) -> Expr:
    """An int64 between -2**bits and 2**bits - 1; everything else is the lowest of them."""
    source = dtype_of(value)
    inside = T.And(value < const(2.0**bits, source), value >= const(-(2.0**bits), source))
    safe = keep(select(inside, value, const(0, source)))
    lowest = const(-(1 << bits), "int64")
    return keep(select(inside, tirx.Cast("int64", safe), lowest))


def _cast(k: Kernel) -> None:
    x, dtype = k.inputs[0], compute_type(k.out.dtype)
    with nest(k.out.shape) as index:
        k.out.store(index, convert(x[index], dtype))


KERNELS: dict[str, KernelFunction] = {"Cast": _cast, "CastLike": _cast}
