"""Pooling and reductions."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.ir.graph import attribute_ints, constant, dims
from actc.passes.integer.builder import Accumulator, Builder, Codes, NoIntegerForm


def global_average(builder: Builder, node: ir.Node) -> None:
    """GlobalAveragePool -> actc::IntReduceSum over the spatial axes."""
    rank = len(dims(node.outputs[0]) or ())
    _mean(builder, node, list(range(2, rank)), True)


def reduce_mean(builder: Builder, node: ir.Node) -> None:
    """ReduceMean over constant axes -> actc::IntReduceSum."""
    _mean(builder, node, _axes(node), _keeps(node))


def _axes(node: ir.Node) -> list[int]:
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


def _keeps(node: ir.Node) -> bool:
    return "keepdims" not in node.attributes or node.attributes["keepdims"].as_int() != 0


def _mean(builder: Builder, node: ir.Node, axes: list[int], keepdims: bool) -> None:
    x, output = builder.codes(node.inputs[0]), node.outputs[0]
    extents = [(dims(node.inputs[0]) or ())[axis] for axis in axes]
    if any(extent is None for extent in extents):
        raise NoIntegerForm("the number of averaged values is not known before it runs")
    count = int(np.prod([extent for extent in extents if extent is not None]))
    name = str(output.name)
    inputs = [x.value, builder.zero(x, name), builder.constant(f"{name}.axes", np.array(axes))]
    total = builder.emit(
        "IntReduceSum",
        inputs,
        output,
        ir.DataType.INT32,
        name=name,
        attributes={"keepdims": int(keepdims)},
    )
    scale = np.array(x.parameters.scale / count)
    builder.set_accumulator(output, Accumulator(total, scale, 1, 255 * count))


def average_pool(builder: Builder, node: ir.Node) -> None:
    """AveragePool -> actc::IntConv per channel with weights of one."""
    shape = dims(node.inputs[0])
    kernel = attribute_ints(node, "kernel_shape", [])
    spatial = len(kernel)
    pads = attribute_ints(node, "pads", [0] * (2 * spatial))
    counts_padding = (
        "count_include_pad" in node.attributes and node.attributes["count_include_pad"].as_int()
    )
    if any(pads) and not counts_padding:
        raise NoIntegerForm("it averages over fewer values at the border (count_include_pad=0)")
    if "ceil_mode" in node.attributes and node.attributes["ceil_mode"].as_int():
        raise NoIntegerForm("ceil_mode=1 is not supported")
    if shape is None or shape[1] is None:
        raise NoIntegerForm("its number of channels is not known")
    x, output, name = builder.codes(node.inputs[0]), node.outputs[0], str(node.outputs[0].name)
    channels, count = shape[1], int(np.prod(kernel))
    attributes = {
        "strides": attribute_ints(node, "strides", [1] * spatial),
        "pads": pads,
        "dilations": attribute_ints(node, "dilations", [1] * spatial),
        "group": channels,
        "kernel_shape": kernel,
    }
    inputs = [
        x.value,
        builder.constant(f"{name}.w", np.ones((channels, 1, *kernel), np.int8)),
        builder.constant(f"{name}.b", np.zeros((1, channels, *([1] * spatial)), np.int32)),
        builder.zero(x, name),
    ]
    total = builder.emit(
        "IntConv", inputs, output, ir.DataType.INT32, name=name, attributes=attributes
    )
    scale = np.array(x.parameters.scale / count)
    builder.set_accumulator(output, Accumulator(total, scale, 1, 255 * count))


def max_pool(builder: Builder, node: ir.Node) -> None:
    """MaxPool of codes; the zero point need not be known, padding never wins."""
    if any(o.uses() for o in node.outputs[1:]):
        raise NoIntegerForm("its indices are used")
    x, output = builder.codes(node.inputs[0]), node.outputs[0]
    if x.parameters.low and any(attribute_ints(node, "pads", [])):
        raise NoIntegerForm("it pads values whose smallest code is not 0")
    attributes = {k: a.value for k, a in node.attributes.items() if isinstance(a, ir.Attr)}
    attributes.pop("storage_order", None)
    result = builder.emit(
        "MaxPool",
        [x.value],
        output,
        ir.DataType.UINT8,
        name=str(output.name),
        attributes=attributes,
        domain="",
    )
    builder.set_codes(output, Codes(result, x.parameters))


def global_max(builder: Builder, node: ir.Node) -> None:
    """GlobalMaxPool -> ReduceMax of codes over the spatial axes."""
    rank = len(dims(node.outputs[0]) or ())
    _reduce_max(builder, node, list(range(2, rank)), True)


def reduce_max(builder: Builder, node: ir.Node) -> None:
    """ReduceMax of codes over constant axes."""
    _reduce_max(builder, node, _axes(node), _keeps(node))


def _reduce_max(builder: Builder, node: ir.Node, axes: list[int], keepdims: bool) -> None:
    x, output, name = builder.codes(node.inputs[0]), node.outputs[0], str(node.outputs[0].name)
    result = builder.emit(
        "ReduceMax",
        [x.value, builder.constant(f"{name}.axes", np.array(axes))],
        output,
        ir.DataType.UINT8,
        name=name,
        attributes={"keepdims": int(keepdims)},
        domain="",
    )
    builder.set_codes(output, Codes(result, x.parameters))
