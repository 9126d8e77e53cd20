"""Signs of an ONNX model as QONNX has them, and weights of one byte.

(Pappalardo et al., "QONNX: Representing Arbitrary-Precision Quantized Neural Networks", 2022.)
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Array = np.ndarray[Any, Any]

DOMAIN = "qonnx.custom_op.general"
_PRODUCTS = ("Conv", "Gemm", "MatMul")


class Weights(str, Enum):
    """How a file holds binary weights.

    Attributes:
        FLOAT: as float32.
        INT8: as int8 behind DequantizeLinear with scale 1.
    """

    FLOAT = "float"
    INT8 = "int8"


def bipolar(model: onnx.ModelProto) -> None:
    """Put BipolarQuant in the place of Where(x >= 0, 1, -1), and behind binary weights.

    Args:
        model: changed in place.
    """
    graph = model.graph
    constants = _constants(graph)
    compared = {
        node.output[0]: node.input[0]
        for node in graph.node
        if node.op_type == "GreaterOrEqual" and _all(constants.get(node.input[1]), 0)
    }
    unit = _add(graph, "sign.scale", np.float32(1))
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        source = compared.get(node.input[0]) if node.op_type == "Where" else None
        if (
            source is not None
            and _all(constants.get(node.input[1]), 1)
            and _all(constants.get(node.input[2]), -1)
        ):
            nodes.append(_bipolar(source, unit, node.output[0], node.name))
            continue
        nodes.extend(_weights(graph, node, unit))
        nodes.append(node)
    _set(graph, nodes)
    model.opset_import.append(helper.make_opsetid(DOMAIN, 1))


def one_byte(model: onnx.ModelProto) -> None:
    """Hold binary weights as int8 behind DequantizeLinear: a quarter of the size.

    Args:
        model: changed in place.
    """
    graph = model.graph
    unit = _add(graph, "weight.scale", np.float32(1))
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        for place, tensor in _binary(graph, node):
            name = tensor.name
            tensor.CopyFrom(
                numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.int8), name)
            )
            node.input[place] = f"{name}.real"
            nodes.append(
                helper.make_node(
                    "DequantizeLinear", [name, unit], [f"{name}.real"], name=f"{name}.dequantize"
                )
            )
        nodes.append(node)
    _set(graph, nodes)


def _weights(graph: onnx.GraphProto, node: onnx.NodeProto, unit: str) -> Iterator[onnx.NodeProto]:
    """A BipolarQuant for the weights of a product, which reads it from then on."""
    for place, tensor in _binary(graph, node):
        node.input[place] = f"{tensor.name}.sign"
        yield _bipolar(tensor.name, unit, node.input[place], f"{tensor.name}.bipolar")


def _binary(graph: onnx.GraphProto, node: onnx.NodeProto) -> Iterator[tuple[int, onnx.TensorProto]]:
    """The weights of a product that are all +1 or -1: their place and the float initializer."""
    if node.op_type not in _PRODUCTS or node.domain not in ("", "ai.onnx"):
        return
    for tensor in graph.initializer:
        if tensor.name == node.input[1] and tensor.data_type == onnx.TensorProto.FLOAT:
            array = numpy_helper.to_array(tensor)
            if array.size and bool((np.abs(array) == 1).all()):
                yield 1, tensor


def _bipolar(source: str, unit: str, result: str, name: str) -> onnx.NodeProto:
    return helper.make_node("BipolarQuant", [source, unit], [result], name=name, domain=DOMAIN)


def _constants(graph: onnx.GraphProto) -> dict[str, Array]:
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def _all(array: Array | None, number: float) -> bool:
    return array is not None and array.size == 1 and float(array.reshape(-1)[0]) == number


def _add(graph: onnx.GraphProto, name: str, array: Any) -> str:
    taken = {tensor.name for tensor in graph.initializer} | {
        output for node in graph.node for output in node.output
    }
    while name in taken:
        name += "_"
    graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    return name


def _set(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """Take these nodes, less those that nothing reads, and only constants that are read."""
    outputs = {value.name for value in graph.output}
    while True:
        read = outputs | {name for node in nodes for name in node.input}
        kept = [node for node in nodes if read & set(node.output)]
        if len(kept) == len(nodes):
            break
        nodes = kept
    nodes = [_copy(node) for node in nodes]
    tensors = [_copy(tensor) for tensor in graph.initializer if tensor.name in read]
    made = {name for node in nodes for name in node.output}
    values = [_copy(value) for value in graph.value_info if value.name in made]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(tensors)
    graph.value_info.extend(values)


def _copy(message: Any) -> Any:
    made = type(message)()
    made.CopyFrom(message)
    return made
