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


def byte_format(value: ir.Value | None, exact: bool = False) -> QuantizationParameters | None:
    """The format in which integer kernels take a value: of at most 8 bits; None if none.

    Args:
        exact: only a format that the value has; else one of more bits is replaced by one
            of 8 bits for the same range, since the integer kernels take bytes only.
    """
    own = None if value is None else parameters_of(value)
    if value is None or own is None or own.bits <= 8:
        return own
    narrow = narrow_parameters_of(value)
    if narrow is not None or exact:
        return narrow
    ends = [own.scale * (code - own.zero_point) for code in (own.low, own.high)]
    return QuantizationParameters.from_range(min(ends), max(ends))


def can_run_on_codes(node: ir.Node, exact: bool = False) -> bool:
    """Whether onnxruntime has an integer kernel for this use of an operator.

    Args:
        exact: with the formats that the values have, see :func:`byte_format`.
    """
    if node.domain != "":
        return False
    variable = [v for v in node.inputs if v is not None and constant(v) is None]
    formats = [byte_format(value, exact) for value in variable]
    if not is_op(node, "MatMul", "Gemm"):  # these give float, if nothing takes their codes
        own = [parameters_of(value) for value in node.outputs]
        formats += own if exact else [byte_format(value) for value in node.outputs]
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
    source, parameters = node.inputs[0], byte_format(node.outputs[0])
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
