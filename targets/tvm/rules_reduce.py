"""Rules for the golden dialect's operators that reduce an axis, and for row look-up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.targets.tvm.kernels.operand import collapse
from actc.targets.tvm.kernels.strided import Embed, LayerNorm, Reduce, Softmax
from actc.targets.tvm.layout import Tensor, like, plain, reshaped, rows
from actc.targets.tvm.planner import Planner, Unsupported
from actc.targets.tvm.rules_common import (
    Source,
    Tail,
    accumulator_tail,
    ensure,
    operand_of,
    out_dtype,
    output_operand,
    table_tail,
)

Array = np.ndarray[Any, Any]


def int_reduce_sum(planner: Planner, node: ir.Node) -> None:
    """IntReduceSum with what follows."""
    x = planner.tensor(node, 0)
    zero = int(planner.scalar(node, 1, "the zero point"))
    axes = [int(a) for a in planner.need_constant(node, 2, "the axes")]
    keep = node.attributes["keepdims"].as_int() if "keepdims" in node.attributes else 1
    tail = accumulator_tail(planner, node)
    count = math.prod(x.extent(a % len(x.shape)) for a in axes if a % len(x.shape))
    emit_reduce(planner, x, axes, bool(keep), tail, "sum", -zero * count)


def reduce_max(planner: Planner, node: ir.Node) -> None:
    """ReduceMax on uint8."""
    x = planner.tensor(node, 0)
    if x.dtype != "uint8":
        raise Unsupported(f"ReduceMax of {x.dtype}")
    axes = [int(a) for a in planner.need_constant(node, 1, "the axes")]
    keep = node.attributes["keepdims"].as_int() if "keepdims" in node.attributes else 1
    tail = table_tail(planner, Tail(node.outputs[0]))
    emit_reduce(planner, x, axes, bool(keep), tail, "max", 0)


def emit_reduce(
    planner: Planner,
    x: Tensor,
    axes: Sequence[int],
    keep: bool,
    tail: Tail,
    kind: str,
    bias: int,
) -> None:
    """Emit a reduction over logical `axes` in the memory order of `x`.

    Raises:
        Unsupported: the batch axis is reduced.
    """
    rank = len(x.shape)
    over = sorted({axis % rank for axis in axes})
    if 0 in over:
        raise Unsupported("the batch axis is reduced")
    dtype = out_dtype(tail, "int32" if kind == "sum" else "uint8")
    kept_shape = tuple(1 if a in over else d for a, d in enumerate(x.shape))
    wide = like(x, str(tail.value.name), dtype, kept_shape)
    result = wide if keep else _drop_axes(wide, over)
    if result is None:  # the axes that stay are not in order: bring them into it first
        x = ensure(planner, x, plain(x.name, x.dtype, x.shape))
        wide = plain(wide.name, dtype, kept_shape)
        result = _drop_axes(wide, over)
        assert result is not None  # row-major memory takes any shape
    stay = [a for a in x.axes if a not in over]
    # an axis of extent 1 is one element, also of padded memory: its lanes are one place
    padded = {wide.axes[-1]} if wide.extent(wide.axes[-1]) > 1 else set()
    extents = [wide.lanes if a in padded else wide.extent(a) for a in stay]
    inner = [a for a in x.axes if a in over]
    constants = [Source(f"{wide.name}.{name}", array) for name, array in tail.constants()]
    pairs = [operand_of(planner, s, wide, stay, extents) for s in constants]
    out = output_operand(wide, stay, None)
    source = planner.operand(x, stay)
    dims, (source, *operands) = collapse(extents, [source, *(o for o, _ in pairs), out])
    beyond = planner.operand(x, inner)
    over_dims, (beyond,) = collapse([x.extent(a) for a in inner], [beyond])
    source = replace(source, strides=source.strides + beyond.strides)
    names = [x.name, *(name for _, name in pairs)]
    if tail.codes is not None:
        names.append(planner.add_constant(f"{wide.name}.table", tail.codes))
    kernel = Reduce(
        x.batch, dims, over_dims, "sum" if kind == "sum" else "max", source,
        tuple(operands[:-1]), operands[-1], bias, tail.requantize, tail.table, tail.table_size,
    )  # fmt: skip
    planner.emit(kernel, names, wide, tail.value)
    planner.view(tail.value, result)


def _drop_axes(tensor: Tensor, over: Sequence[int]) -> Tensor | None:
    shape = tuple(d for a, d in enumerate(tensor.shape) if a not in over)
    return reshaped(tensor, tensor.name, shape)


def int_softmax(planner: Planner, node: ir.Node) -> None:
    """IntSoftmax: float32 in the layout of its input."""
    _softmax(planner, node, "float32", 0)


def int_probabilities(planner: Planner, node: ir.Node) -> None:
    """IntProbabilities: int32 stand for its codes, which are dequantized only."""
    reader = planner.only_reader(node.outputs[0])
    if reader is None or reader.op_type != "DequantizeLinear":
        raise Unsupported("its codes of more than 8 bits are not dequantized")
    _softmax(planner, node, "int32", node.attributes["bits"].as_int())


def _softmax(planner: Planner, node: ir.Node, dtype: str, bits: int) -> None:
    x = planner.tensor(node, 0)
    codes = planner.need_constant(node, 1, "the table").astype(np.int32)
    axis = node.attributes["axis"].as_int() % len(x.shape)
    if axis == 0:
        raise Unsupported("softmax over the batch axis")
    value = node.outputs[0]
    out = like(x, str(value.name), dtype, x.shape)
    order = [a for a in x.axes if a != axis] + [axis]
    dims = tuple(x.extent(a) for a in order)
    operands = planner.operand(x, order), output_operand(out, order, None)
    kernel = Softmax(x.batch, dims, *operands, bits)
    names = [x.name, planner.add_constant(f"{value.name}.powers", codes)]
    planner.emit(kernel, names, out, value)


def int_layer_norm(planner: Planner, node: ir.Node) -> None:
    """IntLayerNorm with what follows."""
    gamma, beta = (planner.need_constant(node, i, "gamma or beta") for i in (1, 2))
    _norm(planner, node, gamma, beta, None)


def int_rms_norm(planner: Planner, node: ir.Node) -> None:
    """IntRmsNorm with what follows."""
    gamma = planner.need_constant(node, 2, "gamma")
    _norm(planner, node, gamma, np.zeros_like(gamma), int(planner.scalar(node, 1, "the zero")))


def _norm(planner: Planner, node: ir.Node, gamma: Array, beta: Array, zero: int | None) -> None:
    x = planner.tensor(node, 0)
    axis = node.attributes["axis"].as_int() % len(x.shape)
    count = node.attributes["count"].as_int() if zero is None else x.extent(axis)
    if axis == 0 or x.extent(axis) != count:
        raise Unsupported(f"normalization over {count} elements of axis {axis}")
    eps = float(planner.scalar(node, 3, "eps"))
    tail = accumulator_tail(planner, node)
    out = like(x, str(tail.value.name), out_dtype(tail), x.shape)
    order = [a for a in x.axes if a != axis] + [axis]
    dims = tuple(x.extent(a) for a in order)
    arrays = [("gamma", gamma), ("beta", beta), *tail.constants()]
    sources = [Source(f"{out.name}.{name}", array.astype(np.int32)) for name, array in arrays]
    pairs = [operand_of(planner, s, x, order, dims) for s in sources]
    names = [x.name, *(name for _, name in pairs)]
    if tail.codes is not None:
        names.append(planner.add_constant(f"{out.name}.table", tail.codes))
    kernel = LayerNorm(
        x.batch, dims, (planner.operand(x, order), *(o for o, _ in pairs)),
        output_operand(out, order, None), eps, tail.requantize, tail.table, tail.table_size, zero,
    )  # fmt: skip
    planner.emit(kernel, names, out, tail.value)


def int_embed(planner: Planner, node: ir.Node) -> None:
    """IntEmbed: rows of a constant table."""
    index = planner.tensor(node, 0)
    codes = planner.need_constant(node, 1, "the table")
    if index.dtype != "int32":
        raise Unsupported(f"an index of type {index.dtype}")
    count, width = codes.shape
    shape = (*index.shape, width)
    out = rows(str(node.outputs[0].name), "uint8", shape)
    order = list(range(1, len(shape)))
    dims = tuple(out.extent(a) for a in order)
    outer = planner.operand(index, order[:-1])
    walk = replace(outer, strides=(*outer.strides, 0))
    kernel = Embed(index.batch, dims, walk, output_operand(out, order, None), count, width)
    names = [index.name, planner.add_constant(f"{out.name}.table", codes)]
    planner.emit(kernel, names, out, node.outputs[0])
