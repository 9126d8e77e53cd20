"""What stands for a layer whose weights have become integers, in float arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from actc.calibrate.cascade import Substitute
from actc.numerics.weights import QuantizedWeights
from actc.passes.linear_layers import LinearLayer
from actc.passes.recurrent import PARTS, is_recurrent

Array = np.ndarray[Any, Any]


def substitute(
    node: onnx.NodeProto,
    layers: Sequence[LinearLayer],
    chosen: Mapping[str, QuantizedWeights],
) -> Substitute:
    """The node with the weights that the integers stand for, and a corrected bias.

    Args:
        node: as the model has it.
        layers: the one layer that it is, or the parts of a recurrent one.
        chosen: integer weights by the name of the layer.
    """
    new = onnx.NodeProto()
    new.CopyFrom(node)
    if is_recurrent(layers[0].node):
        return _recurrent(new, layers, chosen)
    (layer,) = layers
    weights = chosen[layer.name]
    return with_weights(node, weights.real(), weights.correction)


def with_weights(node: onnx.NodeProto, rows: Array, correction: Array) -> Substitute:
    """A Conv or MatMul with other weights, and something added to its bias.

    Args:
        node: as the model has it.
        rows: [O, ...], output channels first.
        correction: [O].
    """
    new = onnx.NodeProto()
    new.CopyFrom(node)
    real = rows.astype(np.float32)
    if node.op_type == "MatMul":
        real = np.ascontiguousarray(real.T)
    new.input[1] = f"{node.name}.weights"
    constants = {new.input[1]: real}
    if not correction.any():
        return Substitute([new], constants)
    shape = (-1,) if node.op_type == "MatMul" else (-1, *([1] * (real.ndim - 2)))
    corrected, added = f"{node.output[0]}.uncorrected", f"{node.name}.correction"
    constants[added] = correction.astype(np.float32).reshape(shape)
    addition = onnx.helper.make_node("Add", [corrected, added], [node.output[0]])
    new.output[0] = corrected
    return Substitute([new, addition], constants)


def _recurrent(
    node: onnx.NodeProto,
    layers: Sequence[LinearLayer],
    chosen: Mapping[str, QuantizedWeights],
) -> Substitute:
    """W and R with their biases: the inputs 1 to 3, [D, G*H, ...]."""
    directions = 2 if _text(node, "direction") == "bidirectional" else 1
    parts = {layer.part: layer for layer in layers}
    constants, biases = {}, []
    for position, part in enumerate(PARTS, start=1):
        layer = parts[part]
        weights = chosen[layer.name]
        node.input[position] = f"{layer.name}.weights"
        shape = (directions, -1, layer.rows.shape[-1])
        constants[node.input[position]] = weights.real().astype(np.float32).reshape(shape)
        biases.append((layer.bias + weights.correction).reshape(directions, -1))
    while len(node.input) < 4:
        node.input.append("")
    node.input[3] = f"{node.name}.biases"
    constants[node.input[3]] = np.concatenate(biases, axis=1).astype(np.float32)
    return Substitute([node], constants)


def _text(node: onnx.NodeProto, name: str) -> str:
    return next((a.s.decode() for a in node.attribute if a.name == name), "")
