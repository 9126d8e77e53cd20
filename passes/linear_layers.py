"""The linear layers of a model as matrices, with what they read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.calibrate.moments import Reading, Window
from actc.ir.formats import narrow_parameters_of, parameters_of
from actc.ir.graph import attribute_ints, constant, is_op, only_user
from actc.passes.integer.linear import linear_bias

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, slots=True)
class LinearLayer:
    """A Conv, or a MatMul by a constant matrix, as one row of weights per output channel.

    Attributes:
        node: the operator.
        rows: float32 [O, ...]: the weights of a Conv as they are, a matrix transposed.
        bias: float32 [O]; zeros when there is none.
        x_scale: scale of its integer input.
        reading: the vectors that it reads.
    """

    node: ir.Node
    rows: Array
    bias: Array
    x_scale: float
    reading: Reading

    @property
    def name(self) -> str:
        """The node's name."""
        return str(self.node.name)

    @property
    def window(self) -> int:
        """Consecutive weights of a row that one input (channel) meets."""
        found = self.reading.window
        return 1 if found is None else math.prod(found.kernel)


def linear_layers(model: ir.Model) -> list[LinearLayer]:
    """The layers of the main graph whose input has an integer format, in its order."""
    found = []
    for node in model.graph:
        if is_op(node, "Conv"):
            found.append(_convolution(node))
        elif is_op(node, "MatMul"):
            found.append(_product(node))
    return [layer for layer in found if layer is not None]


def first_and_last(model: ir.Model, layers: list[LinearLayer]) -> list[str]:
    """Names of the layers with no layer before them, or none behind them.

    A lookup in a constant table (Gather) is a layer too, as it is a product with
    one-hot vectors; behind one no other is the first.
    """
    nodes = {layer.node for layer in layers}
    lookups = {n for n in model.graph if is_op(n, "Gather") and constant(n.inputs[0]) is not None}
    behind: set[ir.Value | None] = set()
    first = []
    for node in model.graph:
        led_to = any(value in behind for value in node.inputs)
        if node in nodes and not led_to:
            first.append(str(node.name))
        if led_to or node in nodes or node in lookups:
            behind.update(node.outputs)
    before: set[ir.Value | None] = set()
    last = []
    for node in reversed(model.graph):
        leads_to = any(value in before for value in node.outputs)
        if node in nodes and not leads_to:
            last.append(str(node.name))
        if leads_to or node in nodes:
            before.update(node.inputs)
    return list(dict.fromkeys(first + last[::-1]))


def depthwise(layers: list[LinearLayer]) -> list[str]:
    """Names of the convolutions of each channel by itself."""
    found = []
    for layer in layers:
        weights = constant(layer.node.inputs[1])
        group = layer.node.attributes.get("group")
        per_channel = weights is not None and weights.shape[1] == 1
        if per_channel and group is not None and group.as_int() > 1:
            found.append(layer.name)
    return found


def _x_scale(value: ir.Value | None) -> float | None:
    if value is None:
        return None
    parameters = narrow_parameters_of(value) or parameters_of(value)
    return None if parameters is None else parameters.scale


def _convolution(node: ir.Node) -> LinearLayer | None:
    weights, x_scale = constant(node.inputs[1]), _x_scale(node.inputs[0])
    given = node.inputs[2] if len(node.inputs) > 2 else None
    bias = constant(given)
    if weights is None or x_scale is None or "auto_pad" in node.attributes:
        return None
    if given is not None and bias is None:
        return None
    spatial = weights.ndim - 2
    window = Window(
        tuple(weights.shape[2:]),
        tuple(attribute_ints(node, "strides", [1] * spatial)),
        tuple(attribute_ints(node, "pads", [0] * (2 * spatial))),
        tuple(attribute_ints(node, "dilations", [1] * spatial)),
    )
    groups = node.attributes["group"].as_int() if "group" in node.attributes else 1
    assert node.inputs[0] is not None
    reading = Reading(str(node.inputs[0].name), weights[0].size, groups, window)
    offset = np.zeros(len(weights), np.float32) if bias is None else bias
    return LinearLayer(node, weights, offset, x_scale, reading)


def _product(node: ir.Node) -> LinearLayer | None:
    matrix, x_scale = constant(node.inputs[1]), _x_scale(node.inputs[0])
    if matrix is None or matrix.ndim != 2 or x_scale is None:
        return None
    user = only_user(node.outputs[0])
    found = linear_bias(user) if is_op(user, "Add") and user is not None else None
    bias = np.zeros(matrix.shape[1], np.float32) if found is None else found[1]
    assert node.inputs[0] is not None
    reading = Reading(str(node.inputs[0].name), len(matrix))
    return LinearLayer(node, np.ascontiguousarray(matrix.T), bias, x_scale, reading)
