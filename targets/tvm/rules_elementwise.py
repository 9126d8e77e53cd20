"""Rules for the elementwise operators of the golden dialect. Pure Python."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.targets.tvm.kernels.strided import (
    Add,
    Copy,
    Dequantize,
    Mul,
    Operation,
    Quantize,
)
from actc.targets.tvm.layout import Tensor, channels_last, like, plain, rows
from actc.targets.tvm.planner import Planner, Unsupported
from actc.targets.tvm.rules_common import (
    Source,
    Tail,
    accumulator_tail,
    broadcast,
    emit_nest,
    out_dtype,
    requantize_tail,
    table_tail,
    with_constants,
)


def int_add(planner: Planner, node: ir.Node) -> None:
    """IntAdd with what follows."""
    a_mul, b_mul, bias = (
        int(planner.scalar(node, i, what))
        for i, what in enumerate(("a_mul", "b_mul", "the bias"), start=2)
    )
    _binary(planner, node, Add(a_mul, b_mul, bias))


def int_mul(planner: Planner, node: ir.Node) -> None:
    """IntMul with what follows."""
    zeros = [int(planner.scalar(node, i, "the zero point")) for i in (2, 3)]
    _binary(planner, node, Mul(zeros[0], zeros[1]))


def add(planner: Planner, node: ir.Node) -> None:
    """Add of int32 sums, with what follows."""
    _need_sums(node)
    _binary(planner, node, Add(1, 1, 0))


def multiply(planner: Planner, node: ir.Node) -> None:
    """Mul of int32 sums, with what follows."""
    _need_sums(node)
    _binary(planner, node, Mul(0, 0))


def _need_sums(node: ir.Node) -> None:
    dtypes = {value.dtype for value in node.inputs if value is not None}
    if dtypes != {ir.DataType.INT32}:
        names = " and ".join(sorted("no type" if d is None else d.name for d in dtypes))
        raise Unsupported(f"{node.op_type} of {names}")


def _binary(planner: Planner, node: ir.Node, operation: Operation) -> None:
    values = [node.inputs[0], node.inputs[1]]
    sources: list[Source] = []
    for value in values:
        assert value is not None
        constant = planner.constant(value)
        data = planner.tensors[str(value.name)] if constant is None else constant
        name = str(value.name) if constant is not None else planner.tensors[str(value.name)].name
        sources.append(Source(name, data))
    tensors = [s.data for s in sources if isinstance(s.data, Tensor)]
    if not tensors:
        raise Unsupported("both inputs are constants", "fold constants first")
    shape = with_constants(broadcast([t.shape for t in tensors]), sources)
    widest = max(tensors, key=lambda t: t.size)
    tail = accumulator_tail(planner, node)
    out = like(widest, str(tail.value.name), out_dtype(tail), shape)
    emit_nest(planner, out, sources, operation, tail)


def requantize(planner: Planner, node: ir.Node) -> None:
    """Requantize whose accumulator has other readers too, with the table behind it."""
    _unary(planner, node, Copy(), requantize_tail(planner, node), "uint8")


def table(planner: Planner, node: ir.Node) -> None:
    """Table that reads no accumulator of its own."""
    codes = planner.need_constant(node, 1, "the table")
    _unary(planner, node, Copy(), Tail(node.outputs[0], table="shared", codes=codes), "uint8")


def channel_table(planner: Planner, node: ir.Node) -> None:
    """ChannelTable that reads no accumulator of its own."""
    codes = planner.need_constant(node, 1, "the table")
    offset = planner.need_constant(node, 2, "the table offset").astype(np.int32)
    tail = Tail(node.outputs[0], table="channel", codes=codes, offset=offset)
    _unary(planner, node, Copy(), tail, "uint8")


def quantize_linear(planner: Planner, node: ir.Node) -> None:
    """QuantizeLinear from float32 to uint8, straight into the layout that its readers want."""
    x = planner.tensor(node, 0)
    scale = float(planner.scalar(node, 1, "the scale"))
    zero = planner.need_constant(node, 2, "the zero point")
    if x.dtype != "float32" or zero.dtype != np.uint8:
        raise Unsupported(f"QuantizeLinear from {x.dtype} to {zero.dtype}")
    value = node.outputs[0]
    out = _wanted_layout(planner, x, value)
    tail = table_tail(planner, Tail(value))
    out = Tensor(str(tail.value.name), "uint8", out.shape, out.axes, out.lanes)
    emit_nest(planner, out, [Source(x.name, x)], Quantize(scale, int(zero.reshape(()))), tail)


_LAYOUT_FREE = frozenset({"Table", "ChannelTable", "IntAdd", "IntMul", "Identity"})


def _wanted_layout(planner: Planner, x: Tensor, value: ir.Value) -> Tensor:
    """Channels-last if a convolution or pooling reads `value`, directly or after elementwise
    operators; else the layout of `x`, its last axis padded if that is its own."""
    seen, queue = set(), [value]
    while queue:
        current = queue.pop()
        for use in current.uses():
            user = use.node
            if user.op_type in ("IntConv", "MaxPool") and len(x.shape) in (3, 4):
                return channels_last(x.name, "uint8", x.shape)
            if user.op_type in _LAYOUT_FREE and user not in seen:
                seen.add(user)
                queue.append(user.outputs[0])
    if x.axes == tuple(range(1, len(x.shape))) and x.axes:
        return rows(x.name, "uint8", x.shape)
    return like(x, x.name, "uint8", x.shape)


def dequantize_linear(planner: Planner, node: ir.Node) -> None:
    """DequantizeLinear to float32, from uint8 or an int32 accumulator."""
    x = planner.tensor(node, 0)
    scale = planner.need_constant(node, 1, "the scale")
    zero = 0
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        zeros = planner.need_constant(node, 2, "the zero point")
        if np.unique(zeros).size > 1:
            raise Unsupported("one zero point per channel")
        zero = int(zeros.reshape(-1)[0])
    if x.dtype not in ("uint8", "int32") or scale.dtype != np.float32:
        raise Unsupported(f"DequantizeLinear from {x.dtype} with a {scale.dtype} scale")
    if scale.ndim == 1 and scale.size > 1:
        axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 1
        axis %= len(x.shape)
        scale = scale.reshape([-1 if a == axis else 1 for a in range(len(x.shape))])
    value = node.outputs[0]
    sources = [Source(x.name, x), Source(f"{value.name}.scale", scale)]
    if planner.is_output(value):
        out = plain(str(value.name), "float32", x.shape)
        shape = tuple(out.extent(axis) for axis in range(1, len(x.shape)))
        emit_nest(planner, out, sources, Dequantize(zero), Tail(value), shape)
    else:
        emit_nest(planner, like(x, str(value.name), "float32", x.shape), sources,
                  Dequantize(zero), Tail(value))  # fmt: skip


def _unary(planner: Planner, node: ir.Node, operation: Operation, tail: Tail, dtype: str) -> None:
    x = planner.tensor(node, 0)
    out = like(x, str(tail.value.name), dtype, x.shape)
    emit_nest(planner, out, [Source(x.name, x)], operation, tail)
