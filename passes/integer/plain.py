"""Arithmetic on the network's own integers and booleans: masks, indices, positions."""

from __future__ import annotations

import onnx_ir as ir

from actc.ir.elementwise import attributes_of
from actc.ir.graph import constant, has_graphs, is_op
from actc.passes.integer.builder import Builder


def copy_plain(builder: Builder, node: ir.Node) -> bool:
    """Copy a node that takes and gives integers and booleans alone: it is exact as it stands.

    Returns:
        whether `node` is one; False also where an input has nothing that stands for it.
    """
    if node.domain != "" or has_graphs(node) or not all(map(_discrete, node.outputs)):
        return False
    inputs: list[ir.Value | None] = []
    variable = False
    for value in node.inputs:
        measured = value is not None and is_op(node, "Shape", "Size")
        golden = _of_its_shape(builder, value) if measured else _golden(builder, value)
        if value is not None and golden is None:
            return False
        variable = variable or (value is not None and constant(value) is None)
        inputs.append(golden)
    if not variable:
        return False
    name = str(node.outputs[0].name)
    first, attributes = node.outputs[0], attributes_of(node)
    assert first.dtype is not None
    result = builder.emit(
        node.op_type, inputs, first, first.dtype, name=name, attributes=attributes, domain=""
    )
    copy = result.producer()
    assert copy is not None
    copy.resize_outputs(len(node.outputs))
    for old, new in zip(node.outputs, copy.outputs, strict=True):
        if new is not result:
            new.name = builder.fresh(str(old.name))
            new.type, new.shape = old.type, old.shape
        builder.set_plain(old, new)
    return True


def _of_its_shape(builder: Builder, value: ir.Value | None) -> ir.Value | None:
    """Whatever stands for a value: integers have the shape of what they stand for."""
    assert value is not None
    accumulator = builder.accumulator(value)
    if accumulator is not None:
        return accumulator.value
    return builder.codes(value).value if builder.has_codes(value) else builder.plain(value)


def _golden(builder: Builder, value: ir.Value | None) -> ir.Value | None:
    if value is None or not _discrete(value):
        return None
    array = constant(value)
    return builder.plain(value) if array is None else builder.constant(str(value.name), array)


def _discrete(value: ir.Value) -> bool:
    dtype = value.dtype
    return dtype is not None and (dtype.is_integer() or dtype == ir.DataType.BOOL)
