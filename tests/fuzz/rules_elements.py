"""Rules of functions of elements, and of what moves elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from fuzz.expressions import expression
from fuzz.graph import MOST_ELEMENTS, Choices, Graph, Value, numbers
from fuzz.rules import RULES, Rule, any_value, partner, rank, rule

_UNARY: tuple[tuple[str, int, dict[str, tuple[float, ...]]], ...] = (
    *((op, 13, {}) for op in ("Relu", "Abs", "Neg", "Tanh", "Sigmoid", "Exp", "Erf", "Softplus")),
    *((op, 13, {}) for op in ("Softsign", "Sin", "Cos", "Atan", "Floor", "Ceil", "Round", "Sign")),
    *((op, 13, {}) for op in ("Identity", "Reciprocal", "Sqrt", "Log", "Asinh", "Sinh")),
    ("HardSwish", 14, {}),
    ("Mish", 18, {}),
    ("Gelu", 20, {}),
    ("Elu", 13, {"alpha": (1.0, 0.3)}),
    ("Celu", 13, {"alpha": (1.0, 2.0)}),
    ("Selu", 13, {}),
    ("LeakyRelu", 13, {"alpha": (0.01, 0.25, -0.5)}),
    ("HardSigmoid", 13, {"alpha": (0.2, 0.1666), "beta": (0.5,)}),
    ("ThresholdedRelu", 13, {"alpha": (1.0, 0.1)}),
)


def _unary(op: str, since: int, parameters: dict[str, tuple[float, ...]]) -> Rule:
    def apply(graph: Graph, value: Value, choices: Choices) -> Value:
        chosen: dict[str, Any] = {
            name: choices.pick(options) for name, options in parameters.items()
        }
        return graph.value(graph.node(op, [value.name], **chosen), value.shape)

    return Rule(op, since, any_value, apply)


for _op in _UNARY:
    RULES[_op[0]] = _unary(*_op)


def _operand(graph: Graph, value: Value, choices: Choices) -> str:
    """A constant that broadcasts against the value."""
    shape = choices.pick(
        (
            (),
            value.shape[-1:],
            (1, *value.shape),
            tuple(n if k % 2 else 1 for k, n in enumerate(value.shape)),
        )
    )
    return graph.constant(numbers(choices, shape))


@rule("Arithmetic with a constant")
def _with_constant(graph: Graph, value: Value, choices: Choices) -> Value:
    op = choices.pick(("Add", "Mul", "Sub", "Div", "Max", "Min"))
    pair = [value.name, _operand(graph, value, choices)]
    if choices.once_in(4):
        pair.reverse()
    return graph.value(graph.node(op, pair), value.shape)


@rule("Arithmetic of two")
def _of_two(graph: Graph, value: Value, choices: Choices) -> Value:
    op = choices.pick(("Add", "Mul", "Sub", "Max", "Min", "Div", "Sum", "Mean"))
    other = partner(graph, value, choices)
    return graph.value(graph.node(op, [value.name, other.name]), value.shape)


@rule("PRelu", rank(2, 3, 4))
def _prelu(graph: Graph, value: Value, choices: Choices) -> Value:
    shape = (value.shape[0], *[1] * (value.rank - 2))
    slopes = graph.constant(numbers(choices, choices.pick((shape, (1,)))))
    return graph.value(graph.node("PRelu", [value.name, slopes]), value.shape)


@rule("Clip")
def _clip(graph: Graph, value: Value, choices: Choices) -> Value:
    low, high = choices.pick(((-1.0, 1.0), (0.0, 6.0), (0.5, 0.5), (-0.1, 1e30)))
    sides = [graph.constant(np.float32(low)), graph.constant(np.float32(high))]
    if choices.once_in(3):
        sides[choices.integer(0, 1)] = ""
    return graph.value(graph.node("Clip", [value.name, *sides]), value.shape)


@rule("Pow")
def _power(graph: Graph, value: Value, choices: Choices) -> Value:
    exponent = graph.constant(np.float32(choices.pick((2.0, 3.0, 1.0, 0.0, -1.0))))
    return graph.value(graph.node("Pow", [value.name, exponent]), value.shape)


@rule("Where")
def _where(graph: Graph, value: Value, choices: Choices) -> Value:
    other = partner(graph, value, choices)
    op = choices.pick(("Greater", "Less", "GreaterOrEqual", "LessOrEqual"))
    flags = graph.node(op, [value.name, _operand(graph, value, choices)])
    return graph.value(graph.node("Where", [flags, value.name, other.name]), value.shape)


@rule("Expression")
def _expression(graph: Graph, value: Value, choices: Choices) -> Value:
    return graph.value(expression(graph, value.name, choices), value.shape)


@rule("Reshape")
def _reshape(graph: Graph, value: Value, choices: Choices) -> Value:
    size = value.size
    divisors = [d for d in range(1, size + 1) if size % d == 0]
    first = choices.pick(divisors)
    shape = choices.pick(((size,), (first, size // first), (1, first, size // first)))
    whole = graph.integers(0 if choices.once_in(2) else -1, *shape)
    return graph.value(graph.node("Reshape", [value.name, whole]), shape)


@rule("Flatten")
def _flatten(graph: Graph, value: Value, choices: Choices) -> Value:
    return graph.value(graph.node("Flatten", [value.name], axis=1), (value.size,))


@rule("Transpose", rank(3, 4))
def _transpose(graph: Graph, value: Value, choices: Choices) -> Value:
    axes = [2, 1] if value.rank == 3 else choices.pick(([2, 3, 1], [3, 1, 2], [1, 3, 2], [3, 2, 1]))
    name = graph.node("Transpose", [value.name], perm=[0, *axes])
    return graph.value(name, [value.shape[a - 1] for a in axes])


@rule("Slice", rank(2, 3, 4))
def _slice(graph: Graph, value: Value, choices: Choices) -> Value:
    axis = choices.integer(1, value.rank - 1)
    extent = value.shape[axis - 1]
    start, step = choices.integer(0, extent - 1), choices.pick((1, 2, -1))
    end = extent if step > 0 else -extent - 1
    taken = len(range(extent)[start::step])
    bounds = [graph.integers(n) for n in (start, end, axis, step)]
    name = graph.node("Slice", [value.name, *bounds])
    return graph.value(name, (*value.shape[: axis - 1], taken, *value.shape[axis:]))


@rule("Pad", rank(2, 3, 4))
def _pad(graph: Graph, value: Value, choices: Choices) -> Value:
    before = [choices.integer(0, 2) for _ in value.shape]
    behind = [choices.integer(0, 2) for _ in value.shape]
    mode = choices.pick(("constant", "edge", "reflect"))
    if mode == "reflect" and max(*before, *behind) >= min(value.shape):
        mode = "edge"
    inputs = [value.name, graph.integers(0, *before, 0, *behind)]
    if mode == "constant" and choices.once_in(2):
        inputs.append(graph.constant(np.float32(choices.pick((0.0, 1.5, -1.0)))))
    shape = [b + n + e for b, n, e in zip(before, value.shape, behind, strict=True)]
    return graph.value(graph.node("Pad", inputs, mode=mode), shape)


@rule("Concat", rank(2, 3, 4))
def _concat(graph: Graph, value: Value, choices: Choices) -> Value:
    axis, other = choices.integer(1, value.rank - 1), partner(graph, value, choices)
    name = graph.node("Concat", [value.name, other.name], axis=axis)
    extent = 2 * value.shape[axis - 1]
    return graph.value(name, (*value.shape[: axis - 1], extent, *value.shape[axis:]))


def _wide(value: Value) -> bool:
    return any(n > 1 for n in value.shape)


@rule("Split", _wide)
def _split(graph: Graph, value: Value, choices: Choices) -> Value:
    axis = choices.pick([k for k, n in enumerate(value.shape) if n > 1])
    extent = value.shape[axis]
    left = choices.integer(1, extent - 1)
    parts = graph.integers(left, extent - left)
    name = graph.node("Split", [value.name, parts], outputs=2, axis=axis + 1)
    shapes = [(*value.shape[:axis], n, *value.shape[axis + 1 :]) for n in (extent - left, left)]
    graph.value(f"{name}b", shapes[0])
    return graph.value(name, shapes[1])


@rule("Gather", rank(2, 3, 4))
def _gather(graph: Graph, value: Value, choices: Choices) -> Value:
    axis = choices.integer(1, value.rank - 1)
    extent = value.shape[axis - 1]
    taken = [choices.integer(-extent, extent - 1) for _ in range(choices.integer(1, 4))]
    name = graph.node("Gather", [value.name, graph.integers(*taken)], axis=axis)
    return graph.value(name, (*value.shape[: axis - 1], len(taken), *value.shape[axis:]))


@rule("Unsqueeze", rank(2, 3))
def _unsqueeze(graph: Graph, value: Value, choices: Choices) -> Value:
    axis = choices.integer(1, value.rank)
    name = graph.node("Unsqueeze", [value.name, graph.integers(axis)])
    return graph.value(name, (*value.shape[: axis - 1], 1, *value.shape[axis - 1 :]))


def _squeezable(value: Value) -> bool:
    return value.rank > 2 and 1 in value.shape


@rule("Squeeze", _squeezable)
def _squeeze(graph: Graph, value: Value, choices: Choices) -> Value:
    axis = choices.pick([k for k, n in enumerate(value.shape) if n == 1])
    name = graph.node("Squeeze", [value.name, graph.integers(axis + 1)])
    return graph.value(name, (*value.shape[:axis], *value.shape[axis + 1 :]))


@rule("Tile", rank(2, 3, 4))
def _tile(graph: Graph, value: Value, choices: Choices) -> Value | None:
    times = [choices.pick((1, 2, 3)) for _ in value.shape]
    if value.size * int(np.prod(times)) > MOST_ELEMENTS:
        return None
    name = graph.node("Tile", [value.name, graph.integers(1, *times)])
    return graph.value(name, [n * t for n, t in zip(value.shape, times, strict=True)])


@rule("Resize", rank(4))
def _resize(graph: Graph, value: Value, choices: Choices) -> Value | None:
    factor = choices.pick((2, 3))
    if value.size * factor**2 > MOST_ELEMENTS:
        return None
    mode = choices.pick(("nearest", "linear"))
    how: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": "asymmetric"}
    if mode == "nearest":
        how["nearest_mode"] = "floor"
    scales = graph.constant(np.array([1, 1, factor, factor], np.float32))
    name = graph.node("Resize", [value.name, "", scales], **how)
    return graph.value(name, (value.shape[0], *(n * factor for n in value.shape[1:])))


def _blocks(value: Value) -> bool:
    return value.rank == 4 and value.shape[0] % 4 == 0


@rule("DepthToSpace", _blocks)
def _depth_to_space(graph: Graph, value: Value, choices: Choices) -> Value:
    mode = choices.pick(("DCR", "CRD"))
    name = graph.node("DepthToSpace", [value.name], blocksize=2, mode=mode)
    channels, *extents = value.shape
    return graph.value(name, (channels // 4, *(2 * n for n in extents)))


def _even(value: Value) -> bool:
    return value.rank == 4 and all(n % 2 == 0 for n in value.shape[1:])


@rule("SpaceToDepth", _even)
def _space_to_depth(graph: Graph, value: Value, choices: Choices) -> Value:
    name = graph.node("SpaceToDepth", [value.name], blocksize=2)
    channels, *extents = value.shape
    return graph.value(name, (channels * 4, *(n // 2 for n in extents)))


@rule("Dropout")
def _dropout(graph: Graph, value: Value, choices: Choices) -> Value:
    return graph.value(graph.node("Dropout", [value.name]), value.shape)
