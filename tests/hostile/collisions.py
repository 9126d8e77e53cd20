"""Networks whose names are one name, or words of languages, or of actc's own code."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

EQUAL = (
    *("a.b", "a_b", "a-b", "a:b", "a/b", "A_b", "a__b", "a_b_", "_a_b", "a_b_1", "a_b_2"),
    *("a+b", "a*b", "a,b", "a;b", "a%b", "x.y", "x_y", "x-y", "a.b."),
)
"""Equal once they are identifiers, or in capitals, or numbered."""
WORDS = (
    *("int", "module", "class", "wire", "begin", "proc", "entity", "signal", "std", "namespace"),
    *(
        "template",
        "float",
        "register",
        "always",
        "set",
        "end",
        "for",
        "logic",
        "static",
        "generate",
    ),
)
"""Words of C, C++, Verilog, VHDL and Tcl."""
OWN = (
    *("clk", "rst", "arena", "main", "layer0", "model", "net", "core", "x", "weights", "data"),
    *("in", "out", "valid", "ready", "layer1", "kernel", "actc", "top", "testbench"),
)
"""What generated code may call something of its own."""
KINDS = {"equal": EQUAL, "words": WORDS, "own": OWN}
_WIDTHS = (6, 5, 4, 3)


def collisions(kind: str, two: bool) -> onnx.ModelProto:
    """MatMul, Sigmoid, MatMul, Tanh, MatMul; with `two`, a second input and a second output.

    Args:
        kind: key of :data:`KINDS`.
    """
    ports, rest = KINDS[kind][:4], KINDS[kind][4:]
    weights, values, nodes = rest[:3], rest[3:8], rest[8:15]
    (x, y, second, other), (graph, *_) = ports, rest[15:]
    rng = np.random.default_rng(1)
    a, b, c, d = _WIDTHS
    steps = [
        helper.make_node("MatMul", [x, weights[0]], [values[0]], nodes[0]),
        helper.make_node("Sigmoid", [values[0]], [values[1]], nodes[1]),
        helper.make_node("MatMul", [values[4 if two else 1], weights[1]], [values[2]], nodes[2]),
        helper.make_node("Tanh", [values[2]], [values[3]], nodes[3]),
        helper.make_node("MatMul", [values[3], weights[2]], [y], nodes[4]),
    ]
    inputs, outputs = [_port(x, a)], [_port(y, d)]
    if two:
        steps.insert(2, helper.make_node("Add", [values[1], second], [values[4]], nodes[5]))
        steps.append(helper.make_node("Neg", [values[3]], [other], nodes[6]))
        inputs.append(_port(second, b))
        outputs.append(_port(other, c))
    tensors = [
        numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)
        for name, shape in zip(weights, ((a, b), (b, c), (c, d)), strict=True)
    ]
    made = helper.make_graph(steps, graph, inputs, outputs, tensors)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def _port(name: str, width: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])
