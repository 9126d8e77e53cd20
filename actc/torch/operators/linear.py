"""Linear operators: every sum is exact in float64, whatever its order."""

from __future__ import annotations

import onnx_ir as ir
import torch
from torch import Tensor
from torch.nn import functional

from actc.torch.functions import round_through
from actc.torch.gradients import Gradients
from actc.torch.operators.shared import Maker, NotSupported, Operator, integer, integers


def matmul(node: ir.Node, gradients: Gradients) -> Operator:
    """(x - x_zero) @ w + bias."""

    def run(x: Tensor, w: Tensor, bias: Tensor, x_zero: Tensor) -> Tensor:
        return (x - x_zero) @ w + bias

    return run


def convolution(node: ir.Node, gradients: Gradients) -> Operator:
    """The convolution of x - x_zero with w, plus bias; padding counts as x_zero."""
    kernel, group = integers(node, "kernel_shape"), integer(node, "group")
    strides, dilations = integers(node, "strides"), integers(node, "dilations")
    spatial = len(kernel)
    if spatial not in (1, 2, 3):
        raise NotSupported(f"torch has no convolution over {spatial} axes")
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[spatial - 1]
    widths = torch_widths(integers(node, "pads"))

    def run(x: Tensor, w: Tensor, bias: Tensor, x_zero: Tensor) -> Tensor:
        moved = functional.pad(x - x_zero, widths)
        sums = convolve(moved, w, None, strides, 0, dilations, group)
        # Libraries may convolve by transforms; the sums are integers, and the error is far
        # below one half.
        return round_through(sums) + bias

    return run


def batch_matmul(node: ir.Node, gradients: Gradients) -> Operator:
    """(a - a_zero) @ (b - b_zero)."""

    def run(a: Tensor, b: Tensor, a_zero: Tensor, b_zero: Tensor) -> Tensor:
        return torch.matmul(a - a_zero, b - b_zero)

    return run


def torch_widths(pads: list[int]) -> list[int]:
    """ONNX's pads [begins, ends] as torch has them: pairs, the last axis first."""
    spatial = len(pads) // 2
    pairs = [(pads[axis], pads[axis + spatial]) for axis in range(spatial)]
    return [width for pair in reversed(pairs) for width in pair]


OPERATORS: dict[str, Maker] = {
    "IntConv": convolution,
    "WideConv": convolution,
    "IntMatMul": matmul,
    "WideMatMul": matmul,
    "IntBatchMatMul": batch_matmul,
    "WideBatchMatMul": batch_matmul,
}
