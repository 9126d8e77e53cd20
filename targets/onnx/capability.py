"""Which operators onnxruntime can run on 8-bit codes, exactly as the formats say."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.ir.formats import narrow_parameters_of, parameters_of
from actc.ir.graph import constant, is_op, only_user, rank, scalar
from actc.numerics.quantization import QuantizationParameters

MOVES = frozenset(
    {
        "Flatten", "GlobalMaxPool", "Identity", "MaxPool", "Reshape", "Slice", "Split", "Squeeze",
        "Transpose", "Unsqueeze",
    }
)  # fmt: skip
"""Operators that only choose and move codes: onnxruntime drops the conversions around them
where both sides have one format."""

CLAMPS = ("Relu", "Clip")
_GENERAL = frozenset({"Concat", "GlobalAveragePool", "AveragePool", "LeakyRelu", "Sigmoid"})
_LAST = 255


def byte_format(value: ir.Value | None) -> QuantizationParameters | None:
    """The format in which integer kernels take a value: of at most 8 bits; None if none."""
    if value is None:
        return None
    parameters = narrow_parameters_of(value) or parameters_of(value)
    return parameters if parameters is not None and parameters.bits <= 8 else None


def can_run_on_codes(node: ir.Node) -> bool:
    """Whether onnxruntime has an integer kernel for this use of an operator."""
    if node.domain != "":
        return False
    inputs = [byte_format(v) for v in node.inputs if v is not None and constant(v) is None]
    outputs = [parameters_of(value) for value in node.outputs]
    if is_op(node, "MatMul", "Gemm"):  # gives float, if nothing takes its codes
        outputs = []
    formats = [*inputs, *outputs]
    if any(p is None or p.bits > 8 for p in formats):
        return False
    if is_op(node, "Conv"):
        return all(constant(value) is not None for value in node.inputs[1:] if value is not None)
    if is_op(node, "MatMul", "Gemm"):
        weights = constant(node.inputs[1])
        return weights is None or weights.ndim == 2
    if is_op(node, "Add", "Mul"):
        return all(constant(value) is None for value in node.inputs)
    if node.op_type in CLAMPS:
        return _saturates(node)
    if is_op(node, "HardSwish"):
        return hard_swish_codes(node) is not None
    if node.op_type in MOVES:
        return len({(p.scale, p.zero_point) for p in formats if p is not None}) == 1
    return node.op_type in _GENERAL and rank(node.inputs[0]) is not None


def _saturates(node: ir.Node) -> bool:
    """Whether the quantizer behind a clamp saturates where the clamp does, or earlier."""
    source, parameters = node.inputs[0], parameters_of(node.outputs[0])
    if parameters is None or only_user(source) is not node:
        return False
    low, high = (0.0, np.inf) if is_op(node, "Relu") else _ends(node)
    first = -parameters.zero_point * parameters.scale
    last = (_LAST - parameters.zero_point) * parameters.scale
    slack = parameters.scale * 1e-3  # the ends are rounded to float32
    return bool(low <= first + slack and last - slack <= high)


def _ends(node: ir.Node) -> tuple[float, float]:
    ends = [scalar(value) for value in node.inputs[1:]]
    ends += [None] * (2 - len(ends))
    return (
        -np.inf if ends[0] is None else ends[0],
        np.inf if ends[1] is None else ends[1],
    )


def hard_swish_codes(node: ir.Node) -> tuple[QuantizationParameters, int] | None:
    """The input's format in which HardSwish is exact on codes, and the code of its kink.

    x * clip(x + 3, 0, 6) / 6 takes clip(x + 3, 0, 6) as the same codes with another
    zero point, if 3 is a whole number of steps and -3 is one of the codes. The step
    grows by a per cent or two for that.

    Returns:
        the format of the input and the code of -3; None if -3 is beyond the codes.
    """
    parameters = byte_format(node.inputs[0])
    if parameters is None:
        return None
    steps = int(np.floor(3 / parameters.scale + 1e-3))
    if steps < 1:
        return None
    scale = 3 / steps
    zero = round(parameters.zero_point * parameters.scale / scale)
    if zero < steps:
        return None
    return QuantizationParameters(scale, zero), zero - steps
