"""The letter networks as ONNX with quantizers, which `actc compile` takes as they are.

Everything is a multiple of a power of two small enough for float32, so that onnxruntime,
the trained network and golden.onnx give the same numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from kan import FewBitEdges, Grid
from onnx import TensorProto, helper, numpy_helper
from powers import FewBitRelu, PowerLinear
from torch import nn

Array = npt.NDArray[Any]
INPUT, OUTPUT = "image", "logits"
OPSET, IR_VERSION = 18, 9


class Graph:
    """Nodes and constants of a model that is being written."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: Array) -> str:
        """Add an initializer."""
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: int) -> str:
        """Add a node, named by its output."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def quantized(self, x: str, name: str, step: float, low: int, high: int) -> str:
        """`x`, rounded to step * low .. step * high."""
        integer = np.int8 if low < 0 else np.uint8
        scale = self.constant(f"{name}.step", np.array(step, np.float32))
        zero = self.constant(f"{name}.zero", np.array(0, integer))
        codes = self.node("QuantizeLinear", [x, scale, zero], f"{name}.codes")
        ends = (("low", low), ("high", high))
        limits = [self.constant(f"{name}.{end}", np.array(at, integer)) for end, at in ends]
        clipped = self.node("Clip", [codes, *limits], f"{name}.clipped")
        return self.node("DequantizeLinear", [clipped, scale, zero], name)

    def model(self, inputs: int, outputs: int) -> onnx.ModelProto:
        """The finished model, from float32 [N, inputs] to [N, outputs]."""
        ends = ((INPUT, inputs), (OUTPUT, outputs))
        given, found = (
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", count])
            for name, count in ends
        )
        graph = helper.make_graph(self.nodes, "letter", [given], [found], self.constants)
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return model


def on_grid(graph: Graph, x: str, name: str, grid: Grid) -> str:
    """`x` on a grid whose numbers are multiples of its step."""
    low = round(grid.low / grid.step)
    return graph.quantized(x, name, grid.step, low, low + grid.count - 1)


def kan_model(layers: nn.Sequential) -> onnx.ModelProto:
    """A network of :class:`FewBitEdges`."""
    graph, x = Graph(), INPUT
    edges = [layer for layer in layers if isinstance(layer, FewBitEdges)]
    for number, layer in enumerate(edges):
        x = on_grid(graph, x, f"nodes{number}", layer.grid)
        x = _edges(graph, x, f"edges{number}", layer, OUTPUT if layer is edges[-1] else "")
    return graph.model(edges[0].knots.shape[1], edges[-1].knots.shape[2])


def _edges(graph: Graph, x: str, name: str, layer: FewBitEdges, output: str) -> str:
    """Ramps that add up to the functions of all edges, rounded, and their sums."""
    table = layer.table().detach().numpy().astype(np.float64)
    slopes = np.diff(table, axis=0) / layer.grid.step
    turns = np.concatenate([slopes[:1], np.diff(slopes, axis=0)])
    axis = graph.constant(f"{name}.last", np.array([-1]))
    wide = graph.node("Unsqueeze", [x, axis], f"{name}.wide")
    y = graph.constant(f"{name}.start", table[0].astype(np.float32))
    for number, turn in enumerate(turns.astype(np.float32)):
        place = np.array(layer.grid.low + number * layer.grid.step, np.float32)
        past = graph.node(
            "Sub", [wide, graph.constant(f"{name}.place{number}", place)], f"{name}.past{number}"
        )
        ramp = graph.node("Relu", [past], f"{name}.ramp{number}")
        by = graph.constant(f"{name}.turn{number}", turn)
        y = graph.node("Add", [y, graph.node("Mul", [ramp, by], f"{name}.by{number}")],
                       f"{name}.until{number}")  # fmt: skip
    y = graph.quantized(y, f"{name}.rounded", layer.step, -128, 127)
    axes = graph.constant(f"{name}.inputs", np.array([1]))
    sums = graph.node("ReduceSum", [y, axes], output or f"{name}.sums", keepdims=0)
    if not layer.shift:
        return sums
    shift = graph.constant(f"{name}.shift", np.array(layer.shift, np.float32))
    return graph.node("Add", [sums, shift], f"{name}.shifted")


def mlp_model(layers: nn.Sequential, grid: Grid) -> onnx.ModelProto:
    """A network of :class:`PowerLinear` and :class:`FewBitRelu` of inputs on `grid`."""
    graph = Graph()
    x = on_grid(graph, INPUT, "input", grid)
    linear = [layer for layer in layers if isinstance(layer, PowerLinear)]
    for number, layer in enumerate(layers):
        if isinstance(layer, FewBitRelu):
            x = graph.node("Relu", [x], f"relu{number}")
            x = graph.quantized(x, f"nodes{number}", layer.step, 0, 2**layer.bits - 1)
        elif isinstance(layer, PowerLinear):
            x = _linear(graph, x, f"layer{number}", layer, OUTPUT if layer is linear[-1] else "")
    return graph.model(linear[0].in_features, linear[-1].out_features)


def _linear(graph: Graph, x: str, name: str, layer: PowerLinear, output: str) -> str:
    """Gemm of codes of the weights, with a scale per row, and the bias."""
    weight, bias = (found.detach().numpy() for found in layer.rounded())
    scale = layer.powers()[1].detach().numpy().reshape(-1)
    codes = graph.constant(f"{name}.codes", np.rint(weight / scale[:, None]).astype(np.int8))
    scales = graph.constant(f"{name}.scales", scale)
    zeros = graph.constant(f"{name}.zeros", np.zeros(len(scale), np.int8))
    weights = graph.node("DequantizeLinear", [codes, scales, zeros], f"{name}.weights", axis=0)
    biases = graph.constant(f"{name}.bias", bias)
    # Apart: onnxruntime rounds the bias of a quantized Gemm to whole steps of the sum.
    products = graph.node("Gemm", [x, weights], f"{name}.products", transB=1)
    return graph.node("Add", [products, biases], output or f"{name}.sums")
