"""Maxima and minima of codes: of two tensors, or along axes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant, dims
from actc.passes.integer.builder import Builder, Codes, NoIntegerForm
from actc.passes.integer.movement import rescale
from actc.passes.integer.pooling import reduction_axes, reduction_keeps

_FLIP = np.arange(255, -1, -1, dtype=np.uint8)


def global_max(builder: Builder, node: ir.Node) -> None:
    """GlobalMaxPool -> ReduceMax of codes over the spatial axes."""
    rank = len(dims(node.outputs[0]) or ())
    _along(builder, node, list(range(2, rank)), True)


def reduce_max(builder: Builder, node: ir.Node) -> None:
    """ReduceMax of codes over constant axes."""
    _along(builder, node, reduction_axes(node), reduction_keeps(node))


def reduce_min(builder: Builder, node: ir.Node) -> None:
    """ReduceMin -> ReduceMax of mirrored codes, mirrored back."""
    _along(builder, node, reduction_axes(node), reduction_keeps(node), mirrored=True)


def maximum(builder: Builder, node: ir.Node) -> None:
    """Max of tensors of one shape -> ReduceMax over a new axis of codes in one format."""
    _between(builder, node, mirrored=False)


def minimum(builder: Builder, node: ir.Node) -> None:
    """Min of tensors of one shape -> as `maximum`, of mirrored codes."""
    _between(builder, node, mirrored=True)


def _along(
    builder: Builder, node: ir.Node, axes: list[int], keepdims: bool, mirrored: bool = False
) -> None:
    x, output, name = builder.codes(node.inputs[0]), node.outputs[0], str(node.outputs[0].name)
    codes = _mirror(builder, x.value, name) if mirrored else x.value
    result = _reduce(builder, codes, output, axes, keepdims)
    result = _mirror(builder, result, name) if mirrored else result
    builder.set_codes(output, Codes(result, x.parameters))


def _between(builder: Builder, node: ir.Node, mirrored: bool) -> None:
    output, name = node.outputs[0], str(node.outputs[0].name)
    if any(constant(v) is not None or dims(v) != dims(output) for v in node.inputs):
        raise NoIntegerForm("its operands differ in shape")
    parameters, rank = builder.formats(output), len(dims(output) or ())
    sources = [builder.codes(value) for value in node.inputs]
    parts = []
    for x in sources:
        codes = rescale(builder, x, parameters, name)
        codes = _mirror(builder, codes, name) if mirrored else codes
        parts.append(_column(builder, codes, output, rank))
    shape = ir.Shape([*(output.shape or ()), len(parts)])
    stacked = builder.emit(
        "Concat",
        parts,
        output,
        ir.DataType.UINT8,
        name=name,
        attributes={"axis": rank},
        domain="",
        shape=shape,
    )
    result = _reduce(builder, stacked, output, [rank], False)
    result = _mirror(builder, result, name) if mirrored else result
    builder.set_codes(output, Codes(result, parameters))


def _column(builder: Builder, codes: ir.Value, output: ir.Value, rank: int) -> ir.Value:
    axes = builder.constant(f"{output.name}.axes", np.array([rank]))
    shape = ir.Shape([*(output.shape or ()), 1])
    return builder.emit(
        "Unsqueeze",
        [codes, axes],
        output,
        ir.DataType.UINT8,
        name=str(output.name),
        domain="",
        shape=shape,
    )


def _reduce(
    builder: Builder, codes: ir.Value, output: ir.Value, axes: list[int], keepdims: bool
) -> ir.Value:
    name = str(output.name)
    return builder.emit(
        "ReduceMax",
        [codes, builder.constant(f"{name}.axes", np.array(axes))],
        output,
        ir.DataType.UINT8,
        name=name,
        attributes={"keepdims": int(keepdims)},
        domain="",
    )


def _mirror(builder: Builder, codes: ir.Value, name: str) -> ir.Value:
    """255 - code."""
    table = builder.constant(f"{name}.mirror", _FLIP)
    return builder.emit("Table", [codes, table], codes, ir.DataType.UINT8, name=f"{name}.mirrored")
