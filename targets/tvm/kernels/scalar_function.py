"""Scalar functions of a kernel plan as TIR expressions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from actc.targets.tvm.kernels import float_math
from actc.targets.tvm.kernels.float_expression import RULES
from actc.targets.tvm.kernels.float_ops import piecewise_linear
from actc.targets.tvm.kernels.float_spec import PIECEWISE_LINEAR, ScalarFunction, Step, Value


def apply_function(
    function: ScalarFunction, operands: Sequence[Any], features: frozenset[str]
) -> Any:
    """The function's value where its operands are `operands`.

    Args:
        function: what to compute.
        operands: float32 expressions of equal numbers of lanes, at least one.
        features: LLVM's names of the CPU's features.

    Returns:
        an expression of as many lanes.
    """
    values = list(operands)
    for step in function.steps:
        value = _evaluate(step, values, features)
        # TVM cannot store truth values in a register: they are repeated.
        truth = str(value.ty.dtype).startswith("bool")
        values.append(value if truth else float_math.keep(value))
    return values[-1]


def _evaluate(step: Step, values: list[Any], features: frozenset[str]) -> Any:
    like = values[0]
    if step.op == PIECEWISE_LINEAR:
        numbers = [float(v) for v in step.inputs[1:] if isinstance(v, (int, float))]
        count = (len(numbers) + 1) // 3
        x = _argument(step.inputs[0], values, like)
        lines = numbers[count - 1 : 2 * count - 1], numbers[2 * count - 1 :]
        return piecewise_linear(x, numbers[: count - 1], *lines, features)
    arguments = [_argument(v, values, like) for v in step.inputs if v is not None]
    return RULES[step.op](_node(step), arguments)


def _argument(given: Value | float | None, values: list[Any], like: Any) -> Any:
    if isinstance(given, Value):
        return values[given.index]
    assert given is not None
    return float_math.f32(given, like)


def _node(step: Step) -> ir.Node:
    """The step as the ONNX node that the rules read attributes and absent inputs from."""
    inputs = [None if v is None else ir.Value(name="") for v in step.inputs]
    attributes = ir.convenience.convert_attributes(dict(step.attributes))
    return ir.Node("", step.op, inputs, attributes)
