"""A small model and data for it, also broken in chosen ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def make_model(
    path: Path,
    *,
    op: str = "Sigmoid",
    domain: str = "",
    weight: float = 1.0,
    length: int | str = 6,
) -> Path:
    """x [batch, length] -> op -> MatMul -> output, or with a dynamic length only op."""
    generator = np.random.default_rng(1)
    weights = generator.standard_normal((6, 3)).astype(np.float32)
    weights[0, 0] = weight
    nodes = [helper.make_node(op, ["x"], ["hidden"], name="activation", domain=domain)]
    initializers = []
    output = ["batch", 3]
    if isinstance(length, int):
        nodes.append(helper.make_node("MatMul", ["hidden", "w"], ["y"], name="matmul"))
        initializers.append(numpy_helper.from_array(weights, "w"))
    else:
        nodes[0].output[0] = "y"
        output = ["batch", length]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", length])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output)],
        initializers,
    )
    imports = [helper.make_opsetid("", 18)]
    if domain:
        imports.append(helper.make_opsetid(domain, 1))
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=10), path)
    return path


def make_data(path: Path, **arrays: Any) -> Path:
    if not arrays:
        arrays = {"x": np.random.default_rng(2).standard_normal((40, 6)).astype(np.float32)}
    np.savez(path, **arrays)
    return path
