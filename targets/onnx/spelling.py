"""Activations in the spelling that onnxruntime runs fastest.

A recognized activation is written by what it computes, not by how the model spelled
it: HardSwish as Add, Clip, Mul and Div takes four passes over memory in onnxruntime
and breaks its blocked layout, the operator HardSwish two passes and keeps it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from scipy import special

from actc.ir.dialect import DOMAIN
from actc.ir.elementwise import evaluate
from actc.ir.graph import add_constant, constant, is_op, replace_node

Array = np.ndarray[Any, Any]

SILU = "Silu"
"""x * sigmoid(x): no standard operator before opset 24, so it stays a node of the domain
`actc` until the model is written."""

_TOLERANCE = 3e-6
"""Largest difference relative to the function's own size: float32 constants of the model
shift GELU by 1e-7 of it, the two forms of GELU differ by 1e-4."""
_POINTS = np.concatenate(
    [-np.geomspace(1e3, 2.0**-10, 300), np.zeros(1), np.geomspace(2.0**-10, 1e3, 300)]
)
_NEAR = 2.0**-10


@dataclass(frozen=True, slots=True)
class Spelling:
    """One operator of one input.

    Attributes:
        op: an operator of opset 21, or :data:`SILU`.
        attributes: its attributes; `Clip` takes its ends, `low` and `high`, as inputs.
    """

    op: str
    attributes: tuple[tuple[str, float | str], ...] = ()


def respell(model: ir.Model) -> None:
    """Replace each actc::Activation that equals one operator by that operator.

    Functions of several nodes that equal none keep their body, families (one function
    per channel) too.
    """
    for node in list(model.graph):
        if not is_op(node, "Activation", domain=DOMAIN):
            continue
        body = model.functions.get(node.op_identifier())
        found = None if body is None else spelling_of(body)
        if found is not None:
            _replace(model.graph, node, found)


def spelling_of(body: ir.Function) -> Spelling | None:
    """The operator that computes the same as `body` on [-1000, 1000], None if none does."""
    held = (constant(value) for node in body for value in node.inputs)
    if any(array is not None and array.size > 1 for array in held):
        return None  # a function per channel

    def function(x: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(evaluate(body, {body.inputs[0]: x}, body.outputs[0]), np.float64)

    y = function(_POINTS)
    if y.size != _POINTS.size or not np.isfinite(y).all():
        return None
    y = y.reshape(-1)
    for candidate, evaluated in _candidates(function):
        expected = evaluated(_POINTS)
        scale = np.maximum(np.abs(expected), 1e-2)
        if np.all(np.abs(y - expected) <= _TOLERANCE * scale):
            return candidate
    return None


def _candidates(
    function: Callable[[Array], Array],
) -> Iterator[tuple[Spelling, Callable[[Array], Array]]]:
    """Operators with their parameters read off the function."""
    ends = function(np.array([-1e3, 1e3])).reshape(-1)
    low = float(ends[0]) if ends[0] > -1e3 else -math.inf
    high = float(ends[1]) if ends[1] < 1e3 else math.inf
    relu = (low, high) == (0.0, math.inf)
    if low <= high:
        clip = Spelling("Relu") if relu else Spelling("Clip", (("low", low), ("high", high)))
        yield clip, lambda x: np.clip(x, low, high)
    below, centre, above = (float(v) for v in function(np.array([-_NEAR, 0.0, _NEAR])).reshape(-1))
    slope = (above - below) / (2 * _NEAR)
    yield _hard_sigmoid(slope, centre)
    curvature = (above + below) / (2 * _NEAR**2)
    if math.isclose(slope, 0.5, rel_tol=1e-6) and math.isclose(curvature, 1 / 6, rel_tol=1e-4):
        yield Spelling("HardSwish"), lambda x: x * np.clip(x / 6 + 0.5, 0, 1)
    leak = -float(function(np.array([-1.0])).reshape(-1)[0])
    leaky = Spelling("LeakyRelu", (("alpha", leak),))
    yield leaky, lambda x: np.where(x < 0, leak * x, x)
    yield from _PLAIN


def _hard_sigmoid(alpha: float, beta: float) -> tuple[Spelling, Callable[[Array], Array]]:
    spelling = Spelling("HardSigmoid", (("alpha", alpha), ("beta", beta)))
    return spelling, lambda x: np.clip(alpha * x + beta, 0, 1)


def _gelu_tanh(x: Array) -> Array:
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return np.asarray(0.5 * x * (1 + np.tanh(inner)))


_PLAIN: tuple[tuple[Spelling, Callable[[Array], Array]], ...] = (
    (Spelling("Sigmoid"), special.expit),
    (Spelling("Tanh"), np.tanh),
    (Spelling(SILU), lambda x: x * special.expit(x)),
    (Spelling("Gelu"), lambda x: 0.5 * x * (1 + special.erf(x / math.sqrt(2)))),
    (Spelling("Gelu", (("approximate", "tanh"),)), _gelu_tanh),
)


def _replace(graph: ir.Graph, node: ir.Node, spelling: Spelling) -> None:
    inputs: list[ir.Value | None] = [node.inputs[0]]
    attributes: dict[str, Any] = dict(spelling.attributes)
    if spelling.op == "Clip":
        for name in ("low", "high"):
            end = attributes.pop(name)
            array = np.array(end, np.float32)
            inputs.append(
                add_constant(graph, f"{node.name}_{name}", array) if np.isfinite(end) else None
            )
    domain = DOMAIN if spelling.op == SILU else ""
    new = ir.node(spelling.op, inputs, attributes, domain=domain, name=node.name)
    replace_node(node, [new], new.outputs[0])
    new.outputs[0].metadata_props.update(node.outputs[0].metadata_props)


def expand_silu(graph: ir.Graph, coded: set[ir.Value]) -> None:
    """Write SILU as Sigmoid and Mul, which onnxruntime joins to QuickGelu.

    Args:
        coded: values that are dequantized codes. onnxruntime gives every user of those
            a DequantizeLinear of its own, and then no longer sees that Sigmoid and Mul
            read the same value; a Sum of one term keeps them together (0.54 against 0.75
            ns per element).
    """
    for node in list(graph):
        if not is_op(node, SILU, domain=DOMAIN):
            continue
        source, name = node.inputs[0], str(node.name)
        assert source is not None
        before = []
        if source in coded:
            before = [ir.node("Sum", [source], name=f"{name}_same")]
            source = before[0].outputs[0]
        sigmoid = ir.node("Sigmoid", [source], name=f"{name}_sigmoid")
        product = ir.node("Mul", [source, sigmoid.outputs[0]], name=f"{name}_mul")
        for part in [*before, sigmoid, product]:
            part.outputs[0].name = part.name
        replace_node(node, [*before, sigmoid, product], product.outputs[0])
