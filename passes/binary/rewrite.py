"""Writing a plan of binary layers into the float model."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.context import context_of
from actc.ir.dialect import DOMAIN, VERSION
from actc.ir.elementwise import is_elementwise
from actc.ir.formats import annotate
from actc.ir.graph import add_constant, constant, is_op, only_user, remove_dead, unique_name
from actc.numerics.levels import TwoLevels
from actc.numerics.quantization import QuantizationParameters
from actc.numerics.weights import QuantizedWeights
from actc.passes.binary.inputs import BinaryInput
from actc.passes.binary.plan import FittedLayer, Plan
from actc.passes.integer.linear import linear_bias
from actc.passes.linear_layers import LinearLayer, float_layers

Array = np.ndarray[Any, Any]
_FINER = 16
_BITS = 2
"""Of formats with two codes; the narrowest there are."""


def rewrite(model: ir.Model, plan: Plan) -> dict[str, str]:
    """Put steps, weights and biases of `plan` into `model`, in place.

    Steps are comparisons behind a quantizer with a given format, so that golden computes
    them exactly. The integer weights go to ``facts["given"]``.

    Returns:
        name of the tensor that binary layers read -> name of the binary one.
    """
    layers = {layer.name: layer for layer in float_layers(model)}
    values = {str(v.name): v for node in model.graph for v in node.outputs}
    given = context_of(model).facts.setdefault("given", {})
    found = {}
    for name, (tensor, levels) in plan.inputs.items():
        readers = [layers[layer].node for layer in plan.chosen]
        found[name] = _cut(model, values, tensor, levels, readers)
    for name, fitted in plan.layers.items():
        _put(model.graph, layers[name], fitted)
        if fitted.weights is not None:
            exact = _meets_step(layers[name].node.outputs[0])
            given[name] = fitted.weights if exact else _finer(fitted.weights)
    remove_dead(model.graph)
    return found


def level_format(levels: TwoLevels) -> QuantizationParameters:
    """The integers of two levels: codes 0 and 2 about a zero of 1, or 0 and 1."""
    if levels.bipolar:
        return QuantizationParameters(levels.high, 1, 0, 2, _BITS)
    return QuantizationParameters(levels.high, 0, 0, 1, _BITS)


def _meets_step(value: ir.Value) -> bool:
    """Whether only a step reads `value`, perhaps through functions of each element, or nothing."""
    while not value.is_graph_output():
        node = only_user(value)
        if node is None or is_op(node, "FakeQuantize", domain=DOMAIN):
            return node is not None
        variable = [v for v in node.inputs if v is not None and constant(v) is None]
        if len(variable) > 1 or not (is_elementwise(node) or is_op(node, "BatchNormalization")):
            return False
        value = node.outputs[0]
    return True


def _finer(weights: QuantizedWeights) -> QuantizedWeights:
    """The same weights in codes of 16 times the size, so that the bias has 16 times finer steps.

    A sum of few signs has coarse steps. Where it becomes bits the threshold takes in what the
    bias leaves out; elsewhere a bias rounded to them would be off by up to half a step.
    """
    return dataclasses.replace(
        weights, codes=weights.codes * np.int8(_FINER), scales=weights.scales / _FINER
    )


def _cut(
    model: ir.Model,
    values: dict[str, ir.Value],
    tensor: BinaryInput,
    levels: TwoLevels,
    readers: list[ir.Node],
) -> str:
    """The step behind the tensor's origin, for its readers that are binary."""
    graph, origin = model.graph, values[str(tensor.origin.name)]
    name = unique_name(graph, f"{origin.name}.binary")
    parameters = level_format(levels)
    numbers = {
        "cut": tensor.shaped(levels.cuts),
        "distance": np.array(levels.high - levels.low, np.float32),
        "low": np.array(levels.low, np.float32),
        "scale": np.array(parameters.scale, np.float32),
        "first": np.array(parameters.low - parameters.zero_point, np.float32),
        "last": np.array(parameters.high - parameters.zero_point, np.float32),
    }
    c = {key: add_constant(graph, f"{name}_{key}", array) for key, array in numbers.items()}
    moved = tensor.origin is not tensor.value  # then whatever reads the origin moves it there
    uses = [use for use in origin.uses() if moved or use.node in readers]
    passed = ir.node("GreaterOrEqual", [origin, c["cut"]], name=f"{name}/GreaterOrEqual")
    to = {"to": int(ir.DataType.FLOAT)}
    real = ir.node("Cast", [passed.outputs[0]], to, name=f"{name}/Cast")
    scaled = ir.node("Mul", [real.outputs[0], c["distance"]], name=f"{name}/Mul")
    level = ir.node("Add", [scaled.outputs[0], c["low"]], name=f"{name}/Add")
    ends = [c["scale"], c["first"], c["last"]]
    fake = ir.node(
        "FakeQuantize", [level.outputs[0], *ends], domain=DOMAIN, name=f"{name}/FakeQuantize"
    )
    nodes = [passed, real, scaled, level, fake]
    for node in nodes:
        output = node.outputs[0]
        boolean = is_op(node, "GreaterOrEqual")
        output.type = ir.TensorType(ir.DataType.BOOL if boolean else ir.DataType.FLOAT)
        output.shape = origin.shape
        output.name = name if node is fake else f"{node.name}.y"
    producer = origin.producer()
    assert producer is not None
    graph.insert_after(producer, nodes)
    for use in uses:
        use.node.replace_input_with(use.idx, fake.outputs[0])
    annotate(fake.outputs[0], parameters)
    model.opset_imports[DOMAIN] = VERSION
    return name


def _put(graph: ir.Graph, layer: LinearLayer, fitted: FittedLayer) -> None:
    """The weights and the bias of a layer."""
    node, rows = layer.node, fitted.rows.astype(np.float32)
    convolution = is_op(node, "Conv")
    array = rows if convolution else np.ascontiguousarray(rows.T)
    node.replace_input_with(1, add_constant(graph, f"{node.name}.weights", array))
    if not fitted.correction.any():
        return
    bias = (layer.bias.astype(np.float64) + fitted.correction).astype(np.float32)
    value = add_constant(graph, f"{node.name}.bias", bias)
    if convolution:
        if len(node.inputs) < 3:
            node.resize_inputs(3)
        node.replace_input_with(2, value)
        return
    user = only_user(node.outputs[0])
    if user is not None and is_op(user, "Add") and linear_bias(user) is not None:
        position = 1 if user.inputs[0] is node.outputs[0] else 0
        user.replace_input_with(position, value)
        return
    _add_bias(graph, node, value)


def _add_bias(graph: ir.Graph, node: ir.Node, bias: ir.Value) -> None:
    """A bias behind a MatMul that has none; it takes over the name of the output."""
    product = node.outputs[0]
    name, uses = str(product.name), list(product.uses())
    added = ir.node("Add", [product, bias], name=f"{node.name}/bias")
    result = added.outputs[0]
    result.type, result.shape = product.type, product.shape
    graph.insert_after(node, added)
    for use in uses:
        use.node.replace_input_with(use.idx, result)
    for position, value in enumerate(graph.outputs):
        if value is product:
            graph.outputs[position] = result
    product.name = unique_name(graph, f"{name}.unbiased")
    result.name = name
