"""Where real numbers become integers and integers real numbers; conversions."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor

from actc.torch.functions import clamp, round_through
from actc.torch.gradients import Gradients
from actc.torch.operators.shared import Maker, NotSupported, Operator, integer, is_code, known

_BITS = {
    ir.DataType.INT8: (8, True),
    ir.DataType.INT16: (16, True),
    ir.DataType.INT32: (32, True),
    ir.DataType.UINT8: (8, False),
    ir.DataType.UINT16: (16, False),
    ir.DataType.UINT32: (32, False),
}


def quantize(node: ir.Node, gradients: Gradients) -> Operator:
    """Codes of float32 numbers: one float32 division, ties to even, saturation."""
    if len(node.inputs) < 3 or known(node, 1).size != 1:
        raise NotSupported("its scale is not one number, or it has no zero point")
    last = float(np.iinfo(known(node, 2).dtype).max)
    margin = gradients.margin(0, int(last))

    def run(x: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
        steps = round_through(x / scale) + zero.to(torch.float32)
        steps = torch.where(torch.isnan(steps), 0.0, steps)
        return clamp(steps, 0.0, last, margin).to(torch.float64)

    return run


def dequantize(node: ir.Node, gradients: Gradients) -> Operator:
    """Real numbers of codes or accumulators: one float32 product."""
    axis, output = integer(node, "axis", 1), node.outputs[0]

    def run(x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
        if scale.ndim == 1 and len(scale) > 1:
            shape = [1] * x.ndim
            shape[axis] = -1
            scale = scale.reshape(shape)
            zero = None if zero is None else zero.reshape(shape)
        moved = x if zero is None else x - zero
        return moved.to(torch.float32) * scale

    if output.dtype != ir.DataType.FLOAT:
        raise NotSupported(f"it gives {output.dtype}")
    return run


def cast(node: ir.Node, gradients: Gradients) -> Operator:
    """Integers to float32, or to other integers, with wrap-around."""
    source, wanted = node.inputs[0], ir.DataType(integer(node, "to"))
    if not is_code(source):
        raise NotSupported("it makes other numbers of float ones")
    if wanted == ir.DataType.FLOAT:
        return lambda x: x.to(torch.float32)
    if wanted == ir.DataType.BOOL:
        return lambda x: (x != 0).to(torch.float64)
    if wanted == ir.DataType.INT64 or wanted == ir.DataType.UINT64:
        return lambda x: x
    if wanted not in _BITS:
        raise NotSupported(f"it makes {wanted}")
    bits, signed = _BITS[wanted]
    span = 2.0**bits
    low = -span / 2 if signed else 0.0
    return lambda x: torch.remainder(x - low, span) + low


STANDARD: dict[str, Maker] = {
    "Cast": cast,
    "DequantizeLinear": dequantize,
    "QuantizeLinear": quantize,
}
"""Operators of ONNX's own domain."""
