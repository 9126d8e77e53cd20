"""Maxima and minima of codes: of two tensors, or along axes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.graph import constant, dims
from actc.passes.integer.builder import Builder, Codes, NoIntegerForm, code_type
from actc.passes.integer.movement import rescale
from actc.passes.integer.pooling import reduction_axes, reduction_keeps


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
    output, name = node.outputs[0], str(node.outputs[0].name)
    x = builder.codes(node.inputs[0])
    result = _reduce(builder, _mirror(builder, x, name) if mirrored else x, output, axes, keepdims)
    builder.set_codes(output, _mirror(builder, result, name) if mirrored else result)


def _between(builder: Builder, node: ir.Node, mirrored: bool) -> None:
    output, name = node.outputs[0], str(node.outputs[0].name)
    if any(constant(v) is not None or dims(v) != dims(output) for v in node.inputs):
        raise NoIntegerForm("its operands differ in shape")
    parameters, rank = builder.formats(output), len(dims(output) or ())
    sources = [builder.codes(value) for value in node.inputs]
    parts = []
    for source in sources:
        x = Codes(rescale(builder, source, parameters, name), parameters)
        x = _mirror(builder, x, name) if mirrored else x
        parts.append(_column(builder, x, output, rank))
    shape = ir.Shape([*(output.shape or ()), len(parts)])
    stacked = builder.emit(
        "Concat",
        parts,
        output,
        code_type(parameters),
        name=name,
        attributes={"axis": rank},
        domain="",
        shape=shape,
    )
    result = _reduce(builder, Codes(stacked, parameters), output, [rank], False)
    builder.set_codes(output, _mirror(builder, result, name) if mirrored else result)


def _column(builder: Builder, x: Codes, output: ir.Value, rank: int) -> ir.Value:
    axes = builder.constant(f"{output.name}.axes", np.array([rank]))
    shape = ir.Shape([*(output.shape or ()), 1])
    return builder.emit(
        "Unsqueeze",
        [x.value, axes],
        output,
        code_type(x.parameters),
        name=str(output.name),
        domain="",
        shape=shape,
    )


def _reduce(builder: Builder, x: Codes, output: ir.Value, axes: list[int], keepdims: bool) -> Codes:
    name = str(output.name)
    result = builder.emit(
        "WideReduceMax" if x.wide else "ReduceMax",
        [x.value, builder.constant(f"{name}.axes", np.array(axes))],
        output,
        code_type(x.parameters),
        name=name,
        attributes={"keepdims": int(keepdims)},
        domain=DOMAIN if x.wide else "",
    )
    return Codes(result, x.parameters)


def _mirror(builder: Builder, x: Codes, name: str) -> Codes:
    """The largest code of the type less each code."""
    table = builder.constant(f"{name}.mirror", np.ascontiguousarray(x.parameters.codes()[::-1]))
    inputs, dtype = [x.value, table], code_type(x.parameters)
    result = builder.emit("Table", inputs, x.value, dtype, name=f"{name}.mirrored")
    return Codes(result, x.parameters)
