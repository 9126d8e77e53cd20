"""Choosing between two tensors by a mask, and comparing two."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant
from actc.numerics.quantization import QuantizationParameters
from actc.passes.integer import elementwise, movement
from actc.passes.integer.builder import Builder, Codes, NoIntegerForm, code_type

_COMPARED_BITS = 16
"""Numbers are compared in so many bits, whatever they have: rounding makes ties."""


def where(builder: Builder, node: ir.Node) -> None:
    """Where of floats -> Where of codes in one format; of indices, part of a row lookup.

    The mask is a constant, or computed from integers and booleans alone.
    """
    output, name = node.outputs[0], str(node.outputs[0].name)
    if output.dtype != ir.DataType.FLOAT:
        movement.index_step(builder, node)
        return
    parameters = builder.formats(output)
    mask = _mask(builder, node.inputs[0], name)
    a, b = (_in_format(builder, value, parameters, name) for value in node.inputs[1:])
    kind = code_type(parameters)
    if kind == ir.DataType.UINT16:  # onnxruntime has no kernel for it
        a, b = (_cast(builder, value, ir.DataType.INT32, name) for value in (a, b))
    dtype = a.dtype
    assert dtype is not None
    chosen = builder.emit("Where", [mask, a, b], output, dtype, name=name, domain="")
    if kind == ir.DataType.UINT16:
        chosen = _cast(builder, chosen, kind, name)
    builder.set_codes(output, Codes(chosen, parameters))


def compare(builder: Builder, node: ir.Node) -> None:
    """Greater, Less... of two activations -> the same of codes in one format of 16 bits."""
    output, name = node.outputs[0], str(node.outputs[0].name)
    if any(value is None or value.dtype != ir.DataType.FLOAT for value in node.inputs):
        movement.index_step(builder, node)
        return
    sources = [elementwise.operand(builder, value, _COMPARED_BITS) for value in node.inputs]
    ends = [x.parameters.values()[[x.parameters.low, x.parameters.high]] for x in sources]
    common = QuantizationParameters.from_range(
        float(np.min(ends)), float(np.max(ends)), bits=_COMPARED_BITS
    )
    codes = [
        _cast(builder, movement.rescale(builder, x, common, name), ir.DataType.INT32, name)
        for x in sources
    ]
    kind = ir.DataType.BOOL
    builder.set_plain(output, builder.emit(node.op_type, codes, output, kind, name=name, domain=""))


def _mask(builder: Builder, value: ir.Value | None, name: str) -> ir.Value:
    array = constant(value)
    if array is not None:
        return builder.constant(f"{name}.mask", array)
    found = None if value is None else builder.plain(value)
    if found is None:
        raise NoIntegerForm("its mask is computed from what the network computes")
    return found


def _in_format(
    builder: Builder, value: ir.Value | None, parameters: QuantizationParameters, name: str
) -> ir.Value:
    array = constant(value)
    if array is not None:
        return builder.constant(f"{name}.value", parameters.quantize(array.astype(np.float32)))
    return movement.rescale(builder, builder.codes(value), parameters, name)


def _cast(builder: Builder, value: ir.Value, dtype: ir.DataType, name: str) -> ir.Value:
    to = {"to": int(dtype)}
    return builder.emit("Cast", [value], value, dtype, name=name, attributes=to, domain="")
