"""A network as `network.onnx` and hls4ml's configuration, for its ONNX converter."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from actc.ir.dialect import DOMAIN
from actc.targets.hls4ml.backends import BACKENDS, reuse_factor
from actc.targets.hls4ml.layers import HlsLayer, HlsNetwork, Integers, integer_type
from actc.targets.hls4ml.options import Options

_LEAST = {"weight": 3, "bias": 2}
"""Bits of a role, at least: of weights with two hls4ml takes -2 for +1."""
_LATENCY = "latency"
_STRATEGIC = frozenset({"ActcDense", "ActcConv2D"})
"""Layers of products that are hls4ml's own."""
LEAST_RESULT = 2
"""Bits of what enters and leaves, and of what hls4ml's layers of products read, at least: to these
data of one bit mean -1 and +1."""


def network_model(network: HlsNetwork) -> onnx.ModelProto:
    """The network in the dialect that :func:`~actc.targets.hls4ml.register` teaches hls4ml.

    Constants are attributes; all shapes are given, with a batch of one.
    """
    nodes = [_node(layer) for layer in network.layers]
    kind = TensorProto.FLOAT  # hls4ml does not look at it: types are in the configuration
    values = [
        helper.make_tensor_value_info(layer.name, kind, [1, *layer.shape])
        for layer in network.layers
    ]
    given = helper.make_tensor_value_info(network.input, kind, [1, *network.shape])
    graph = helper.make_graph(nodes, network.name, [given], [values[-1]], value_info=values[:-1])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="actc")


def _node(layer: HlsLayer) -> onnx.NodeProto:
    attributes: dict[str, Any] = {
        name: numpy_helper.from_array(_small(value), name)
        if isinstance(value, np.ndarray)
        else list(value)
        if isinstance(value, tuple)
        else int(value)
        for name, value in layer.attributes.items()
    }
    return helper.make_node(
        layer.op, list(layer.inputs), [layer.name], name=layer.name, domain=DOMAIN, **attributes
    )


def _small(array: Integers) -> np.ndarray[Any, Any]:
    """The same integers in the smallest type that holds them."""
    for kind in (np.int8, np.int16, np.int32):
        if array.size == 0 or np.array_equal(array, array.astype(kind)):
            return array.astype(kind)
    return array


def configuration(network: HlsNetwork, options: Options) -> dict[str, Any]:
    """The `hls_config` of hls4ml: the type of every tensor, sum and constant."""
    narrow = _only_own_readers(network)
    layers = {network.input: _precision(result=integer_type(network.range, LEAST_RESULT))}
    for layer in network.layers:
        least = 1 if layer.name in narrow else LEAST_RESULT
        types = {role: integer_type(r, _LEAST.get(role, 1)) for role, r in layer.types.items()}
        layers[layer.name] = {
            **_precision(result=integer_type(layer.result, least), **types),
            **_folding(layer, options),
        }
    model = {
        "Precision": integer_type(network.range, LEAST_RESULT),
        "ReuseFactor": options.reuse,
        "Strategy": _LATENCY,
    }
    return {"Model": model, "LayerName": layers}


def _only_own_readers(network: HlsNetwork) -> frozenset[str]:
    """Layers whose results only layers of actc read, also in another shape."""
    found: set[str] = set()
    for layer in reversed(network.layers):
        readers = [other for other in network.layers if layer.name in other.inputs]
        if readers and all(
            other.name in found if other.op == "ActcReshape" else other.op not in _STRATEGIC
            for other in readers
        ):
            found.add(layer.name)
    return frozenset(found)


def _precision(**types: str) -> dict[str, Any]:
    return {"Precision": types}


def _folding(layer: HlsLayer, options: Options) -> Mapping[str, Any]:
    weight = layer.attributes.get("weight")
    if not isinstance(weight, np.ndarray):
        return {}
    taken, made = prod(weight.shape[:-1]), weight.shape[-1]
    # others are actc's, of which hls4ml knows no sizes
    strategy = options.strategy if layer.op in _STRATEGIC else _LATENCY
    resource = strategy != _LATENCY
    asked = options.reuse
    if resource and options.io == "parallel" and layer.op == "ActcConv2D":
        asked = min(asked, taken)  # hls4ml's loops end there
    fixed = resource or BACKENDS[options.backend].fixed
    return {
        "ReuseFactor": reuse_factor(BACKENDS[options.backend], asked, taken, made, fixed=fixed),
        "Strategy": strategy,
    }
