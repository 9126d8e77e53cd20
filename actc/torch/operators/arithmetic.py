"""Arithmetic of codes, magnitudes, maxima."""

from __future__ import annotations

import math

import onnx_ir as ir
import torch
from torch import Tensor
from torch.nn import functional

from actc.torch.functions import clamp, floor_through
from actc.torch.gradients import Gradients
from actc.torch.operators.linear import torch_widths
from actc.torch.operators.shared import (
    Maker,
    NotSupported,
    Operator,
    integer,
    integers,
    known,
)

_RESOLUTION = 64
_MEAN_STEPS = 2**12
_QUOTIENT = 2.0**30
_OUTSIDE = -1.0
"""Padding of a maximum: below every code."""


def add(node: ir.Node, gradients: Gradients) -> Operator:
    """a * a_mul + b * b_mul + bias."""

    def run(a: Tensor, b: Tensor, a_mul: Tensor, b_mul: Tensor, bias: Tensor) -> Tensor:
        return a * a_mul + b * b_mul + bias

    return run


def multiply(node: ir.Node, gradients: Gradients) -> Operator:
    """(a - a_zero) * (b - b_zero)."""

    def run(a: Tensor, b: Tensor, a_zero: Tensor, b_zero: Tensor) -> Tensor:
        return (a - a_zero) * (b - b_zero)

    return run


def reduce_sum(node: ir.Node, gradients: Gradients) -> Operator:
    """The sum of x - x_zero over constant axes."""
    axes, keep = [int(axis) for axis in known(node, 2)], bool(integer(node, "keepdims"))

    def run(x: Tensor, x_zero: Tensor, *constants: Tensor) -> Tensor:
        return (x - x_zero).sum(axes, keepdim=keep)

    return run


def reduce_mean(node: ir.Node, gradients: Gradients) -> Operator:
    """2^12 times the mean of x - x_zero over constant axes, rounded half up."""
    axes, keep = [int(axis) for axis in known(node, 2)], bool(integer(node, "keepdims"))

    def run(x: Tensor, x_zero: Tensor, *constants: Tensor) -> Tensor:
        count = math.prod(x.shape[axis] for axis in axes)
        total = x.sum(axes, keepdim=keep)
        return floor_through((2 * _MEAN_STEPS * total + count) / (2 * count)) - _MEAN_STEPS * x_zero

    return run


def divide(node: ir.Node, gradients: Gradients) -> Operator:
    """(a - a_zero) * unit / max(b - b_zero, least), rounded down, within 2^30."""

    def run(
        a: Tensor, b: Tensor, a_zero: Tensor, b_zero: Tensor, least: Tensor, unit: Tensor
    ) -> Tensor:
        divisor = torch.maximum(b - b_zero, least)
        quotient = floor_through((a - a_zero) * unit / divisor)
        return clamp(quotient, -_QUOTIENT, _QUOTIENT)

    return run


def hypot(node: ir.Node, gradients: Gradients) -> Operator:
    """floor(64 * sqrt((a - a_zero)^2 + (b - b_zero)^2 + eps))."""

    def run(a: Tensor, b: Tensor, a_zero: Tensor, b_zero: Tensor, eps: Tensor) -> Tensor:
        x, y = a - a_zero, b - b_zero
        square = x * x + y * y + eps
        # The root of 0 is 0; its slope, which is infinite, counts as 0.
        positive = square > 0
        root = torch.sqrt(torch.where(positive, square, 1.0))
        return floor_through(_RESOLUTION * torch.where(positive, root, 0.0))

    return run


def max_pool(node: ir.Node, gradients: Gradients) -> Operator:
    """The largest code of each window."""
    kernel = integers(node, "kernel_shape")
    spatial = len(kernel)
    if "auto_pad" in node.attributes or len(node.outputs) > 1:
        raise NotSupported("it has auto_pad, or its indices are used")
    if spatial not in (1, 2, 3):
        raise NotSupported(f"torch has no pooling over {spatial} axes")
    strides = integers(node, "strides", [1] * spatial)
    dilations = integers(node, "dilations", [1] * spatial)
    pads = integers(node, "pads", [0] * (2 * spatial))
    ceil = integer(node, "ceil_mode", 0) != 0
    pool = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[spatial - 1]
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]

    def run(x: Tensor) -> Tensor:
        extra = [
            _ceiling(x.shape[2 + i], pads[i], pads[i + spatial], spans[i], strides[i])
            if ceil
            else 0
            for i in range(spatial)
        ]
        ends = [pads[i + spatial] + extra[i] for i in range(spatial)]
        padded = functional.pad(x, torch_widths([*pads[:spatial], *ends]), value=_OUTSIDE)
        found: Tensor = pool(padded, kernel, strides, 0, dilations)
        return found.clamp(min=0.0)

    return run


def _ceiling(size: int, begin: int, end: int, span: int, stride: int) -> int:
    """Padding that the last, incomplete window needs."""
    steps = math.ceil((size + begin + end - span) / stride)
    if steps * stride >= size + begin:
        steps -= 1  # a window may not start in the padding
    return max(0, steps * stride + span - size - begin - end)


def reduce_max(node: ir.Node, gradients: Gradients) -> Operator:
    """The largest code over constant axes."""
    axes, keep = [int(axis) for axis in known(node, 1)], integer(node, "keepdims", 1) != 0

    def run(x: Tensor, *constants: Tensor) -> Tensor:
        return torch.amax(x, axes, keepdim=keep)

    return run


OPERATORS: dict[str, Maker] = {
    "IntAdd": add,
    "IntDivide": divide,
    "IntMul": multiply,
    "WideMul": multiply,
    "IntReduceMean": reduce_mean,
    "IntReduceSum": reduce_sum,
    "IntHypot": hypot,
    "WideMaxPool": max_pool,
    "WideReduceMax": reduce_max,
}

STANDARD: dict[str, Maker] = {"MaxPool": max_pool, "ReduceMax": reduce_max}
"""The same of ONNX's own domain."""
