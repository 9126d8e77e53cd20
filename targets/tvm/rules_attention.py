"""Rules for attention in the golden dialect, and for arithmetic on masks. Pure Python."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from actc.targets.tvm.kernels.attention_spec import BatchMatMul, Logic, LogicKind, MaskedSoftmax
from actc.targets.tvm.layout import Tensor, like, rows
from actc.targets.tvm.planner import Planner, Unsupported
from actc.targets.tvm.rules_common import (
    Source,
    Tail,
    accumulator_tail,
    broadcast,
    emit_nest,
    nest,
    operand_of,
    out_dtype,
    output_operand,
    with_constants,
)
from actc.targets.tvm.rules_float import softmax_of

_TRUTH = "uint8"
"""How truth values lie in memory: 0 or 1."""
_INTEGERS = ("bool", "uint8", "int8", "int32", "int64")


def int_batch_matmul(planner: Planner, node: ir.Node) -> None:
    """IntBatchMatMul of two activations with what follows; the axes in front broadcast."""
    a, b = planner.tensor(node, 0), planner.tensor(node, 1)
    zeros = [int(planner.scalar(node, i, "the zero point")) for i in (2, 3)]
    rank = len(a.shape)
    front, row, column = list(range(1, rank - 2)), rank - 2, rank - 1
    fits = len(b.shape) == rank >= 3 and a.batch == b.batch and a.shape[-1] == b.shape[-2]
    if not fits or any(1 != a.extent(i) != b.extent(i) != 1 for i in front):
        raise Unsupported(f"a product of shapes {a.shape} and {b.shape}")
    outer = [max(a.extent(i), b.extent(i)) for i in front]
    tail = accumulator_tail(planner, node)
    shape = (a.batch, *outer, a.extent(row), b.extent(column))
    out = rows(str(tail.value.name), out_dtype(tail), shape)
    left, right = planner.operand(a, front), planner.operand(b, front)
    left = replace(left, strides=(*left.strides, a.stride(row), 0, a.stride(column)))
    right = replace(right, strides=(*right.strides, 0, b.stride(column), b.stride(row)))
    axes = [*front, row, column]
    dims = tuple(out.extent(axis) for axis in axes)
    constants = [Source(f"{out.name}.{name}", array) for name, array in tail.constants()]
    pairs = [operand_of(planner, source, out, axes, dims) for source in constants]
    names = [a.name, b.name, *(name for _, name in pairs)]
    if tail.codes is not None:
        names.append(planner.add_constant(f"{out.name}.table", tail.codes))
    kernel = BatchMatMul(
        a.batch, dims, a.extent(column), left, right, zeros[0], zeros[1],
        tuple(operand for operand, _ in pairs), output_operand(out, axes, None),
        tail.requantize, tail.table, tail.table_size,
    )  # fmt: skip
    planner.emit(kernel, names, out, tail.value)


def int_masked_softmax(planner: Planner, node: ir.Node) -> None:
    """IntMaskedSoftmax: float32 in the layout of its input."""
    x, hidden = planner.tensor(node, 0), _source(planner, node.inputs[1])
    codes = planner.need_constant(node, 2, "the table").astype(np.int32)
    axis = node.attributes["axis"].as_int() % len(x.shape)
    if axis == 0:
        raise Unsupported("softmax over the batch axis")
    value = node.outputs[0]
    out = like(x, str(value.name), "float32", x.shape)
    order = [a for a in x.axes if a != axis] + [axis]
    dims = tuple(x.extent(a) for a in order)
    if isinstance(hidden.data, Tensor) and len(hidden.data.shape) != len(x.shape):
        raise Unsupported(f"a mask of shape {hidden.data.shape} over scores of shape {x.shape}")
    mask, mask_name = operand_of(planner, hidden, x, order, dims)
    kernel = MaskedSoftmax(
        x.batch, dims, planner.operand(x, order), mask, output_operand(out, order, None),
        node.attributes["empty"].as_int(),
    )  # fmt: skip
    names = [x.name, mask_name, planner.add_constant(f"{value.name}.powers", codes)]
    planner.emit(kernel, names, out, value)


def masked_softmax(planner: Planner, node: ir.Node) -> None:
    """MaskedSoftmax in float32: hidden scores become the lowest number first."""
    x, hidden = planner.tensor(node, 0), _source(planner, node.inputs[1])
    axis, empty = (node.attributes[name].as_int() for name in ("axis", "empty"))
    mask = planner.constant(node.inputs[1])
    rank = len(x.shape)
    back = axis % rank - rank
    covers = mask is None or mask.ndim < -back or bool(mask.all(axis=back).any())
    if empty and covers:
        raise Unsupported("a mask that may hide whole rows, which float32 kernels make uniform")
    if isinstance(hidden.data, Tensor) and len(hidden.data.shape) != rank:
        raise Unsupported("a mask that has fewer axes than the scores")
    shown = like(x, planner.temporary(x.name), "float32", x.shape)
    kernel, names = nest(planner, shown, [Source(x.name, x), hidden], Logic("hide"), _NO_TAIL)
    planner.emit(kernel, names, shown, None)
    softmax_of(planner, node, shown)


_NO_TAIL = Tail(ir.Value(name=""))


def cast(planner: Planner, node: ir.Node) -> None:
    """Cast between integers and truth values."""
    x, to = planner.tensor(node, 0), ir.DataType(node.attributes["to"].as_int())
    name = "bool" if to == ir.DataType.BOOL else str(to.numpy().name)
    if x.dtype not in _INTEGERS or name not in ("bool", *_INTEGERS):
        raise Unsupported(f"Cast from {x.dtype} to {name}")
    _emit(planner, node, Logic("convert", name), _TRUTH if name == "bool" else name)


def equal(planner: Planner, node: ir.Node) -> None:
    """Equal on integers."""
    _emit(planner, node, Logic("equal"), _TRUTH)


def negation(planner: Planner, node: ir.Node) -> None:
    """Not."""
    _emit(planner, node, Logic("not"), _TRUTH)


def junction(planner: Planner, node: ir.Node) -> None:
    """And, Or."""
    kind: LogicKind = "or" if node.op_type == "Or" else "and"
    _emit(planner, node, Logic(kind), _TRUTH)


def _source(planner: Planner, value: ir.Value | None) -> Source:
    """An activation or a constant as an input of a loop nest; truth values as 0 and 1."""
    assert value is not None
    array = planner.constant(value)
    if array is not None:
        return Source(str(value.name), array.astype(np.uint8) if array.dtype == bool else array)
    tensor = planner.tensors[str(value.name)]
    return Source(tensor.name, tensor)


def _emit(planner: Planner, node: ir.Node, operation: Logic, dtype: str) -> None:
    sources = [_source(planner, value) for value in node.inputs]
    tensors = [s.data for s in sources if isinstance(s.data, Tensor)]
    kinds = {str(s.data.dtype) for s in sources}
    if not tensors or len(kinds) > 1 or not kinds <= set(_INTEGERS):
        raise Unsupported(f"{node.op_type} of {', '.join(sorted(kinds))}")
    shape = with_constants(broadcast([t.shape for t in tensors]), sources)
    widest = max(tensors, key=lambda t: t.size)
    value = node.outputs[0]
    out = like(widest, str(value.name), dtype, shape)
    emit_nest(planner, out, sources, operation, Tail(value))
