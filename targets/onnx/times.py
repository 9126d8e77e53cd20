"""How long an operator takes in onnxruntime, in float and on integers.

A model of onnxruntime 1.31 on one core of a server processor with AVX-512 and VNNI
(2026), good to a factor of about 1.5, which is enough to choose: the two ways of a
convolution differ by factors of 0.1 to 4. `benchmarks/qdq_times.py` measures the same
operators and prints measured over modelled times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.graph import attribute_ints, dims, is_op
from actc.targets.onnx.spelling import SILU

BATCHES = (1, 16)
"""Sizes that an unknown first axis is taken for; both count the same, each relative to float."""
LENGTH = 64
"""Size that any other unknown axis is taken for."""

OPERATOR = 400.0
"""Fixed time of any operator, ns."""
CALL = 4000.0
"""Fixed time of a call from Python, ns."""
QUANTIZE = 0.13
DEQUANTIZE = 0.12
REORDER = 0.2
"""ns per element of an image between onnxruntime's layouts, in two steps: float convolutions
work on blocks of 16 channels, integer ones on channels last."""
COPY = 0.15
"""ns per element of the copies that keep onnxruntime from undoing the placement."""

_ELEMENTWISE = {
    "Relu": 0.02,  # the first six are joined with the convolution in front
    "Clip": 0.13,
    "LeakyRelu": 0.17,
    "HardSwish": 0.2,
    "Sigmoid": 0.32,
    "Tanh": 0.29,
    "HardSigmoid": 0.15,
    SILU: 0.33,
    "Gelu": 0.65,
    "Add": 0.15,
    "Mul": 0.15,
    "Sub": 0.15,
    "Div": 0.15,
    "GlobalAveragePool": 0.07,
    "Softmax": 0.9,
    "LayerNorm": 0.5,
    "Concat": 0.2,
}
_MOVED = 0.1
_ACTIVATION_NODE = 0.4
"""ns per element of a node of an activation that no operator computes."""
_CODES = {
    "Relu": 0.0,  # the saturation of the quantizer
    "Clip": 0.0,
    "LeakyRelu": 0.25,  # a table
    "Sigmoid": 0.3,  # a table
    "HardSwish": 0.25,  # Clip and QLinearMul on codes
    "Add": 0.17,
    "Mul": 0.23,
    "Concat": 0.1,
    "GlobalAveragePool": 0.045,
}
_MOVED_CODES = 0.03


@dataclass(frozen=True, slots=True)
class Times:
    """Nanoseconds of one operator: in float, and on codes (infinite: it has no such kernel)."""

    real: float
    codes: float


def elements(value: ir.Value | None, batch: int) -> int:
    """Elements of a value, an unknown first axis taken as `batch`, others as LENGTH."""
    shape = dims(value)
    if shape is None:
        return batch * LENGTH
    return math.prod(_size(size, axis, batch) for axis, size in enumerate(shape))


def _size(size: int | None, axis: int, batch: int) -> int:
    # Some exporters write -1 for an unknown axis.
    return size if size is not None and size >= 0 else (LENGTH if axis else batch)


def quantizing(value: ir.Value, batch: int) -> float:
    """Time to quantize a value, behind a pooling with a copy."""
    copied = is_op(value.producer(), "MaxPool")
    return _pass(value, batch, QUANTIZE) + (_pass(value, batch, COPY) if copied else 0.0)


def dequantizing(value: ir.Value, batch: int) -> float:
    """Time to dequantize a value, in front of SILU with a copy.

    Nothing for a matrix product: it can write float itself.
    """
    if is_op(value.producer(), "MatMul", "Gemm"):
        return 0.0
    copied = any(is_op(use.node, SILU, domain=DOMAIN) for use in value.uses())
    return _pass(value, batch, DEQUANTIZE) + (_pass(value, batch, COPY) if copied else 0.0)


def reordering(value: ir.Value, batch: int) -> float:
    """Time to change the layout of a value; nothing if it is no image."""
    shape = dims(value)
    image = shape is not None and len(shape) == 4 and math.prod(s or 1 for s in shape[2:]) > 1
    return 2 * OPERATOR + elements(value, batch) * REORDER if image else 0.0


def _pass(value: ir.Value, batch: int, per_element: float) -> float:
    return OPERATOR + elements(value, batch) * per_element


def times_of(node: ir.Node, channels_last: bool, steps: int, batch: int) -> Times:
    """The times of `node` both ways.

    Args:
        channels_last: whether, on codes, its input would have its channels last.
        steps: nodes of its body, if it has one.
        batch: what an unknown first axis is taken for.
    """
    if is_op(node, "Conv"):
        return _conv(node, batch)
    if is_op(node, "MatMul", "Gemm"):
        return _product(node, batch)
    if is_op(node, "MaxPool", "AveragePool"):
        return _pool(node, channels_last, batch)
    count = max(elements(v, batch) for v in [*node.inputs, *node.outputs] if v is not None)
    if is_op(node, "Activation", domain=DOMAIN):
        return Times(steps * (OPERATOR + count * _ACTIVATION_NODE), math.inf)
    real, codes = _ELEMENTWISE.get(node.op_type, _MOVED), _CODES.get(node.op_type, _MOVED_CODES)
    return Times(OPERATOR + count * real, OPERATOR + count * codes)


def _conv(node: ir.Node, batch: int) -> Times:
    weights = dims(node.inputs[1])
    output = dims(node.outputs[0])
    assert weights is not None
    assert output is not None
    taps = math.prod(s or 1 for s in weights[2:])
    outputs, inputs = weights[0] or 1, weights[1] or 1
    group = node.attributes.get("group")
    groups = 1 if group is None else group.as_int()
    pixels = elements(node.outputs[0], batch) // outputs
    if groups > 1:
        if inputs == 1 and groups == outputs:
            real = 3.0 + 0.03 * outputs * taps
            codes = taps * (1.0 + 0.032 * outputs)
        else:  # group by group
            real = 0.019 * outputs * inputs * taps
            codes = 0.031 * outputs * inputs * taps
    else:
        # onnxruntime's blocks are 16 output channels wide.
        real = 2.0 + 0.018 * (-(-outputs // 16) * 16) * inputs * taps
        # The window of each pixel is copied tap by tap, which has a price of its own for
        # few channels.
        copied = 0.0 if taps == 1 else (10.0 + 0.85 * taps if inputs < 8 else 0.5 * taps)
        codes = 3.0 + copied + 0.0045 * outputs * inputs * taps + 0.06 * outputs
    return Times(OPERATOR + pixels * real, OPERATOR + pixels * codes)


def _product(node: ir.Node, batch: int) -> Times:
    left, right = dims(node.inputs[0]), dims(node.inputs[1])
    depth = _size(left[-1], len(left) - 1, batch) if left else LENGTH
    count = elements(node.outputs[0], batch)
    wide = right[-1] if right and right[-1] else LENGTH
    rows = count // wide
    # Weights are read once, whatever the number of rows; codes are a quarter of the bytes.
    read = depth * wide * (0.04 if rows < 4 else 0.0)
    real = count * depth * 0.018 + read
    codes = count * depth * 0.005 + count * 0.1 + read / 2
    return Times(OPERATOR + real, 3 * OPERATOR + codes)


def _pool(node: ir.Node, channels_last: bool, batch: int) -> Times:
    taps = math.prod(attribute_ints(node, "kernel_shape", (1,)))
    count = elements(node.outputs[0], batch)
    real = OPERATOR + count * (0.1 + 0.04 * taps)
    # On codes only the kernel for channels last is vectorized.
    if is_op(node, "MaxPool") and channels_last:
        return Times(real, OPERATOR + count * (0.1 + 0.08 * taps))
    return Times(real, OPERATOR + count * (6.0 + 1.8 * taps))
