"""Pooling and reductions."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.execute import run_nodes
from actc.ir.graph import attribute_ints, constant, dims
from actc.numerics.quantization import largest_code
from actc.passes.decompose import pad_value, pad_widths
from actc.passes.integer.builder import Accumulator, Builder, Codes, NoIntegerForm, code_type
from actc.passes.integer.linear import linear_operator
from actc.passes.integer.normalization import LONGEST_SEQUENCE

Array = np.ndarray[Any, Any]

_MEAN_STEPS = 2**12
"""Steps of actc::IntReduceMean for one code."""


def global_average(builder: Builder, node: ir.Node) -> None:
    """GlobalAveragePool -> actc::IntReduceSum over the spatial axes."""
    rank = len(dims(node.outputs[0]) or ())
    _mean(builder, node, list(range(2, rank)), True)


def reduce_mean(builder: Builder, node: ir.Node) -> None:
    """ReduceMean over constant axes -> actc::IntReduceSum; of open length, IntReduceMean."""
    _mean(builder, node, reduction_axes(node), reduction_keeps(node))


def reduction_axes(node: ir.Node) -> list[int]:
    """The constant axes of a reduction.

    Raises:
        NoIntegerForm: not constant, or the batch is one of them.
    """
    given = node.inputs[1] if len(node.inputs) > 1 else None
    axes, rank = constant(given), len(dims(node.inputs[0]) or ())
    if given is None:
        axes = np.arange(rank)  # every axis, as ONNX has it
    if axes is None:
        raise NoIntegerForm("its axes are not constant")
    found = sorted(int(a) % rank for a in axes)
    if 0 in found:
        raise NoIntegerForm("it reduces over the batch")
    return found


def reduction_keeps(node: ir.Node) -> bool:
    """Whether a reduction keeps the axes that it reduces."""
    return "keepdims" not in node.attributes or node.attributes["keepdims"].as_int() != 0


def reduce_sum(builder: Builder, node: ir.Node) -> None:
    """ReduceSum over constant axes -> actc::IntReduceSum."""
    _mean(builder, node, reduction_axes(node), reduction_keeps(node), divided=False)


def _mean(
    builder: Builder, node: ir.Node, axes: list[int], keepdims: bool, divided: bool = True
) -> None:
    x, output = builder.codes(node.inputs[0]), node.outputs[0]
    extents = [(dims(node.inputs[0]) or ())[axis] for axis in axes]
    open_mean = divided and None in extents
    count = int(np.prod([LONGEST_SEQUENCE if extent is None else extent for extent in extents]))
    name = str(output.name)
    inputs = [x.value, builder.zero(x, name), builder.constant(f"{name}.axes", np.array(axes))]
    total = builder.emit(
        "IntReduceMean" if open_mean else "IntReduceSum",
        inputs,
        output,
        ir.DataType.INT32,
        name=name,
        attributes={"keepdims": int(keepdims)},
    )
    parts = _MEAN_STEPS if open_mean else count if divided else 1
    bound = largest_code(x.parameters.bits) * (_MEAN_STEPS if open_mean else count)
    scale = np.array(x.parameters.scale / parts)
    builder.set_accumulator(output, Accumulator(total, scale, 1, bound))


def average_pool(builder: Builder, node: ir.Node) -> None:
    """AveragePool -> actc::IntConv per channel with weights of one.

    Where windows at the border average over fewer values, each position of the output
    has its own factor.
    """
    shape, kernel = dims(node.inputs[0]), attribute_ints(node, "kernel_shape", [])
    spatial = len(kernel)
    if shape is None or shape[1] is None:
        raise NoIntegerForm("its number of channels is not known")
    if "auto_pad" in node.attributes:
        raise NoIntegerForm("its extents are not known, so auto_pad is not either")
    pads = attribute_ints(node, "pads", [0] * (2 * spatial))
    divisor: Array = np.array(1 / np.prod(kernel))
    if not _divides_evenly(node, pads):
        if None in shape[2:]:
            raise NoIntegerForm("its extents are not known, and the border counts less")
        divisor, pads = _border(builder.model, node, [extent or 0 for extent in shape[2:]], pads)
    strides = attribute_ints(node, "strides", [1] * spatial)
    dilations = attribute_ints(node, "dilations", [1] * spatial)
    total, x = _window_sums(builder, node, kernel, strides, dilations, pads)
    bound = largest_code(x.parameters.bits) * int(np.prod(kernel))
    scale = x.parameters.scale * divisor
    builder.set_accumulator(node.outputs[0], Accumulator(total, scale, 1, bound))


def _divides_evenly(node: ir.Node, pads: list[int]) -> bool:
    """Whether every window of an AveragePool divides by the size of its kernel."""
    flags = {
        name: name in node.attributes and node.attributes[name].as_int() != 0
        for name in ("count_include_pad", "ceil_mode")
    }
    return not flags["ceil_mode"] and (flags["count_include_pad"] or not any(pads))


def _border(
    model: ir.Model, node: ir.Node, extents: list[int], pads: list[int]
) -> tuple[Array, list[int]]:
    """One over what each window divides by [1, 1, ...], and the pads without `ceil_mode`.

    Read off by averaging ones: that gives (values in the window) / divisor.
    """
    kernel, spatial = attribute_ints(node, "kernel_shape", []), len(extents)
    strides = attribute_ints(node, "strides", [1] * spatial)
    dilations = attribute_ints(node, "dilations", [1] * spatial)
    source = ir.Value(name="ones")
    copy = ir.node("AveragePool", [source], dict(node.attributes), name="border")
    copy.outputs[0].name = "border"
    ones = np.ones((1, 1, *extents), np.float32)
    (shares,) = run_nodes(model, [copy], {source: ones}, [copy.outputs[0]])
    counts: Array = np.ones((1, 1, *[1] * spatial))
    ends = []
    for axis, extent in enumerate(extents):
        starts = np.arange(shares.shape[2 + axis]) * strides[axis] - pads[axis]
        taps = starts[:, None] + np.arange(kernel[axis]) * dilations[axis]
        inside = ((taps >= 0) & (taps < extent)).sum(axis=1)
        counts = counts * inside.reshape([-1 if a == 2 + axis else 1 for a in range(2 + spatial)])
        ends.append(max(pads[spatial + axis], int(taps.max()) + 1 - extent))
    return shares.astype(np.float64) / np.maximum(counts, 1), [*pads[:spatial], *ends]


def _window_sums(
    builder: Builder,
    node: ir.Node,
    kernel: list[int],
    strides: list[int],
    dilations: list[int],
    pads: list[int],
) -> tuple[ir.Value, Codes]:
    """actc::IntConv of each channel by ones."""
    x, output, name = builder.codes(node.inputs[0]), node.outputs[0], str(node.outputs[0].name)
    channels = (dims(node.inputs[0]) or (0, 0))[1] or 0
    spatial = len(kernel)
    inputs = [
        x.value,
        builder.constant(f"{name}.w", np.ones((channels, 1, *kernel), np.int8)),
        builder.constant(f"{name}.b", np.zeros((1, channels, *([1] * spatial)), np.int32)),
        builder.zero(x, name),
    ]
    attributes = {
        "strides": strides,
        "pads": pads,
        "dilations": dilations,
        "group": channels,
        "kernel_shape": kernel,
    }
    return linear_operator(builder, "Conv", x, inputs, output, attributes), x


def pad(builder: Builder, node: ir.Node) -> None:
    """Pad of the spatial axes by zeros -> actc::IntConv of each channel by a single one."""
    widths, shape = pad_widths(node), dims(node.inputs[0])
    mode = node.attributes["mode"].as_string() if "mode" in node.attributes else "constant"
    crops = widths is None or any(width < 0 for pair in widths for width in pair)
    if widths is None or crops or shape is None or shape[1] is None or mode != "constant":
        raise NoIntegerForm("it crops, or its widths are not constant")
    if pad_value(node) != 0.0:
        raise NoIntegerForm("it pads with another number than 0")
    if any(map(any, widths[:2])):
        raise NoIntegerForm("it pads the batch or the channels")
    spatial = len(widths) - 2
    one = [1] * spatial
    pads = [before for before, _ in widths[2:]] + [after for _, after in widths[2:]]
    total, x = _window_sums(builder, node, one, one, one, pads)
    scale = np.array(x.parameters.scale)
    bound = largest_code(x.parameters.bits)
    builder.set_accumulator(node.outputs[0], Accumulator(total, scale, 1, bound))


def max_pool(builder: Builder, node: ir.Node) -> None:
    """MaxPool of codes; the zero point need not be known, padding never wins."""
    if any(o.uses() for o in node.outputs[1:]):
        raise NoIntegerForm("its indices are used")
    x, output = builder.codes(node.inputs[0]), node.outputs[0]
    if x.parameters.low and any(attribute_ints(node, "pads", [])):
        raise NoIntegerForm("it pads values whose smallest code is not 0")
    attributes = {k: a.value for k, a in node.attributes.items() if isinstance(a, ir.Attr)}
    attributes.pop("storage_order", None)
    if x.wide:
        attributes = _pool_attributes(node)
    result = builder.emit(
        "WideMaxPool" if x.wide else "MaxPool",
        [x.value],
        output,
        code_type(x.parameters),
        name=str(output.name),
        attributes=attributes,
        domain=DOMAIN if x.wide else "",
    )
    builder.set_codes(output, Codes(result, x.parameters))


def _pool_attributes(node: ir.Node) -> dict[str, Any]:
    """All attributes of a MaxPool, as actc::WideMaxPool wants them.

    Raises:
        NoIntegerForm: auto_pad, with extents that are not known.
    """
    if "auto_pad" in node.attributes:
        raise NoIntegerForm("its extents are not known, so auto_pad is not either")
    kernel = attribute_ints(node, "kernel_shape", [])
    spatial = len(kernel)
    return {
        "strides": attribute_ints(node, "strides", [1] * spatial),
        "pads": attribute_ints(node, "pads", [0] * (2 * spatial)),
        "dilations": attribute_ints(node, "dilations", [1] * spatial),
        "ceil_mode": node.attributes["ceil_mode"].as_int() if "ceil_mode" in node.attributes else 0,
        "kernel_shape": kernel,
    }
