"""Back from a prepared module: golden.onnx and the float model with trained weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.emission import write_files
from actc.errors import ModelError
from actc.ir.dialect import add_bodies
from actc.ir.graph import add_constant, remove_dead
from actc.passes.recurrent import is_recurrent
from actc.torch.layers import biased, directions
from actc.torch.planning import Plan
from actc.torch.shadow import Shadow

Array = np.ndarray[Any, Any]


def write_golden(
    plan: Plan, layers: Sequence[Shadow], codes: Mapping[str, Array], path: Path
) -> onnx.ModelProto:
    """Golden with other integers.

    Raises:
        ModelError: ACT0377, sums that may leave their accumulators.
        UsageError: ACT0337, the file cannot be written.
    """
    _require_room(plan, layers, codes)
    proto = ir.to_proto(plan.golden)
    for tensor in proto.graph.initializer:
        if tensor.name in codes:
            tensor.CopyFrom(onnx.numpy_helper.from_array(codes[tensor.name], tensor.name))
    write_files({path: proto.SerializeToString(deterministic=True)})
    return proto


def _require_room(plan: Plan, layers: Sequence[Shadow], codes: Mapping[str, Array]) -> None:
    problems = []
    for layer, found in zip(layers, plan.trainable, strict=True):
        over = layer.excess(codes.get(found.bias, found.bias_codes))
        if over:
            problems.append(
                Diagnostic(
                    "ACT0377",
                    f"trained weights let sums exceed their accumulator by {over}",
                    place=Place(plan.name, layer.layer),
                    help="train on with weight decay, or compile the float model anew",
                )
            )
    if problems:
        raise ModelError(problems)


def write_float(plan: Plan, layers: Sequence[Shadow], path: Path) -> onnx.ModelProto:
    """The float graph of a plan with the real numbers that the integers stand for.

    Raises:
        UsageError: ACT0337, the file cannot be written.
    """
    model = ir.from_proto(ir.to_proto(plan.model))
    real = {name: array for layer in layers for name, array in layer.real().items()}
    nodes = {str(node.name): node for node in model.graph}
    for found in plan.trainable:
        node = nodes[found.layer]
        if not is_recurrent(node):
            _set_layer(model.graph, node, real[found.weight], real.get(found.bias))
    for node in [n for n in model.graph if is_recurrent(n)]:
        _set_recurrent(model.graph, node, plan, real)
    remove_dead(model.graph)
    for value in [*model.graph.inputs, *(v for n in model.graph for v in n.outputs)]:
        for key in [key for key in value.metadata_props if key.startswith("actc.")]:
            del value.metadata_props[key]
    add_bodies(model)
    proto = ir.to_proto(model)
    write_files({path: proto.SerializeToString(deterministic=True)})
    return proto


def _set_layer(graph: ir.Graph, node: ir.Node, weight: Array, bias: Array | None) -> None:
    """The weights and the bias of a Conv or a MatMul."""
    _replace(graph, node, 1, weight)
    if bias is None:
        return
    if node.op_type == "Conv":
        if len(node.inputs) < 3:
            node.resize_inputs(3)
        _replace(graph, node, 2, bias.reshape(-1))
        return
    add = biased(node)
    assert add is not None
    place = 0 if add.inputs[1] is node.outputs[0] else 1
    _replace(graph, add, place, bias.reshape(-1))


def _set_recurrent(graph: ir.Graph, node: ir.Node, plan: Plan, real: Mapping[str, Array]) -> None:
    """W, R and B of a recurrent layer, from the constants of golden's operators."""
    names = [name for name, _ in directions(node)]
    found = {item.weight: item for item in plan.trainable if item.layer == node.name}
    weights, states, biases = [], [], []
    for name in names:
        x, h = found[f"{name}.w"], found[f"{name}.r"]
        weights.append(real[x.weight].T)
        states.append(real[h.weight].T)
        state_bias = np.zeros(len(weights[-1]))
        if h.bias:
            state_bias[h.first :] = real[h.bias]
        biases.append(np.concatenate([real[x.bias], state_bias]))
    _replace(graph, node, 1, np.stack(weights))
    _replace(graph, node, 2, np.stack(states))
    if len(node.inputs) < 4:
        node.resize_inputs(4)
    _replace(graph, node, 3, np.stack(biases))


def _replace(graph: ir.Graph, node: ir.Node, place: int, array: Array) -> None:
    """A constant of a node's own in the place of an input."""
    value = node.inputs[place]
    name = str(value.name) if value is not None else f"{node.name}.bias"
    node.replace_input_with(place, add_constant(graph, name, array.astype(np.float32)))
