"""Rules for the largest of several elements, and for where it is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from actc.ir.graph import attribute_ints
from actc.targets.fpga.functions import argmax, integer_function, maximum, table_stage
from actc.targets.fpga.functions.stages import in_stages
from actc.targets.fpga.hdl import Range, Wire
from actc.targets.fpga.network.builder import (
    Builder,
    Unsupported,
    is_plain_table,
    plain_table,
)
from actc.targets.fpga.network.elements import Element, array_of
from actc.targets.fpga.network.rules_linear import OUTSIDE, reduced, window_index


def max_pool(builder: Builder, node: ir.Node) -> None:
    """MaxPool, WideMaxPool; padding never wins, as no code is below its zeros."""
    x = builder.tensor(node)
    auto = node.attributes["auto_pad"].as_string() if "auto_pad" in node.attributes else "NOTSET"
    if auto not in ("NOTSET", "VALID"):
        raise Unsupported(f"auto_pad={auto}", "write explicit pads")
    if len(node.outputs) > 1:
        raise Unsupported("it gives the places of the largest too")
    rolled = "ceil_mode" in node.attributes and node.attributes["ceil_mode"].as_int() == 1
    pads = _pads(node, x.shape[1:], rolled)
    index = window_index(node, x.shape, pads)
    spatial = len(x.shape) - 1
    positions = index.shape[: 1 + spatial]
    elements = x.elements.reshape(-1)
    found = []
    for window in index.reshape(math.prod(positions), -1):
        inside = [elements[place] for place in window[window != OUTSIDE]]
        found.append(largest(builder, inside))
    builder.set(node.outputs[0], array_of(found, positions))


def _pads(node: ir.Node, extents: Sequence[int], rolled: bool) -> list[int]:
    """Pads, with what `ceil_mode` adds behind: no window starts in the padding there."""
    kernel = attribute_ints(node, "kernel_shape", [])
    spatial = len(kernel)
    pads = attribute_ints(node, "pads", [0] * 2 * spatial)
    strides, dilations = (
        attribute_ints(node, name, [1] * spatial) for name in ("strides", "dilations")
    )
    if not rolled:
        return pads
    for axis, extent in enumerate(extents):
        span = (kernel[axis] - 1) * dilations[axis] + 1
        size = extent + pads[axis] + pads[axis + spatial]
        steps = -(-(size - span) // strides[axis])
        if steps * strides[axis] >= extent + pads[axis]:
            steps -= 1
        pads[axis + spatial] += max(0, steps * strides[axis] + span - size)
    return pads


def reduce_max(builder: Builder, node: ir.Node) -> None:
    """ReduceMax, WideReduceMax over constant axes."""
    x = builder.tensor(node)
    rows, shape = reduced(node, x, builder.constant(node, 1, "the axes").reshape(-1))
    builder.set(node.outputs[0], array_of((largest(builder, list(row)) for row in rows), shape))


def largest(builder: Builder, elements: Sequence[Element]) -> Element:
    """The largest of some elements, at least one.

    What all of them go through is applied behind instead, once, if it keeps the order.
    """
    stages = elements[0].stages
    if len(elements) > 1 and stages and all(element.stages == stages for element in elements):
        hull = Range(
            min(element.wire.range.low for element in elements),
            max(element.wire.range.high for element in elements),
        )
        if np.all(np.diff(in_stages(hull, stages).levels) > 0):
            wire = maximum([element.wire for element in elements])
            function = builder.shared(in_stages(wire.range, stages))
            return builder.pending(wire, function, stages)
    if len(elements) == 1:
        return elements[0]
    return Element(maximum([builder.wire(element) for element in elements]))


def arg_extreme(builder: Builder, node: ir.Node) -> None:
    """ArgMax, ArgMin."""
    x = builder.tensor(node)
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 0
    last = "select_last_index" in node.attributes
    last = last and node.attributes["select_last_index"].as_int() == 1
    rows, shape = reduced(node, x, [axis])
    found = []
    for row in rows:
        wires = [builder.wire(element) for element in row]
        if node.op_type == "ArgMin":
            wires = [~wire for wire in wires]
        found.append(Element(_place(wires, last)))
    builder.set(node.outputs[0], array_of(found, shape))


def _place(wires: list[Wire], last: bool) -> Wire:
    if not last:
        return argmax(wires)
    return (len(wires) - 1) - argmax(wires[::-1])


def softmax(builder: Builder, node: ir.Node) -> None:
    """The numerators of IntSoftmax: table[max(x) - x]."""
    x = builder.settled(builder.tensor(node))
    axis = node.attributes["axis"].as_int() - 1
    if axis < 0:
        raise Unsupported("it works along the batch axis", "keep one sample in one row")
    table = builder.constant(node, 1, "the table").reshape(-1).tolist()
    moved = np.moveaxis(builder.wires(x), axis, -1)

    def build(wires: list[Wire]) -> list[Wire]:
        top = maximum(wires)
        return [_term(top - wire) for wire in wires]

    def _term(distance: Wire) -> Wire:
        inside = distance.narrow(Range(0, max(distance.range.high, 0)), "a maximum")
        function = table_stage(table)(inside.range)
        if is_plain_table(function):
            return plain_table(inside, function)
        return integer_function(inside, function, builder.options.functions)

    reach = Range(min(table), max(table))
    found = [
        Element(term)
        for row in moved.reshape(-1, moved.shape[-1])
        for term in builder.template(("softmax", *table), list(row), build, [reach] * len(row))
    ]
    terms = np.moveaxis(array_of(found, moved.shape), -1, axis)
    builder.set(node.outputs[0], terms)
