"""Maximum pooling between a layer and its quantizer, moved behind the quantizer.

The maximum of sums is no code yet. Rounding rises, and so does what lies between in most
models, so that the quantizer of a maximum is the maximum of codes. In channels where the function
between falls (a batch norm with negative gamma) codes are negated, pooled, and negated back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import add_constant, dims, is_op, only_user, unique_name
from actc.numerics.quantization import QuantizationParameters
from actc.passes.quantized.directions import directions, nodes_between
from actc.passes.quantized.spelled_pair import pair_of, spelled_pair

Array = np.ndarray[Any, Any]

_MOST_CODES = 16
"""Codes of a quantizer that may be negated."""


def sink_pools(graph: ir.Graph) -> None:
    """Move every MaxPool of sums behind the one quantizer that reads it."""
    for node in list(graph):
        if is_op(node, "MaxPool") and len(node.outputs) == 1 and not _of_codes(node.inputs[0]):
            _sink(graph, node)


def _of_codes(value: ir.Value | None) -> bool:
    """Whether `value` has codes of its own, or is the model's input."""
    node = None if value is None else value.producer()
    while is_op(node, "MaxPool", "Reshape", "Transpose", "Flatten") and node is not None:
        value = node.inputs[0]
        node = None if value is None else value.producer()
    return node is None or is_op(node, "DequantizeLinear")


def _sink(graph: ir.Graph, pool: ir.Node) -> None:
    source, pooled = pool.inputs[0], pool.outputs[0]
    found = _quantizer_of(pooled)
    shape = dims(pooled)
    if source is None or found is None or shape is None or shape[1] is None:
        return
    quantize, between = found
    pair = pair_of(quantize)
    if pair is None:
        return
    last, parameters = pair
    rises = directions(between, pooled, shape[1]) if between else np.ones(shape[1], np.int64)
    if rises is None:
        return
    low, high = parameters.low - parameters.zero_point, parameters.high - parameters.zero_point
    if np.any(rises < 0) and high - low >= _MOST_CODES:
        return
    _move(pool, between, quantize, last)
    if np.any(rises < 0):
        signs = rises.reshape(1, -1, *([1] * (len(shape) - 2)))
        _negate(graph, pool, quantize, last, parameters, signs.astype(np.float32))


def _quantizer_of(pooled: ir.Value) -> tuple[ir.Node, list[ir.Node]] | None:
    """The quantizer that alone reads what becomes of `pooled`, and the nodes between."""
    seen, value = {pooled}, pooled
    for _ in range(_MOST_CODES * 4):
        if value.is_graph_output() or not value.uses():
            return None
        node: ir.Node = list(value.uses())[-1].node
        if is_op(node, "QuantizeLinear"):
            if value is pooled:
                return (node, []) if only_user(value) is node else None
            between = nodes_between(pooled, value)
            alone = only_user(value) is node
            return None if between is None or not alone else (node, between)
        value = node.outputs[0]
        if value in seen:
            return None
        seen.add(value)
    return None


def _move(pool: ir.Node, between: list[ir.Node], quantize: ir.Node, last: ir.Node) -> None:
    """Let the nodes up to the quantizer read what the pool read, and the pool read the codes."""
    graph, source, pooled = pool.graph, pool.inputs[0], pool.outputs[0]
    assert isinstance(graph, ir.Graph)
    assert source is not None
    for node in [*between, quantize]:
        for position, value in enumerate(node.inputs):
            if value is pooled:
                node.replace_input_with(position, source)
    for node in between:
        node.outputs[0].shape = None  # of before the pooling
    result = last.outputs[0]
    name = result.name
    ir.convenience.replace_all_uses_with(result, pooled, replace_graph_outputs=True)
    pool.replace_input_with(0, result)
    graph.remove(pool)
    graph.insert_after(last, pool)
    pooled.name, result.name = name, unique_name(graph, f"{name}_before_pool")
    pooled.type, result.shape = result.type, None


def _negate(
    graph: ir.Graph,
    pool: ir.Node,
    quantize: ir.Node,
    last: ir.Node,
    parameters: QuantizationParameters,
    signs: Array,
) -> None:
    """Negate in front of the quantizer and behind the pool the channels whose sign is -1."""
    low, high = parameters.low - parameters.zero_point, parameters.high - parameters.zero_point
    most, name = max(-low, high), str(last.name)
    factor = add_constant(graph, f"{name}_direction", signs)
    source, pooled = quantize.inputs[0], pool.outputs[0]
    assert source is not None
    turned = ir.node("Mul", [source, factor], name=f"{name}_turn")
    turned.outputs[0].name = unique_name(graph, f"{name}_turned")
    front = spelled_pair(graph, turned.outputs[0], parameters.scale, -most, most, f"{name}_rising")
    graph.insert_before(last, [turned, *front])
    pool.replace_input_with(0, front[-1].outputs[0])
    back = ir.node("Mul", [pooled, factor], name=f"{name}_turn_back")
    back.outputs[0].name = unique_name(graph, f"{name}_turned_back")
    behind = spelled_pair(graph, back.outputs[0], parameters.scale, low, high, f"{name}_pooled")
    result = behind[-1].outputs[0]
    ir.convenience.replace_all_uses_with(pooled, result, replace_graph_outputs=True)
    back.replace_input_with(0, pooled)
    graph.insert_after(pool, [back, *behind])
    result.name, pooled.name = pooled.name, unique_name(graph, f"{pooled.name}_pooled")
