"""Models with a loop whose rounds depend on data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_TRUE = helper.make_node("Constant", [], ["on"], value=numpy_helper.from_array(np.array(True)))
BODIES: dict[str, tuple[Sequence[onnx.NodeProto], str]] = {
    "nothing": ((), "go"),
    "a constant": ((_TRUE,), "on"),
    "an operator": ((helper.make_node("Identity", ["go"], ["on"]),), "on"),
}
"""Name -> operators of a body, and the value that says whether there is another round."""


def body(kind: str) -> onnx.GraphProto:
    """The body of a loop that hands on its state."""
    nodes, goes_on = BODIES[kind]
    return helper.make_graph(
        nodes,
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info(goes_on, TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, None),
        ],
    )


def looping(kind: str, rounds: int | None = None, deep: bool = False) -> onnx.ModelProto:
    """x [batch, 6] -> y = x, in a loop without end where the largest input is above zero.

    Args:
        kind: what the loop does, a key of BODIES.
        rounds: how many there are at most.
        deep: the loop is that of a function.
    """
    most = "" if rounds is None else "most"
    loop = helper.make_node("Loop", [most, "positive", "x"], ["y"], name="spin", body=body(kind))
    last = helper.make_node("Spin", ["x", "positive"], ["y"], domain="own") if deep else loop
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["largest"], keepdims=0),
        helper.make_node("Greater", ["largest", "zero"], ["positive"]),
        last,
    ]
    constants = [numpy_helper.from_array(np.array(0, np.float32), "zero")]
    if rounds is not None:
        constants.append(numpy_helper.from_array(np.array(rounds), "most"))
    ends = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 6]) for name in ("x", "y")
    )
    graph = helper.make_graph(nodes, "network", [next(ends)], [next(ends)], constants)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
    spin = helper.make_function("own", "Spin", ["x", "positive"], ["y"], [loop], opsets[:1])
    functions = [spin] if deep else []
    return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=10)
