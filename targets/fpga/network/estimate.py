"""What a network takes, estimated from golden alone: before any wire is made."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from actc.ir.graph import attribute_ints, constant, dims, is_op
from actc.targets.fpga.network.boundary import clamp_of, entry_range

Array = npt.NDArray[Any]

_WEIGHT_BITS = 34
_KEPT = 0.32
"""Bits of adders that are left of those of single digits: sharing, and short sums.

Measured: 0.29 and 0.33 in dense networks of 5 bits (dense ones are those that may be too
large), 0.44 in one trained to have few digits.
"""
_CODE_BITS = 8
_TABLE_BITS = 4
"""Inputs of one look-up table."""
_MATMULS = ("IntMatMul", "WideMatMul")
_LINEAR = (*_MATMULS, "IntConv", "WideConv")


def signed_digits(weights: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number of digits other than zero of each weight in canonical signed-digit form."""
    size = np.abs(weights)
    # the digits of x stand where x and 3 * x differ
    places = size ^ (3 * size)
    counts: npt.NDArray[np.int64] = sum((places >> bit) & 1 for bit in range(_WEIGHT_BITS))
    return counts


def adder_bits(node: ir.Node, weights: int | None = None) -> int:
    """Estimated bits of adders, or of what is about as large, behind one operator.

    Args:
        weights: bits that constant weights are rounded to first; None: as they are.
    """
    linear = _linear(node)
    if linear is not None:
        matrix, times = linear
        matrix = matrix if weights is None else rounded_to(matrix, weights)
        return round(times * _matrix(matrix, bits_of(node.inputs[0])))
    rule = _SIZES.get(node.op_type)
    return 0 if rule is None else rule(node)


def weight_bits(node: ir.Node) -> int:
    """Bits of the constant weights of an operator, with their sign; 0 without any."""
    linear = _linear(node)
    if linear is None:
        return 0
    return int(np.abs(linear[0]).max(initial=0)).bit_length() + 1


def rounded_to(matrix: npt.NDArray[np.int64], bits: int) -> npt.NDArray[np.int64]:
    """Weights [outputs, inputs] as integers of fewer bits, with a scale per output."""
    most = np.abs(matrix).max(axis=1, keepdims=True, initial=1)
    scale = (2 ** (bits - 1) - 1) / most
    smaller: npt.NDArray[np.int64] = np.rint(matrix * np.minimum(scale, 1.0)).astype(np.int64)
    return smaller


def bits_of(value: ir.Value | None) -> int:
    """Bits of the codes of a value, as far as golden says."""
    if value is None:
        return _CODE_BITS
    array = constant(value)
    if array is not None:
        return _width(int(array.max(initial=0)))
    if "actc.bits" in value.metadata_props:
        return int(value.metadata_props["actc.bits"])
    node = value.producer()
    if node is None or clamp_of(node) is not None:
        range = entry_range(value)
        return _CODE_BITS if range is None else range.width
    if is_op(node, "Requantize", domain="actc"):
        low, high = (constant(v) for v in node.inputs[4:6])
        if low is not None and high is not None:
            return _width(int(high.max()) - int(low.min()))
    if is_op(node, "Table", "ChannelTable", domain="actc"):
        return bits_of(node.inputs[1])
    source = node.inputs[0] if node.inputs and node.domain == "" else None
    return _CODE_BITS if source is None or source.dtype != value.dtype else bits_of(source)


def _width(number: int) -> int:
    return max(number.bit_length(), 1)


def _size(value: ir.Value | None) -> int:
    """Elements of one sample; open axes count as one, and are refused elsewhere."""
    return math.prod(extent or 1 for extent in (dims(value) or (1,))[1:])


def _matrix(weight: npt.NDArray[np.int64], bits: int) -> float:
    """Adders of a matrix [outputs, inputs] times codes."""
    digits = signed_digits(weight).sum(axis=1)
    bounds = np.abs(weight).sum(axis=1) << bits
    widths = np.log2(np.maximum(bounds, 2))
    return float((np.maximum(digits - 1, 0) * widths).sum()) * _KEPT


def _linear(node: ir.Node) -> tuple[npt.NDArray[np.int64], int] | None:
    """The constant matrix [outputs, inputs] of an operator, and how often it is built."""
    if node.op_type not in _LINEAR:
        return None
    weight = constant(node.inputs[1])
    if weight is None or (node.op_type in _MATMULS and weight.ndim != 2):
        return None
    outputs = weight.T if node.op_type in _MATMULS else weight.reshape(len(weight), -1)
    times: int = _size(node.outputs[0]) // max(len(outputs), 1)
    return outputs.astype(np.int64), times


def _product(node: ir.Node) -> int:
    return _size(node.outputs[0]) * bits_of(node.inputs[0]) * bits_of(node.inputs[1])


def _batch_product(node: ir.Node) -> int:
    depth = (dims(node.inputs[0]) or (1,))[-1] or 1
    return _product(node) * depth


def _pool(node: ir.Node) -> int:
    kernel = math.prod(attribute_ints(node, "kernel_shape", [1]))
    return _size(node.outputs[0]) * (kernel - 1) * 2 * bits_of(node.inputs[0])


def _reduction(node: ir.Node) -> int:
    return _size(node.inputs[0]) * 2 * bits_of(node.inputs[0])


def _function(node: ir.Node) -> int:
    """Lines, or a table where what it reads has few bits (the edges of a KAN)."""
    bits = bits_of(node.outputs[0])
    table: int = bits * 2 ** max(_read_bits(node) - _TABLE_BITS, 0)
    return _size(node.outputs[0]) * min(bits**2, table)


def _read_bits(node: ir.Node) -> int:
    """Bits that a function reads, with the tables in front of it taken into it."""
    source = node.inputs[0]
    producer = None if source is None else source.producer()
    while producer is not None and producer.domain == "" and producer.inputs:
        moved = producer.inputs[0]
        producer = None if moved is None else moved.producer()
    if producer is not None and is_op(producer, "Table", "ChannelTable", domain="actc"):
        return _read_bits(producer)
    return bits_of(source)


_SIZES: dict[str, Callable[[ir.Node], int]] = {
    "IntMul": _product,
    "WideMul": _product,
    "IntBatchMatMul": _batch_product,
    "WideBatchMatMul": _batch_product,
    "MaxPool": _pool,
    "WideMaxPool": _pool,
    **dict.fromkeys(
        ("ReduceMax", "WideReduceMax", "IntReduceSum", "IntReduceMean", "ArgMax", "ArgMin"),
        _reduction,
    ),
    **dict.fromkeys(("Requantize", "Table", "ChannelTable", "Steps", "IntEmbed"), _function),
}
