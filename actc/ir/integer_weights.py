"""Weights that are whole numbers already, as in models that FINN streamlined."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

_LAYERS = ("Conv", "Gemm", "MatMul")


def hold_integers(graph: onnx.GraphProto) -> None:
    """Put weights of layers that are all int8 numbers behind DequantizeLinear, with scale 1.

    In place. Sums of such layers are whole numbers, and thresholds behind them are met
    exactly only if the weights stay as they are.
    """
    held = {tensor.name: tensor for tensor in graph.initializer}
    read = [node.input[1] for node in graph.node if node.op_type in _LAYERS]
    users = [name for node in graph.node for name in node.input]
    added: list[onnx.NodeProto] = []
    for name in dict.fromkeys(read):
        array = numpy_helper.to_array(held[name]) if name in held else np.zeros(0)
        whole = array.dtype == np.float32 and array.size and np.array_equal(array, np.rint(array))
        if not whole or np.abs(array + 0.5).max() > 127.5 or users.count(name) != read.count(name):
            continue
        codes, scale = f"{name}_codes", f"{name}_scale"
        graph.initializer.remove(held[name])
        graph.initializer.append(numpy_helper.from_array(array.astype(np.int8), codes))
        graph.initializer.append(numpy_helper.from_array(np.float32(1), scale))
        added.append(helper.make_node("DequantizeLinear", [codes, scale], [name], name=name))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*added, *nodes])
