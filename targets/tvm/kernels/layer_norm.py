"""Layer and root-mean-square normalization of codes: exact integers and one quotient.

The quotient of the definition is ``floor(moved / root)``, a correctly rounded float64
division. Divisions are slow, so that the elements of a row are multiplied by
``1 / root`` first: the product is off by less than 2^-50 of itself and below 2^30, so that
it has the same floor unless it lies within 2^-20 of an integer. A row that has such an
element (but 0, which is exact) is computed again by the definition.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.kernels import tir
from actc.targets.tvm.kernels.elementwise import Finish, View, loops, open_views, sweep
from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.kernels.parallel import spread_loops
from actc.targets.tvm.kernels.reduce import SUM_LANES, Accumulator
from actc.targets.tvm.kernels.strided import LayerNorm

_NEAR = 2.0**-20
"""Distance from an integer below which the product may have another floor."""

Load = Callable[[Sequence[Any], int], Any]
"""Gives lanes of codes from a place (sample and loops' indices) on."""

Store = Callable[[Any, Sequence[Any], int], None]
"""Stores normalized int32 lanes from a place on."""


def layer_norm_prim_func(name: str, spec: LayerNorm, features: frozenset[str]) -> Any:
    """The PrimFunc of IntLayerNorm or IntRmsNorm; buffers as `LayerNorm` says.

    Sums and differences are exact integers; the square root and the quotient are
    one correctly rounded float64 operation each. Vectors lie along a row, or, where
    neighbours in memory belong to different rows, across rows.
    """
    strides = spec.inputs[0].strides
    across = strides[-1] != 1 and len(strides) > 1 and strides[-2] == 1
    build = _across_rows if across else _along_rows

    def body() -> None:
        batch = tir.batch_var(spec.batch)
        operands, result = spec.inputs, spec.out
        if across:
            operands, result = tuple(map(_swapped, operands)), _swapped(result)
        x, gamma, beta = (
            View(label, o, batch)
            for label, o in zip(("x", "gamma", "beta"), operands[:3], strict=True)
        )
        finish = Finish(spec.requantize, spec.table, operands[3:], spec.table_size, batch)
        out = View("out", result, batch)
        open_views(x, gamma, beta, finish, out)

        def store(normal: Any, place: Sequence[Any], lanes: int) -> None:
            sample, *indices = place
            scaled = normal * gamma.load(gamma.at(sample, indices), lanes)
            result = scaled + beta.load(beta.at(sample, indices), lanes)
            finish.store(T.Bind(result), out, sample, indices, features)

        def load(place: Sequence[Any], lanes: int) -> Any:
            return x.load(x.at(place[0], place[1:]), lanes)

        build(spec, batch, load, store)

    return tir.prim_func(name, body)


def _swapped(operand: Operand) -> Operand:
    """With the last two loops exchanged."""
    *outer, row, element = operand.strides
    return replace(operand, strides=(*outer, element, row))


def _along_rows(spec: LayerNorm, batch: Any, load: Load, store: Store) -> None:
    """One row after the other, in vectors of its elements."""
    count = spec.dims[-1]

    def every(step: Callable[[Any, int], None]) -> None:
        sweep(count, SUM_LANES, step)

    with spread_loops(batch, spec.dims[:-1], 2 * math.prod(spec.dims)) as place:
        row = _Row(
            lambda i, lanes: load([*place, i], lanes),
            lambda value, i, lanes: store(value, [*place, i], lanes),
            every,
            SUM_LANES,
        )
        sums = [_reduced("add", total) for total in _moments(row, count)]
        _normalize(row, *_parameters(spec, *sums))


def _across_rows(spec: LayerNorm, batch: Any, load: Load, store: Store) -> None:
    """Neighbouring rows at once, element by element."""
    *outer, rows, count = spec.dims
    work = 2 * math.prod(spec.dims)
    lanes = min(SUM_LANES, 1 << (rows.bit_length() - 1))

    with spread_loops(batch, (*outer, -(-rows // lanes)), work) as (*place, block):
        first = T.Bind(tirx.Min(block * lanes, tirx.const(rows - lanes, "int64")))

        def every(step: Callable[[Any, int], None]) -> None:
            with loops([count]) as (i,):
                step(i, lanes)

        row = _Row(
            lambda i, lanes: load([*place, i, first], lanes),
            lambda value, i, lanes: store(value, [*place, i, first], lanes),
            every,
            lanes,
        )
        _normalize(row, *_parameters(spec, *_moments(row, count)))


@dataclass(frozen=True)
class _Row:
    """A row of codes, or several side by side.

    Attributes:
        load: gives lanes of codes from an element on.
        store: stores normalized int32 lanes from an element on.
        every: emits a step for all elements.
        lanes: most lanes of a step.
    """

    load: Callable[[Any, int], Any]
    store: Callable[[Any, Any, int], None]
    every: Callable[[Callable[[Any, int], None]], None]
    lanes: int


def _parameters(spec: LayerNorm, total: Any, squares: Any) -> tuple[int, Any, Any]:
    """(factor, offset, root): an element becomes ``(code * factor - offset) / root``."""
    count, lanes = spec.dims[-1], tir.lanes_of(total)
    total64, squares64 = tir.cast("int64", total), tir.cast("int64", squares)

    def whole(number: int) -> Any:
        return _spread(tirx.const(number, "int64"), lanes)

    if spec.zero is None:
        factor, offset = count << 12, T.Bind(total64 * whole(4096))
        variance = T.Bind(squares64 * whole(count) - total64 * total64)
    else:
        factor, offset = 1 << 17, whole(spec.zero << 17)
        apart = whole(count * spec.zero * spec.zero) - total64 * whole(2 * spec.zero)
        variance = T.Bind(squares64 + apart)
    eps = _spread(tirx.const(spec.eps, "float64"), lanes)
    root = T.Bind(T.sqrt(tir.cast("float64", variance) + eps))
    if factor * 255 < 2**31:
        offset = T.Bind(tir.cast("int32", offset))
    return factor, offset, root


def _spread(value: Any, lanes: int) -> Any:
    return value if lanes == tir.lanes_of(value) else tirx.Broadcast(value, lanes)


def _normalize(row: _Row, factor: int, offset: Any, root: Any) -> None:
    """By products; by quotients again where a product says too little."""
    dtype = str(offset.ty.dtype).split("x")[0]
    one = _spread(tirx.const(1.0, "float64"), tir.lanes_of(root))
    inverse = T.Bind(one / root)
    nearest = Accumulator("float64", row.lanes, 1.0)

    def numerator(start: Any, lanes: int) -> Any:
        code = tir.cast(dtype, row.load(start, lanes))
        wide = code * tir.const(factor, dtype, code) - _spread(offset, lanes)
        return T.Bind(tir.cast("float64", wide))

    def product(start: Any, lanes: int) -> None:
        moved = numerator(start, lanes)
        value = T.Bind(moved * _spread(inverse, lanes))
        whole = T.Bind(T.nearbyint(value))
        apart = T.Bind(value - whole)
        one, zero = (tir.const(number, "float64", moved) for number in (1.0, 0.0))
        distance = tirx.Select(moved == zero, one, T.abs(apart))
        nearest.set(tirx.Min(nearest.value(lanes), distance))
        row.store(tir.cast("int32", tirx.Select(apart < zero, whole - one, whole)), start, lanes)

    def quotient(start: Any, lanes: int) -> None:
        exact = T.floor(numerator(start, lanes) / _spread(root, lanes))
        row.store(tir.cast("int32", exact), start, lanes)

    row.every(product)
    # A NaN (root 0) is not above either.
    near, far = (_spread(tirx.const(number, "int32"), row.lanes) for number in (1, 0))
    limit = _spread(tirx.const(_NEAR, "float64"), row.lanes)
    found = T.Bind(tirx.Select(nearest.value(row.lanes) > limit, far, near))
    with T.If(_reduced("or", found) != 0), T.Then():
        row.every(quotient)


def _moments(row: _Row, count: int) -> tuple[Any, Any]:
    """Sum and sum of squares in every lane."""
    dtype = "int32" if count * 255 * 255 < 2**31 else "int64"
    sums, squares = Accumulator(dtype, row.lanes), Accumulator(dtype, row.lanes)

    def step(start: Any, lanes: int) -> None:
        value = T.Bind(tir.cast(dtype, row.load(start, lanes)))
        sums.set(sums.value(lanes) + value)
        squares.set(squares.value(lanes) + value * value)

    row.every(step)
    return T.Bind(sums.value(row.lanes)), T.Bind(squares.value(row.lanes))


def _reduced(kind: str, value: Any) -> Any:
    """All lanes joined by one of LLVM's reductions."""
    lanes, dtype = tir.lanes_of(value), str(value.ty.dtype).split("x")[0]
    if lanes == 1:
        return value
    name = f"llvm.vector.reduce.{kind}.v{lanes}i{dtype.removeprefix('int')}"
    return T.Bind(tirx.call_llvm_pure_intrin(dtype, name, value))
