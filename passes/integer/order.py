"""The largest values and where they are."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from actc.ir.graph import constant
from actc.numerics.quantization import QuantizationParameters
from actc.passes.integer.builder import Builder, Codes, NoIntegerForm, code_type

_COMPARED_BITS = 16
"""Scores are compared in so many bits, whatever the others have: rounding makes ties."""


def arg_max(builder: Builder, node: ir.Node) -> None:
    """ArgMax or ArgMin of codes."""
    output, name = node.outputs[0], str(node.outputs[0].name)
    attributes = {k: a.value for k, a in node.attributes.items() if isinstance(a, ir.Attr)}
    scores = _integers(builder, _scores(builder, node.inputs[0]), name)
    where = builder.emit(
        node.op_type,
        [scores],
        output,
        ir.DataType.INT64,
        name=name,
        attributes=attributes,
        domain="",
    )
    builder.set_plain(output, where)


def top_k(builder: Builder, node: ir.Node) -> None:
    """TopK of codes: the values stay codes."""
    largest, where = node.outputs
    name, count = str(largest.name or where.name), constant(node.inputs[1])
    if count is None:
        raise NoIntegerForm("its number of values is not constant")
    attributes = {k: a.value for k, a in node.attributes.items() if isinstance(a, ir.Attr)}
    x = _scores(builder, node.inputs[0])
    inputs = [_integers(builder, x, name), builder.constant(f"{name}.k", count)]
    found = builder.emit(
        "TopK", inputs, largest, ir.DataType.INT32, name=name, attributes=attributes, domain=""
    )
    golden = found.producer()
    assert golden is not None
    golden.resize_outputs(2)
    positions = golden.outputs[1]
    positions.name = builder.fresh(f"{name}.where")
    positions.type, positions.shape = ir.TensorType(ir.DataType.INT64), where.shape
    kind = code_type(x.parameters)
    codes = _cast(builder, found, largest, kind, name)
    builder.set_codes(largest, Codes(codes, x.parameters))
    builder.set_plain(where, positions)


def _scores(builder: Builder, value: ir.Value | None) -> Codes:
    """The codes of a value; where sums stand for it, finer ones than its format has."""
    accumulator = None if value is None else builder.accumulator(value)
    if value is None or accumulator is None:
        return builder.codes(value)
    p = builder.formats(value)
    ends = p.scale * (p.low - p.zero_point), p.scale * (p.high - p.zero_point)
    fine = QuantizationParameters.from_range(*ends, bits=_COMPARED_BITS)
    return Codes(builder.requantize(value, accumulator, fine), fine)


def _integers(builder: Builder, x: Codes, name: str) -> ir.Value:
    """Codes as int32, which every runtime can compare."""
    return _cast(builder, x.value, x.value, ir.DataType.INT32, name)


def _cast(builder: Builder, x: ir.Value, like: ir.Value, dtype: ir.DataType, name: str) -> ir.Value:
    to: dict[str, Any] = {"to": int(dtype)}
    return builder.emit("Cast", [x], like, dtype, name=name, attributes=to, domain="")
