"""Operators that move codes without changing them, and row lookups."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant
from actc.numerics.quantization import QuantizationParameters
from actc.passes.embed import row_lookup
from actc.passes.integer.builder import Builder, Codes, MissingInput, NoIntegerForm, code_type


def move(builder: Builder, node: ir.Node) -> None:
    """Reshape, Transpose, Slice...: the same operator on codes."""
    if len(node.outputs) != 1:
        _split(builder, node)
        return
    x, output = builder.codes(node.inputs[0]), node.outputs[0]
    extra = [_copy_constant(builder, node, value) for value in node.inputs[1:]]
    attributes = {k: a.value for k, a in node.attributes.items() if isinstance(a, ir.Attr)}
    result = builder.emit(
        node.op_type,
        [x.value, *extra],
        output,
        code_type(x.parameters),
        name=str(output.name),
        attributes=attributes,
        domain="",
    )
    builder.set_codes(output, Codes(result, x.parameters))


def _copy_constant(builder: Builder, node: ir.Node, value: ir.Value | None) -> ir.Value | None:
    if value is None:
        return None
    array = constant(value)
    if array is None:
        raise MissingInput(value, "is not a constant")
    return builder.constant(str(value.name), array)


def _split(builder: Builder, node: ir.Node) -> None:
    x = builder.codes(node.inputs[0])
    extra = [_copy_constant(builder, node, value) for value in node.inputs[1:]]
    attributes = {k: a.value for k, a in node.attributes.items() if isinstance(a, ir.Attr)}
    name = str(node.outputs[0].name)
    first = builder.emit(
        node.op_type,
        [x.value, *extra],
        node.outputs[0],
        code_type(x.parameters),
        name=name,
        attributes=attributes,
        domain="",
    )
    golden = first.producer()
    assert golden is not None
    golden.resize_outputs(len(node.outputs))
    for old, new in zip(node.outputs, golden.outputs, strict=True):
        if new is not first:
            new.name = builder.fresh(f"{old.name}.q")
            new.type, new.shape = ir.TensorType(code_type(x.parameters)), old.shape
        builder.set_codes(old, Codes(new, x.parameters))


def concat(builder: Builder, node: ir.Node) -> None:
    """Concat of codes; an operand of another format goes through a table first."""
    output, name = node.outputs[0], str(node.outputs[0].name)
    parameters = builder.formats(output)
    parts = []
    for value in node.inputs:
        is_constant = value is not None and constant(value) is not None
        x = (
            builder.constant_codes(value, parameters.bits)
            if is_constant and value is not None
            else builder.codes(value)
        )
        parts.append(rescale(builder, x, parameters, name))
    result = builder.emit(
        "Concat",
        parts,
        output,
        code_type(parameters),
        name=name,
        attributes={"axis": node.attributes["axis"].as_int()},
        domain="",
    )
    builder.set_codes(output, Codes(result, parameters))


def rescale(builder: Builder, x: Codes, wanted: QuantizationParameters, name: str) -> ir.Value:
    """The codes of `x` in another format."""
    given = x.parameters
    if (given.scale, given.zero_point, given.bits) == (
        wanted.scale,
        wanted.zero_point,
        wanted.bits,
    ):
        return x.value
    return builder.rescaled(x, wanted, name)


def gather(builder: Builder, node: ir.Node) -> None:
    """Rows of a constant matrix -> actc::IntEmbed.

    An index without a row gives zeros, where ONNX's Gather fails; negative ones, which
    count from the end, are looked up by Gather itself where the data has any.
    """
    lookup = row_lookup(node.outputs[0])
    if lookup is None:
        raise NoIntegerForm("it does not look up rows of a constant matrix")
    rows, output, name = constant(node.inputs[0]), node.outputs[0], str(node.outputs[0].name)
    assert rows is not None
    parameters = builder.formats(output)
    one_hot = _one_hot_source(node)
    source = node.inputs[1] if one_hot is None else one_hot
    assert source is not None
    golden = builder.plain(source)
    if golden is None:
        raise MissingInput(source, "is computed by operators without integer form")
    if one_hot is None and _has_negative(builder, source):
        table = builder.constant(f"{name}.rows", parameters.quantize(rows))
        result = builder.emit(
            "Gather", [table, golden], output, code_type(parameters), name=name, domain=""
        )
    else:
        if one_hot is None:
            rows = np.concatenate([rows, np.zeros_like(rows[:1])])
        table = builder.constant(f"{name}.rows", parameters.quantize(rows))
        index = _as_int32(builder, golden, source, name)
        result = builder.emit("IntEmbed", [index, table], output, code_type(parameters), name=name)
    builder.set_codes(output, Codes(result, parameters))


def _has_negative(builder: Builder, source: ir.Value) -> bool:
    """Whether an index of the calibration data is negative (or its data is not known)."""
    dataset = builder.context.dataset
    array = None if dataset is None else dataset.inputs.get(str(source.name))
    return array is None or bool(array.min(initial=0) < 0)


def _as_int32(builder: Builder, golden: ir.Value, source: ir.Value, name: str) -> ir.Value:
    if source.dtype == ir.DataType.INT32:
        return golden
    to = {"to": int(ir.DataType.INT32)}
    return builder.emit(
        "Cast",
        [golden],
        source,
        ir.DataType.INT32,
        name=f"{name}.index",
        attributes=to,
        domain="",
    )


def _one_hot_source(node: ir.Node) -> ir.Value | None:
    """The index before `normalize` sent unknown codes to the last row."""
    if "actc.embedding" not in node.metadata_props or node.inputs[1] is None:
        return None
    where = node.inputs[1].producer()
    return where.inputs[1] if where is not None and where.op_type == "Where" else None


def index_step(builder: Builder, node: ir.Node) -> None:
    """Comparisons and choices of a one-hot index: part of actc::IntEmbed."""
    users = [use.node for output in node.outputs for use in output.uses()]
    inside = ("GreaterOrEqual", "Less", "And", "Where")
    good = all(u.op_type in inside or "actc.embedding" in u.metadata_props for u in users)
    if not good or node.outputs[0].dtype == ir.DataType.FLOAT:
        raise NoIntegerForm("it joins tensors of different origin")
