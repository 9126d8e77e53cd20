"""Arithmetic on the network's own integers and booleans: masks, indices, positions."""

from __future__ import annotations

import onnx_ir as ir

from actc.ir.elementwise import attributes_of
from actc.ir.graph import constant, has_graphs
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
        golden = _golden(builder, value)
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


def _golden(builder: Builder, value: ir.Value | None) -> ir.Value | None:
    if value is None or not _discrete(value):
        return None
    array = constant(value)
    return builder.plain(value) if array is None else builder.constant(str(value.name), array)


def _discrete(value: ir.Value) -> bool:
    dtype = value.dtype
    return dtype is not None and (dtype.is_integer() or dtype == ir.DataType.BOOL)
