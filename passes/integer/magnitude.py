"""The magnitude of two tensors on integers."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.numerics.quantization import largest_code
from actc.passes.integer.builder import Accumulator, Builder
from actc.passes.integer.movement import rescale

_RESOLUTION = 64
"""Steps of the result for one step of the operands."""


def hypot(builder: Builder, node: ir.Node) -> None:
    """actc::Hypot -> actc::IntHypot: one exact sum of squares and one square root."""
    output, name = node.outputs[0], str(node.outputs[0].name)
    a, b = (builder.codes(value) for value in node.inputs[:2])
    p = a.parameters
    epsilon = node.attributes["epsilon"].as_float() / p.scale**2
    zero = np.array(p.zero_point, p.dtype)
    inputs = [
        a.value,
        rescale(builder, b, p, name),
        builder.constant(f"{name}.a_zero", zero),
        builder.constant(f"{name}.b_zero", zero),
        builder.constant(f"{name}.eps", np.array(epsilon, np.float64)),
    ]
    root = builder.emit("IntHypot", inputs, output, ir.DataType.INT32, name=name)
    longest = np.sqrt(2.0 * largest_code(p.bits) ** 2 + epsilon)
    bound = min(int(_RESOLUTION * longest) + 1, 2**62)
    scale = np.array(p.scale / _RESOLUTION)
    builder.set_accumulator(output, Accumulator(root, scale, 1, bound))
