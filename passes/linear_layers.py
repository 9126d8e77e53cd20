"""The linear layers of a model as matrices, with what they read.

An LSTM, GRU or RNN counts as two: W, which multiplies its input, and R, which multiplies
its states. They are called after the node, with ".W" and ".R" behind its name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from actc.calibrate.moments import Reading, States, Window
from actc.errors import ModelError
from actc.ir.formats import narrow_parameters_of, parameters_of
from actc.ir.graph import attribute_ints, constant, is_op, only_user
from actc.passes.integer.gates import STATE_BITS
from actc.passes.integer.linear import linear_bias
from actc.passes.recurrent import GATES, PARTS, Layer, is_recurrent, layer_of

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, slots=True)
class LinearLayer:
    """Constant weights that multiply a tensor, as one row per output channel.

    Attributes:
        node: the operator.
        rows: float32 [O, ...]: the weights of a Conv as they are, a matrix transposed,
            of a recurrent layer those of all directions.
        bias: float [O]; zeros when there is none.
        x_scale: scale of its integer input.
        reading: the vectors that it reads; None where no value of the model holds them.
        part: ".W" or ".R" of a recurrent layer.
    """

    node: ir.Node
    rows: Array
    bias: Array
    x_scale: float
    reading: Reading | None
    part: str = ""

    @property
    def name(self) -> str:
        """The node's name and the part."""
        return f"{self.node.name}{self.part}"

    @property
    def size(self) -> int:
        """Weights per output channel."""
        return int(self.rows[0].size)

    @property
    def window(self) -> int:
        """Consecutive weights of a row that one input (channel) meets."""
        return int(math.prod(self.rows.shape[2:]))


def linear_layers(model: ir.Model) -> list[LinearLayer]:
    """The layers of the main graph whose input has an integer format, in its order."""
    found = []
    for node in model.graph:
        if is_op(node, "Conv"):
            found.append(_convolution(node, _x_scale(node.inputs[0])))
        elif is_op(node, "MatMul"):
            found.append(_product(node, _x_scale(node.inputs[0])))
        elif is_recurrent(node):
            found += _recurrent(node)
    return [layer for layer in found if layer is not None]


def float_layers(model: ir.Model) -> list[LinearLayer]:
    """The Conv and MatMul with constant weights, before their inputs have formats.

    Their `x_scale` is 1.
    """
    found = []
    for node in model.graph:
        if is_op(node, "Conv"):
            found.append(_convolution(node, 1.0))
        elif is_op(node, "MatMul"):
            found.append(_product(node, 1.0))
    return [layer for layer in found if layer is not None]


def layer_names(node: ir.Node) -> list[str]:
    """The names of a node's layers, as far as its weights are constant."""
    if is_recurrent(node):
        given = zip(node.inputs[1:3], PARTS, strict=True)
        return [f"{node.name}{part}" for value, part in given if constant(value) is not None]
    linear = is_op(node, "Conv", "MatMul") and constant(node.inputs[1]) is not None
    return [str(node.name)] if linear else []


def name_states(model: onnx.ModelProto) -> None:
    """Let every recurrent layer of `model` give its states, so that they can be read."""
    for node in model.graph.node:
        if node.domain == "" and node.op_type in GATES and not node.output[0]:
            node.output[0] = _states_name(node.name)


def first_and_last(model: ir.Model, layers: list[LinearLayer]) -> list[str]:
    """Names of the layers with no layer before them, or none behind them."""
    return list(dict.fromkeys(first_layers(model, layers) + last_layers(model, layers)))


def first_layers(model: ir.Model, layers: list[LinearLayer]) -> list[str]:
    """Names of the layers with no layer before them.

    A lookup in a constant table (Gather) is a layer too, as it is a product with
    one-hot vectors; behind one no other is the first.
    """
    names = _by_node(layers)
    lookups = {n for n in model.graph if is_op(n, "Gather") and constant(n.inputs[0]) is not None}
    behind: set[ir.Value | None] = set()
    first: list[str] = []
    for node in model.graph:
        led_to = any(value in behind for value in node.inputs)
        if not led_to:
            first += names.get(node, [])
        if led_to or node in names or node in lookups:
            behind.update(node.outputs)
    return first


def last_layers(model: ir.Model, layers: list[LinearLayer]) -> list[str]:
    """Names of the layers with no layer behind them."""
    names = _by_node(layers)
    before: set[ir.Value | None] = set()
    last: list[str] = []
    for node in reversed(model.graph):
        leads_to = any(value in before for value in node.outputs)
        if not leads_to:
            last += names.get(node, [])[::-1]
        if leads_to or node in names:
            before.update(node.inputs)
    return last[::-1]


def _by_node(layers: list[LinearLayer]) -> dict[ir.Node, list[str]]:
    names: dict[ir.Node, list[str]] = {}
    for layer in layers:
        names.setdefault(layer.node, []).append(layer.name)
    return names


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


def _convolution(node: ir.Node, x_scale: float | None) -> LinearLayer | None:
    weights = constant(node.inputs[1])
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


def _product(node: ir.Node, x_scale: float | None) -> LinearLayer | None:
    matrix = constant(node.inputs[1])
    if matrix is None or matrix.ndim != 2 or x_scale is None:
        return None
    user = only_user(node.outputs[0])
    found = linear_bias(user) if is_op(user, "Add") and user is not None else None
    bias = np.zeros(matrix.shape[1], np.float32) if found is None else found[1]
    assert node.inputs[0] is not None
    reading = Reading(str(node.inputs[0].name), len(matrix))
    return LinearLayer(node, np.ascontiguousarray(matrix.T), bias, x_scale, reading)


def _recurrent(node: ir.Node) -> list[LinearLayer]:
    """W and R; none where the layer has no integer form, which `integerize` says."""
    x_scale = _x_scale(node.inputs[0])
    try:
        layer = layer_of(node)
    except ModelError:
        return []
    if x_scale is None:
        return []
    assert node.inputs[0] is not None
    parts = layer.directions
    w, r = (np.concatenate([p.w for p in parts]), np.concatenate([p.r for p in parts]))
    x_bias, h_bias = (np.concatenate(bias) for bias in zip(*map(layer.biases, parts), strict=True))
    reading = Reading(str(node.inputs[0].name), w.shape[1], batch_axis=1)
    return [
        LinearLayer(node, w.astype(np.float32), x_bias, x_scale, reading, PARTS[0]),
        LinearLayer(
            node, r.astype(np.float32), h_bias, 2.0**-STATE_BITS, _states(node, layer), PARTS[1]
        ),
    ]


def _states(node: ir.Node, layer: Layer) -> Reading | None:
    """The states that R reads.

    None for a GRU whose reset gate multiplies the state before the matrix: the products
    are inside of the operator.
    """
    if layer.kind == "GRU" and not layer.reset_after:
        return None
    initial = node.inputs[5] if len(node.inputs) > 5 else None
    given = "" if initial is None or constant(initial) is not None else str(initial.name)
    states = States(tuple(direction.reverse for direction in layer.directions), given)
    name = str(node.outputs[0].name or _states_name(str(node.name)))
    return Reading(name, layer.hidden, len(layer.directions), states=states, batch_axis=2)


def _states_name(node: str) -> str:
    return f"{node}.states"
