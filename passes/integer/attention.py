"""Attention on integers: products of two activations, their scale, masked softmax."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir

from actc.diagnostics import Diagnostic
from actc.errors import ModelError
from actc.ir.graph import constant, dims
from actc.numerics.quantization import largest_code
from actc.passes.affine import affine_coefficients
from actc.passes.integer import elementwise, linear, normalization
from actc.passes.integer.builder import Accumulator, Builder, Codes, NoIntegerForm
from actc.passes.integer.hints import IN_FLOAT

_LARGEST_SCORE = 1000.0
"""No score of a network is as far from 0 as this; only what hides others is."""


def matmul(builder: Builder, node: ir.Node) -> None:
    """MatMul by a constant matrix -> actc::IntMatMul; of two tensors -> actc::IntBatchMatMul."""
    arrays = [constant(value) for value in node.inputs[:2]]
    if arrays[1] is not None and arrays[1].ndim == 2:
        linear.matmul(builder, node)
    else:
        _product(builder, node)


def _product(builder: Builder, node: ir.Node) -> None:
    """Rows times columns, in 8 bits each: (a - a_zero) @ (b - b_zero)."""
    a, b = (_factor(builder, value) for value in node.inputs[:2])
    length = _shared_length(node)
    output, name = node.outputs[0], str(node.outputs[0].name)
    p, q = a.parameters, b.parameters
    bound = length * largest_code(p.bits) * largest_code(q.bits)
    wide = bound >= 2**31 or p.bits > 8 or q.bits > 8
    inputs = [
        a.value,
        b.value,
        builder.constant(f"{name}.a_zero", np.array(p.zero_point, p.dtype)),
        builder.constant(f"{name}.b_zero", np.array(q.zero_point, q.dtype)),
    ]
    product = builder.emit(
        "WideBatchMatMul" if wide else "IntBatchMatMul",
        inputs,
        output,
        ir.DataType.INT64 if wide else ir.DataType.INT32,
        name=name,
    )
    scale = np.array(p.scale * q.scale)
    builder.set_accumulator(output, Accumulator(product, scale, 1, bound))


def _factor(builder: Builder, value: ir.Value | None) -> Codes:
    if value is not None and constant(value) is not None:
        return builder.constant_codes(value)
    return builder.narrow_codes(value)


def _shared_length(node: ir.Node) -> int:
    """Products in a sum: the extent of the axis that both operands share."""
    left, right = dims(node.inputs[0]), dims(node.inputs[1])
    if left is None or right is None:
        raise NoIntegerForm("the shapes of its operands are not known")
    known = [left[-1], right[-2] if len(right) > 1 else right[-1]]
    return next((extent for extent in known if extent is not None), normalization.LONGEST_SEQUENCE)


def activation(builder: Builder, node: ir.Node) -> None:
    """A site that only multiplies by a positive number changes no integer, but its scale."""
    site = builder.context.sites[node.metadata_props["actc.site"]]
    factor = positive_factor(site.function.body) if site.affine else None
    source, output = node.inputs[0], node.outputs[0]
    if factor is None or source is None or site.form != "table":
        elementwise.activation(builder, node)
        return
    accumulator = builder.accumulator(source)
    if accumulator is not None:
        residual = None if accumulator.residual is None else accumulator.residual * factor
        scaled = dataclasses.replace(
            accumulator, scale=accumulator.scale * factor, residual=residual
        )
        builder.set_accumulator(output, scaled)
        return
    x = builder.codes(source)
    parameters = dataclasses.replace(x.parameters, scale=x.parameters.scale * factor)
    builder.set_codes(output, Codes(x.value, parameters))


def positive_factor(body: ir.Function) -> float | None:
    """The number that an affine site multiplies by, None unless it is positive and all there is."""
    found = affine_coefficients(body)
    if found is None:
        return None
    factor, offset = found
    if factor.size != 1 or np.any(offset) or not float(factor.item()) > 0:
        return None
    return float(factor.item())


def masked_softmax(builder: Builder, node: ir.Node) -> None:
    """actc::MaskedSoftmax -> actc::IntMaskedSoftmax; the mask is made of integers already."""
    x, hidden = builder.codes(node.inputs[0]), node.inputs[1]
    output, name = node.outputs[0], str(node.outputs[0].name)
    axis, shape = node.attributes["axis"].as_int(), dims(output)
    if hidden is None or shape is None:
        raise NoIntegerForm("its shape or its mask is not known")
    array = constant(hidden)
    flags = builder.plain(hidden) if array is None else builder.constant(f"{name}.hidden", array)
    if flags is None:
        raise NoIntegerForm("its mask is not computed from integers alone")
    table = normalization.exponentials(x.parameters, shape[axis])
    result = builder.emit(
        "IntMaskedSoftmax",
        [x.value, flags, builder.constant(f"{name}.exp", table)],
        output,
        ir.DataType.FLOAT,
        name=name,
        attributes={"axis": axis, "empty": node.attributes["empty"].as_int()},
    )
    builder.set_plain(output, result)


def softmax(builder: Builder, node: ir.Node) -> None:
    """Softmax -> actc::IntSoftmax, unless a mask ruins the range of its scores."""
    seen = builder.context.ranges.get(str(node.inputs[0].name)) if node.inputs[0] else None
    if seen is not None and max(-seen.low, seen.high) > _LARGEST_SCORE:
        raise ModelError(
            Diagnostic(
                "ACT0106",
                f"softmax reads scores from {seen.low:g} to {seen.high:g}: a mask that actc "
                "cannot keep apart",
                help="let the mask be computed from an integer or boolean input of zeros and "
                f"ones, or from constants; or {IN_FLOAT}",
            )
        )
    normalization.softmax(builder, node)
