"""Batch norms with negative factors behind layers of integer weights, where no quantizer follows.

Golden takes such a norm into the layer's scales, which are positive: where gamma is negative the
weights change their sign, and where it is zero they vanish.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import add_constant, constant, is_op, only_user
from actc.numerics.weights import QuantizedWeights
from actc.passes.linear import leads_to_quantizer

Array = np.ndarray[Any, Any]

_MOST = 127


def turn_weights(graph: ir.Graph, given: dict[str, QuantizedWeights]) -> None:
    """Make every gamma behind a layer of ``facts["given"]`` positive."""
    for node in list(graph):
        if not is_op(node, "BatchNormalization") or leads_to_quantizer(node.outputs[0]):
            continue
        layer = _layer(node)
        own = None if layer is None else given.get(str(layer.name))
        arrays = [constant(value) for value in node.inputs[1:5]]
        if layer is None or own is None or any(array is None for array in arrays):
            continue
        gamma, _, mean, _ = (array for array in arrays if array is not None)
        if np.all(gamma > 0) or np.abs(own.codes.astype(int)).max(initial=0) > _MOST:
            continue
        signs = np.sign(gamma)
        _turn(graph, layer, signs)
        shape = (-1, *([1] * (own.codes.ndim - 1)))
        codes = (own.codes * signs.reshape(shape)).astype(np.int8)
        given[str(layer.name)] = dataclasses.replace(own, codes=codes)
        rest = {1: np.where(signs == 0, 1, np.abs(gamma)), 3: mean * signs}
        for position, array in rest.items():
            held = add_constant(graph, f"{node.name}_turned", array.astype(np.float32))
            node.replace_input_with(position, held)


def _layer(norm: ir.Node) -> ir.Node | None:
    """The layer that alone feeds a batch norm, its bias constant."""
    source = norm.inputs[0]
    node = None if source is None else source.producer()
    if node is None or only_user(source) is not norm or not is_op(node, "Conv", "Gemm", "MatMul"):
        return None
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    return node if bias is None or constant(bias) is not None else None


def _turn(graph: ir.Graph, layer: ir.Node, signs: Array) -> None:
    """Multiply the weights of the output channels."""
    weights = constant(layer.inputs[1])
    assert weights is not None
    last = is_op(layer, "MatMul") or not (is_op(layer, "Conv") or _transposed(layer))
    shape = [1] * weights.ndim
    shape[-1 if last else 0] = -1
    turned = (weights * signs.reshape(shape)).astype(np.float32)
    layer.replace_input_with(1, add_constant(graph, f"{layer.name}_turned", turned))
    bias = constant(layer.inputs[2]) if len(layer.inputs) > 2 else None
    if bias is not None:
        moved = (bias * signs).astype(np.float32)
        layer.replace_input_with(2, add_constant(graph, f"{layer.name}_turned_bias", moved))


def _transposed(layer: ir.Node) -> bool:
    return "transB" in layer.attributes and layer.attributes["transB"].as_int() != 0
