"""Where elements lie: numbers of elements, operands that say what to do, bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.generic.kernel import Array, Expr, const, int64, keep, select


def number(index: Sequence[Any], shape: Sequence[Any]) -> Expr:
    """The number of an element in row-major order."""
    total = int64(0)
    for place, extent in zip(index, shape, strict=True):
        total = total * int64(extent) + int64(place)
    return total


_LARGEST_FIELD = 64


def remainder(value: Expr, extent: Any) -> Expr:
    """``value`` modulo an extent, not negative; to be used where it is computed.

    LLVM 22 takes the remainder of a loop's variable by 4 for the variable itself in some loops
    that it vectorizes for AVX-512 (16 iterations, inside of a loop with another remainder). It
    vectorizes no loop with a prefetch, and one of address 0 does nothing else.
    """
    power = isinstance(extent, int) and 1 < extent <= _LARGEST_FIELD and extent & (extent - 1) == 0
    if power:
        nowhere = tirx.reinterpret("handle", tirx.const(0, "uint64"))
        reads, level, data = (tirx.const(number, "int32") for number in (0, 0, 1))
        T.evaluate(tirx.call_intrin("void", "tirx.prefetch", nowhere, reads, level, data))
    return tirx.floormod(value, int64(extent))


def unfold(position: Expr, shape: Sequence[Any]) -> list[Expr]:
    """The index of the element with this number; the first extent is not looked at."""
    index: list[Expr] = []
    for extent in reversed(list(shape)[1:]):
        index.append(remainder(position, extent))
        position = tirx.floordiv(position, int64(extent))
    return [*([position] if len(shape) else []), *reversed(index)]


def integer(array: Array, position: int = 0) -> Expr:
    """An entry of an operand of integers with at most one axis, as int64."""
    return keep(int64(array[[position] if array.rank else []]))


def entries(array: Array) -> int:
    """How many entries an operand has."""
    return int(array.shape[0]) if array.rank else 1


def wrapped(index: Expr, extent: Any) -> Expr:
    """An index that may count from the end."""
    return keep(select(index < int64(0), index + int64(extent), index))


def at_least(a: Expr, b: Expr) -> Expr:
    """The larger of two integers."""
    return keep(select(a < b, b, a))


def at_most(a: Expr, b: Expr) -> Expr:
    """The smaller of two integers."""
    return keep(select(a > b, b, a))


def clamped(index: Expr, low: Any, high: Any) -> Expr:
    """An index between bounds, both included."""
    return at_most(at_least(index, int64(low)), int64(high))


def inside(index: Expr, extent: Any) -> Expr:
    """Whether an index is one of an axis."""
    return tirx.And(index >= int64(0), index < int64(extent))


def both(*conditions: Expr) -> Expr:
    """Whether all hold."""
    found = conditions[0]
    for condition in conditions[1:]:
        found = tirx.And(found, condition)
    return found


def either(*conditions: Expr) -> Expr:
    """Whether one holds."""
    found = conditions[0]
    for condition in conditions[1:]:
        found = tirx.Or(found, condition)
    return found


def zero(array: Array) -> Expr:
    """Zero in the type that an array is computed in."""
    return const(0, array.compute)
