"""The small good network that the cases spoil."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hostile.case import MODEL

Spoil = Callable[[onnx.ModelProto], object]


def good(batch: int | str = "batch") -> onnx.ModelProto:
    """x [batch, 6] -> MatMul -> Sigmoid -> y [batch, 3]."""
    weights = np.random.default_rng(1).standard_normal((6, 3)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="matmul"),
        helper.make_node("Sigmoid", ["h"], ["y"], name="sigmoid"),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 3])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def save(model: onnx.ModelProto, folder: Path, name: str = MODEL) -> Path:
    """Write a model as it is."""
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path


def spoiled(spoil: Spoil) -> Callable[[Path], object]:
    """Writes the good network after `spoil` changed it."""

    def make(folder: Path) -> None:
        model = good()
        spoil(model)
        save(model, folder)

    return make


def written(content: bytes) -> Callable[[Path], object]:
    """Writes these bytes as the model."""
    return lambda folder: (folder / MODEL).write_bytes(content)


def nodes(*extra: onnx.NodeProto, shape: Sequence[int | str] = ("batch", 3)) -> Spoil:
    """Puts nodes behind the network: they read 'y', and the last gives the output."""

    def spoil(model: onnx.ModelProto) -> None:
        model.graph.node.extend(extra)
        del model.graph.output[:]
        name = extra[-1].output[0]
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    return spoil


def constant(model: onnx.ModelProto, name: str, values: object, kind: str = "int64") -> None:
    """Add an initializer."""
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(values, kind), name))
