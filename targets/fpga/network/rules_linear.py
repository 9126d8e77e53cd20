"""Rules for matrix products and convolutions with constant weights, and for sums."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from actc.ir.graph import attribute_ints
from actc.ir.spec.shared import windows
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.network.builder import Builder, Unsupported
from actc.targets.fpga.network.elements import Element, Elements, Tensor, array_of
from actc.targets.fpga.network.products import product
from actc.targets.fpga.network.shapes import inner_axes

Integers = npt.NDArray[np.int64]
_MEAN_STEPS = 2**12
"""Steps of IntReduceMean for one code."""
OUTSIDE = -1
"""Stands for an element of the padding."""


def int_matmul(builder: Builder, node: ir.Node) -> None:
    """IntMatMul, WideMatMul: a row of the matrix product at a time."""
    x = builder.tensor(node)
    weight = builder.constant(node, 1, "the weight").astype(np.int64)
    if weight.ndim != 2 or not x.shape or x.shape[-1] != weight.shape[0]:
        raise Unsupported(f"a weight of shape {weight.shape} does not fit {x.shape}")
    constants = _constants(builder, node, weight.T)
    rows = x.elements.reshape(-1, weight.shape[0])
    leaves = node.outputs[0] in builder.leaving
    found = [
        element
        for row in rows
        for element in product(builder, weight.T, list(row), constants, leaves=leaves)
    ]
    builder.count(weight, len(rows))
    builder.set(node.outputs[0], array_of(found, (*x.shape[:-1], weight.shape[1])))


def int_conv(builder: Builder, node: ir.Node) -> None:
    """IntConv, WideConv: one matrix product per position and group."""
    x = builder.tensor(node)
    weight = builder.constant(node, 1, "the weight").astype(np.int64)
    group = node.attributes["group"].as_int()
    matrix = weight.reshape(group, weight.shape[0] // group, -1)
    biases = builder.constant(node, 2, "the bias").reshape(-1).astype(np.int64)
    biases_of = np.broadcast_to(biases, (weight.shape[0],)).reshape(group, -1)
    zero = builder.scalar(node, 3, "the zero point")
    places, shape = _patches(node, x.shape, group)
    elements = x.elements.reshape(-1)
    leaves = node.outputs[0] in builder.leaving
    made: list[list[list[Element]]] = []
    for part, (weights, bias) in enumerate(zip(matrix, biases_of, strict=True)):
        made.append([])
        for patch in places[part]:
            inside = np.flatnonzero(patch != OUTSIDE)
            kept = weights[:, inside]
            chosen = [elements[index] for index in patch[inside]]
            constants = bias - zero * kept.sum(axis=1)
            made[-1].append(product(builder, kept, chosen, constants, leaves=leaves))
            builder.layer.multiplications += int(np.count_nonzero(kept))
    builder.layer.weights += int(np.count_nonzero(weight))
    found = (e for part in made for channel in zip(*part, strict=True) for e in channel)
    builder.set(node.outputs[0], array_of(found, (weight.shape[0], *shape)))


def _patches(
    node: ir.Node, shape: tuple[int, ...], group: int
) -> tuple[npt.NDArray[np.int64], tuple[int, ...]]:
    """Elements under the kernel [group, position, weight], and the shape of the positions."""
    spatial = len(shape) - 1
    pads = attribute_ints(node, "pads", [0] * 2 * spatial)
    found = window_index(node, shape, pads)
    positions = found.shape[1 : 1 + spatial]
    # [channel, position..., kernel...] -> [group, position, channel of the group and kernel]
    size = math.prod(found.shape[1 + spatial :])
    found = np.moveaxis(found.reshape(group, -1, math.prod(positions), size), 1, 2)
    return found.reshape(group, math.prod(positions), -1), positions


def window_index(
    node: ir.Node, shape: tuple[int, ...], pads: Sequence[int]
) -> npt.NDArray[np.int64]:
    """Places of the elements in all windows: [channel, position..., kernel...].

    Args:
        node: with kernel_shape, strides and dilations.
        shape: of one sample: channels and spatial axes.
        pads: in front of each spatial axis, then behind each; :data:`OUTSIDE` in windows.

    Raises:
        Unsupported: the kernel has another number of axes.
    """
    kernel = attribute_ints(node, "kernel_shape", [])
    spatial = len(kernel)
    if spatial != len(shape) - 1:
        raise Unsupported(f"a kernel over {spatial} axes does not fit samples of {shape}")
    index = np.arange(math.prod(shape)).reshape(1, *shape)
    widths = [(0, 0), (0, 0), *zip(pads[:spatial], pads[spatial:], strict=True)]
    padded = np.pad(index, widths, constant_values=OUTSIDE)
    ones = [1] * spatial
    strides, dilations = (attribute_ints(node, name, ones) for name in ("strides", "dilations"))
    found: npt.NDArray[np.int64] = windows(padded, kernel, strides, dilations)[0]
    return found


def int_reduce_sum(builder: Builder, node: ir.Node) -> None:
    """IntReduceSum."""
    x = builder.tensor(node)
    zero = builder.scalar(node, 1, "the zero point")
    builder.set(node.outputs[0], _sums(builder, node, x, zero)[0])


def int_reduce_mean(builder: Builder, node: ir.Node) -> None:
    """IntReduceMean: a function of the sum."""
    x = builder.tensor(node)
    zero = builder.scalar(node, 1, "the zero point")
    sums, count = _sums(builder, node, x, 0)

    def make(range: Range) -> StepFunction:
        return StepFunction.of(
            range, lambda total: (2 * _MEAN_STEPS * total + count) // (2 * count) - shift
        )

    shift = _MEAN_STEPS * zero
    key = "IntReduceMean", count, zero
    means = builder.extended(Tensor(sums, builder.layer), [(key, make)] * sums.size)
    builder.set(node.outputs[0], means)


def _sums(builder: Builder, node: ir.Node, x: Tensor, zero: int) -> tuple[Elements, int]:
    """Sums of x - zero over the axes, and the number of terms."""
    rows, shape = reduced(node, x, builder.constant(node, 2, "the axes"))
    count = rows.shape[-1]
    ones, constants = np.ones((1, count), np.int64), np.array([-zero * count])
    found = [product(builder, ones, list(row), constants)[0] for row in rows]
    return array_of(found, shape), count


def reduced(
    node: ir.Node, x: Tensor, axes: npt.NDArray[Any] | Sequence[int]
) -> tuple[Elements, tuple[int, ...]]:
    """Elements [kept, reduced] of a reduction over `axes`, and the shape of its result."""
    over = inner_axes([int(axis) for axis in axes], len(x.shape) + 1)
    keep = "keepdims" not in node.attributes or node.attributes["keepdims"].as_int() == 1
    stay = [axis for axis in range(len(x.shape)) if axis not in over]
    moved = x.elements.transpose([*stay, *over])
    rows = moved.reshape(math.prod(x.shape[axis] for axis in stay), -1)
    kept = (1 if axis in over else extent for axis, extent in enumerate(x.shape))
    return rows, tuple(kept) if keep else tuple(x.shape[axis] for axis in stay)


def _constants(builder: Builder, node: ir.Node, matrix: Integers) -> Integers:
    """The bias, with what the zero point of the input adds."""
    bias = builder.constant(node, 2, "the bias").reshape(-1).astype(np.int64)
    zero = builder.scalar(node, 3, "the zero point")
    folded: Integers = np.broadcast_to(bias, matrix.shape[:1]) - zero * matrix.sum(axis=1)
    return folded
