"""Random expressions of one input: one activation each, evaluated as numpy does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from hypothesis import given, settings
from hypothesis import strategies as st
from models import operators, proto_of, run, transformed
from onnx import TensorProto, helper, numpy_helper
from scipy import special

from actc.ir.context import context_of
from actc.ir.verify import problems
from actc.passes.normalize import Normalize
from actc.passes.recognize import Recognize

Array = np.ndarray[Any, Any]

_UNARY: dict[str, Callable[[Array], Array]] = {
    "Abs": np.abs,
    "Neg": np.negative,
    "Tanh": np.tanh,
    "Sigmoid": special.expit,
    "Relu": lambda x: np.maximum(x, 0),
    "Sin": np.sin,
    "Erf": special.erf,
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Atan": np.arctan,
    "Identity": lambda x: x,
}
_BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Min": np.minimum,
    "Max": np.maximum,
}
_STEP = st.tuples(
    st.sampled_from([*_UNARY, *_BINARY, "Where"]),
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(0, 99),
)


def _expression(
    steps: list[tuple[str, int, int, int]],
) -> tuple[onnx.ModelProto, Callable[..., Any]]:
    """The ONNX model of a random expression, and the same in numpy."""
    constants = np.array([0.5, -1.25, 2.0, 1.0], np.float32)
    names = ["x"]
    nodes = []

    def operand(choice: int) -> str:
        """A value so far, the later the likelier, or now and then a constant."""
        return f"c{choice % 4}" if choice % 5 == 4 else names[-1 - choice % min(3, len(names))]

    plan: list[tuple[str, str, list[str]]] = []
    for number, (op, *choices) in enumerate(steps):
        arity = 1 if op in _UNARY else 2
        operands = [operand(c) for c in choices[:arity]]
        if all(o.startswith("c") for o in operands):
            operands[0] = names[-1]
        name = f"v{number}"
        if op == "Where":
            nodes.append(helper.make_node("Greater", [names[-1], "c0"], [f"{name}_c"]))
            operands = [f"{name}_c", operands[0], names[-1 - choices[2] % len(names)]]
        nodes.append(helper.make_node(op, operands, [name], name=f"n{number}"))
        plan.append((op, name, [names[-1], *operands]))
        names.append(name)
    nodes.append(helper.make_node("Add", [names[-1], "x"], ["y"], name="last"))
    graph = helper.make_graph(
        nodes,
        "random",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 5])],
        [numpy_helper.from_array(np.array(c), f"c{k}") for k, c in enumerate(constants)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)

    def evaluate(x: Array) -> Array:
        values: dict[str, Array] = {
            "x": x,
            **{f"c{k}": c for k, c in enumerate(constants.astype(float))},
        }
        for op, name, (latest, *operands) in plan:
            if op == "Where":
                values[name] = np.where(
                    values[latest] > 0.5, values[operands[1]], values[operands[2]]
                )
            elif op in _UNARY:
                values[name] = _UNARY[op](values[operands[0]])
            else:
                values[name] = _BINARY[op](values[operands[0]], values[operands[1]])
        return values[names[-1]] + x

    return model, evaluate


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(_STEP, min_size=1, max_size=12))
def test_random_expressions_are_one_site(steps: list[tuple[str, int, int, int]]) -> None:
    model, evaluate = _expression(steps)
    # Points a little off the grid of constants: at a jump, float32 may fall on the other side.
    x = (np.linspace(-3, 3, 40) + 0.0123).astype(np.float32).reshape(8, 5)
    result = transformed(model, Normalize(), Recognize(), data={"x": x})
    assert problems(result) == []
    (site,) = context_of(result).sites.values()
    assert operators(result) == ["Activation"]
    points = x.reshape(-1).astype(np.float64)
    with np.errstate(all="ignore"):
        expected = evaluate(points)
    np.testing.assert_allclose(site.function(points), expected, rtol=1e-12, atol=1e-12)
    before, after = run(model, {"x": x})["y"], run(proto_of(result), {"x": x})["y"]
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)
