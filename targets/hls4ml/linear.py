"""Convolutions and matrix products as layers of hls4ml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from actc.targets.fpga.folded.program import MatrixStage, Stream, Window
from actc.targets.fpga.hdl import Range
from actc.targets.hls4ml.functions import Unique
from actc.targets.hls4ml.layers import Attribute, HlsLayer, Integers, hull_of


@dataclass(frozen=True, eq=False)
class Linear:
    """Sums of products.

    Attributes:
        stage: what they belong to.
        weights: int64 [outputs, rows, columns, inputs], see :func:`whole`.
        bias: int64 [outputs].
        codes: range of what is read; padding is zero.
        sums: range of each output's sum.
    """

    stage: MatrixStage
    weights: Integers
    bias: Integers
    codes: Range
    sums: Sequence[Range]

    @property
    def total(self) -> Range:
        """Of all outputs."""
        return Range(min(r.low for r in self.sums), max(r.high for r in self.sums))

    @property
    def types(self) -> dict[str, Range]:
        """Of accumulators and constants."""
        return {
            "accum": _partial(self.weights, self.bias, self.codes),
            "weight": hull_of(self.weights).hull(Range(-1, 1)),
            "bias": hull_of(self.bias).hull(Range(-1, 1)),
        }


def linear_layers(
    linear: Linear, given: str, io: str, unique: Unique, *, own: bool = False
) -> list[HlsLayer]:
    """The layers of sums of products, in order.

    hls4ml's convolutions of streams lose count where the last window ends before the image does;
    so that ours gives the windows, and hls4ml's multiplies them.

    Args:
        given: the layer that is read.
        io: "parallel" or "stream".
        unique: makes a name that no layer has.
        own: whether convolutions of arrays are actc's, as hls4ml's do not take integers.
    """
    stage, weights = linear.stage, linear.weights
    name = unique(stage.name)
    constants: dict[str, Attribute] = {"bias": linear.bias}
    if is_dense(stage):
        matrix = weights.reshape(len(weights), -1).T
        if is_depthwise(stage):
            matrix = np.diag(weights.reshape(-1))
        constants |= {"weight": matrix}
        return [_made(linear, name, "ActcDense", given, (len(weights),), constants)]
    shape = (*stage.window.positions(stage.input), len(weights))
    window = replace(stage.window, kernel=weights.shape[1:3], dilations=(1, 1))
    geometry = window_attributes(window, stage.input)
    if is_depthwise(stage):
        geometry |= {"dilations": (1, 1), "outside": 0}
        kernel = np.ascontiguousarray(weights.transpose(1, 2, 0, 3)[..., 0])
        constants |= {"weight": kernel, **geometry}
        return [_made(linear, name, "ActcDepthwiseConv2D", given, shape, constants)]
    kernel = np.ascontiguousarray(weights.transpose(1, 2, 3, 0))
    if io == "parallel" and own:
        geometry |= {"dilations": (1, 1), "outside": 0, "filters": len(weights)}
        constants |= {"weight": kernel, **geometry}
        return [_made(linear, name, "ActcArrayConv2D", given, shape, constants)]
    if io == "parallel" or window == Window():
        constants |= {"weight": kernel, **geometry}
        return [_made(linear, name, "ActcConv2D", given, shape, constants)]
    terms = int(np.prod(kernel.shape[:3]))
    windows = HlsLayer(
        unique(f"{stage.name}_windows"), "ActcWindows", (given,), (*shape[:2], terms),
        linear.codes.hull(Range(0, 0)), {**geometry, "dilations": (1, 1), "outside": 0},
        scope=stage.name,
    )  # fmt: skip
    point = window_attributes(Window(), Stream(shape[0], shape[1], terms, linear.codes))
    constants |= {"weight": kernel.reshape(1, 1, terms, -1), **point}
    return [windows, _made(linear, name, "ActcConv2D", windows.name, shape, constants)]


def _made(
    linear: Linear,
    name: str,
    op: str,
    given: str,
    shape: tuple[int, ...],
    attributes: dict[str, Attribute],
) -> HlsLayer:
    scope = linear.stage.name
    return HlsLayer(name, op, (given,), shape, linear.total, attributes, linear.types, scope)


def window_attributes(window: Window, input: Stream) -> dict[str, Attribute]:
    """The geometry of a window, without dilations, which not all layers have."""
    return {
        "input_shape": input.shape,
        "kernel_shape": window.kernel,
        "strides": window.strides,
        "pads": (*window.before, *window.after),
    }


def whole(stage: MatrixStage) -> Integers:
    """Weights [outputs, rows, columns, inputs], dilated kernels filled up with zeros.

    Depthwise ones stay [outputs, rows, columns, 1]; of other groups they are zero outside.
    """
    weights = stage.weights
    outputs, rows, columns, own = weights.shape
    steps = stage.window.dilations
    spread = np.zeros(
        (outputs, (rows - 1) * steps[0] + 1, (columns - 1) * steps[1] + 1, own), np.int64
    )
    spread[:, :: steps[0], :: steps[1]] = weights
    if stage.groups == 1 or is_depthwise(stage):
        return spread
    whole = np.zeros((*spread.shape[:3], stage.input.channels), np.int64)
    share = outputs // stage.groups
    for group in range(stage.groups):
        rows_of, columns_of = slice(group * share, (group + 1) * share), group * own
        whole[rows_of, :, :, columns_of : columns_of + own] = spread[rows_of]
    return whole


def is_dense(stage: MatrixStage) -> bool:
    """Whether it is a matrix product with one vector."""
    window = stage.window
    return stage.input.positions == 1 and window.kernel == (1, 1) and not is_padded(window)


def is_depthwise(stage: MatrixStage) -> bool:
    """Whether each channel is summed alone."""
    return stage.groups == stage.input.channels == len(stage.weights) and stage.groups > 1


def sums_of(weights: Integers, bias: Integers, codes: Range, *, padded: bool) -> list[Range]:
    """The range of each channel's sum."""
    held = codes.hull(Range(0, 0)) if padded else codes
    flat = weights.reshape(len(weights), -1)
    low = np.minimum(flat * held.low, flat * held.high).sum(axis=1) + bias
    high = np.maximum(flat * held.low, flat * held.high).sum(axis=1) + bias
    return [Range(int(a), int(b)) for a, b in zip(low, high, strict=True)]


def _partial(weights: Integers, bias: Integers, codes: Range) -> Range:
    """What the accumulator holds at any time, whatever is added first."""
    flat = np.abs(weights.reshape(len(weights), -1)).sum(axis=1)
    most = int((flat * max(abs(codes.low), abs(codes.high)) + np.abs(bias)).max())
    return Range(-most, most)


def is_padded(window: Window) -> bool:
    """Whether anything stands around the image."""
    return any(window.before) or any(window.after)
