"""Rules of what real networks consist of: several layers with their activation, in one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fuzz.expressions import expression
from fuzz.graph import Choices, Graph, Value, numbers
from fuzz.rules import rank, rule
from fuzz.rules_layers import convolution, weights_of

_ROOT = float(np.sqrt(0.5))


def activated(graph: Graph, value: Value, choices: Choices) -> Value:
    """An activation as exporters write it: one operator, or several."""
    kind = choices.pick(tuple(_ACTIVATIONS))
    return graph.value(_ACTIVATIONS[kind](graph, value.name, choices), value.shape)


def _one(op: str, **attributes: Any) -> Callable[[Graph, str, Choices], str]:
    return lambda graph, x, choices: graph.node(op, [x], **attributes)


def _scalar(graph: Graph, number: float) -> str:
    return graph.constant(np.float32(number))


def _relu6(graph: Graph, x: str, choices: Choices) -> str:
    return graph.node("Clip", [x, _scalar(graph, 0), _scalar(graph, 6)])


def _silu(graph: Graph, x: str, choices: Choices) -> str:
    inner = graph.node("Mul", [x, _scalar(graph, 1.702)]) if choices.once_in(3) else x
    return graph.node("Mul", [x, graph.node("Sigmoid", [inner])])


def _gelu(graph: Graph, x: str, choices: Choices) -> str:
    half = graph.node("Mul", [x, _scalar(graph, 0.5)])
    error = graph.node("Erf", [graph.node("Mul", [x, _scalar(graph, _ROOT)])])
    return graph.node("Mul", [half, graph.node("Add", [error, _scalar(graph, 1)])])


def _mish(graph: Graph, x: str, choices: Choices) -> str:
    return graph.node("Mul", [x, graph.node("Tanh", [graph.node("Softplus", [x])])])


def _hard_swish(graph: Graph, x: str, choices: Choices) -> str:
    gate = graph.node("Clip", [graph.node("Add", [x, _scalar(graph, 3)]), _scalar(graph, 0),
                               _scalar(graph, 6)])  # fmt: skip
    return graph.node("Div", [graph.node("Mul", [x, gate]), _scalar(graph, 6)])


def _snake(graph: Graph, x: str, choices: Choices) -> str:
    sine = graph.node("Sin", [x])
    return graph.node("Add", [x, graph.node("Mul", [sine, sine])])


_ACTIVATIONS: dict[str, Callable[[Graph, str, Choices], str]] = {
    "relu": _one("Relu"),
    "relu6": _relu6,
    "silu": _silu,
    "gelu": _gelu,
    "leaky": _one("LeakyRelu", alpha=0.1),
    "sigmoid": _one("Sigmoid"),
    "tanh": _one("Tanh"),
    "elu": _one("Elu"),
    "mish": _mish,
    "hardswish": _hard_swish,
    "snake": _snake,
    "expression": expression,
    "none": lambda graph, x, choices: x,
}


def normalized(graph: Graph, value: Value, choices: Choices) -> Value:
    """Batch normalization as training leaves it, or, now and then, none."""
    if choices.once_in(3):
        return value
    generator = np.random.default_rng(choices.seed())
    shape = value.shape[0]
    given = (
        1 + 0.2 * generator.standard_normal(shape),
        0.2 * generator.standard_normal(shape),
        0.5 * generator.standard_normal(shape),
        0.5 + generator.random(shape),
    )
    names = [graph.constant(array.astype(np.float32), "b") for array in given]
    return graph.value(graph.node("BatchNormalization", [value.name, *names]), value.shape)


@rule("Conv block", rank(3, 4))
def _conv_block(graph: Graph, value: Value, choices: Choices) -> Value | None:
    made = convolution(graph, value, choices)
    return None if made is None else activated(graph, normalized(graph, made, choices), choices)


def _padded(graph: Graph, value: Value, choices: Choices, filters: int, group: int = 1) -> Value:
    """A Conv with a kernel of three, or of one, that keeps the extents."""
    kernel = [choices.pick((3, 1))] * (value.rank - 2)
    channels = value.shape[0] // group
    weights = weights_of(graph, choices, (filters, channels, *kernel), channels * kernel[0])
    inputs = [value.name, weights]
    if choices.once_in(2):
        inputs.append(graph.constant(numbers(choices, (filters,)), "b"))
    pads = [k // 2 for k in kernel] * 2
    return graph.value(
        graph.node("Conv", inputs, pads=pads, group=group), (filters, *value.shape[1:])
    )


@rule("Residual block", rank(3, 4))
def _residual(graph: Graph, value: Value, choices: Choices) -> Value:
    inner = _padded(graph, value, choices, choices.integer(1, 6))
    inner = activated(graph, normalized(graph, inner, choices), choices)
    inner = normalized(graph, _padded(graph, inner, choices, value.shape[0]), choices)
    total = graph.value(graph.node("Add", [inner.name, value.name]), value.shape)
    return activated(graph, total, choices)


@rule("Separable block", rank(3, 4))
def _separable(graph: Graph, value: Value, choices: Choices) -> Value:
    channels = value.shape[0]
    each = normalized(graph, _padded(graph, value, choices, channels, channels), choices)
    across = _padded(graph, activated(graph, each, choices), choices, choices.integer(1, 8))
    return activated(graph, normalized(graph, across, choices), choices)


@rule("Squeeze and excite", rank(3, 4))
def _excited(graph: Graph, value: Value, choices: Choices) -> Value:
    ones = [1] * (value.rank - 2)
    mean = graph.value(graph.node("GlobalAveragePool", [value.name]), (value.shape[0], *ones))
    small = activated(graph, _padded(graph, mean, choices, choices.integer(1, 4)), choices)
    wide = _padded(graph, small, choices, value.shape[0])
    gate = graph.node(choices.pick(("Sigmoid", "HardSigmoid")), [wide.name])
    return graph.value(graph.node("Mul", [value.name, gate]), value.shape)


def dense(graph: Graph, value: Value, choices: Choices, units: int) -> Value:
    """A MatMul along the last axis and its bias."""
    fan = value.shape[-1]
    name = graph.node("MatMul", [value.name, weights_of(graph, choices, (fan, units), fan)])
    bias = graph.constant(numbers(choices, (units,)), "b")
    return graph.value(graph.node("Add", [name, bias]), (*value.shape[:-1], units))


@rule("Dense block", rank(2, 3))
def _dense_block(graph: Graph, value: Value, choices: Choices) -> Value:
    return activated(graph, dense(graph, value, choices, choices.integer(2, 17)), choices)


@rule("Residual MLP", rank(2, 3))
def _residual_mlp(graph: Graph, value: Value, choices: Choices) -> Value:
    inner = activated(graph, dense(graph, value, choices, choices.integer(2, 17)), choices)
    inner = dense(graph, inner, choices, value.shape[-1])
    return graph.value(graph.node("Add", [value.name, inner.name]), value.shape)


def _layer_norm(graph: Graph, value: Value, choices: Choices) -> Value:
    """Along the last axis: one operator, or the operators that it had before opset 17."""
    generator = np.random.default_rng(choices.seed())
    factors = (1 + 0.2 * generator.standard_normal(value.shape[-1:])).astype(np.float32)
    scale = graph.constant(factors, "b")
    if graph.opset >= 17 and not choices.once_in(3):
        return graph.value(
            graph.node("LayerNormalization", [value.name, scale], axis=-1), value.shape
        )
    centred = graph.node("Sub", [value.name, _mean(graph, value.name)])
    variance = _mean(graph, graph.node("Mul", [centred, centred]))
    root = graph.node("Sqrt", [graph.node("Add", [variance, _scalar(graph, 1e-5)])])
    name = graph.node("Mul", [graph.node("Div", [centred, root]), scale])
    return graph.value(name, value.shape)


def _mean(graph: Graph, name: str) -> str:
    if graph.opset >= 18:
        return graph.node("ReduceMean", [name, graph.integers(-1)], keepdims=1)
    return graph.node("ReduceMean", [name], axes=[-1], keepdims=1)


def _heads(graph: Graph, value: Value, choices: Choices, heads: int) -> Value:
    """[N, T, D] to [N, T, D], by attention of so many heads, masked or not."""
    steps, width = value.shape
    each = width // heads
    turned = []
    for order in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]):
        projected = dense(graph, value, choices, width)
        whole = graph.integers(0, steps, heads, each)
        apart = graph.node("Reshape", [projected.name, whole])
        turned.append(graph.node("Transpose", [apart], perm=order))
    scores = graph.node("MatMul", turned[:2])
    root = float(np.sqrt(each))
    scores = graph.node("Div", [scores, _scalar(graph, root)])
    if choices.once_in(3):
        hidden = np.triu(np.full((steps, steps), choices.pick((-1e9, -np.inf)), np.float32), 1)
        scores = graph.node("Add", [scores, graph.constant(np.nan_to_num(hidden, neginf=-np.inf))])
    shares = graph.node("Softmax", [scores], axis=-1)
    mixed = graph.node("Transpose", [graph.node("MatMul", [shares, turned[2]])], perm=[0, 2, 1, 3])
    joined = graph.node("Reshape", [mixed, graph.integers(0, steps, width)])
    return dense(graph, graph.value(joined, value.shape), choices, width)


@rule("Transformer block", rank(3))
def _transformer(graph: Graph, value: Value, choices: Choices) -> Value | None:
    heads = choices.pick([h for h in (1, 2, 4) if value.shape[-1] % h == 0])
    first = choices.once_in(2)
    inner = _layer_norm(graph, value, choices) if first else value
    inner = _heads(graph, inner, choices, heads)
    value = graph.value(graph.node("Add", [value.name, inner.name]), value.shape)
    value = value if first else _layer_norm(graph, value, choices)
    inner = _layer_norm(graph, value, choices) if first else value
    inner = activated(graph, dense(graph, inner, choices, choices.integer(2, 9)), choices)
    inner = dense(graph, inner, choices, value.shape[-1])
    value = graph.value(graph.node("Add", [value.name, inner.name]), value.shape)
    return value if first else _layer_norm(graph, value, choices)


@rule("KAN layer", rank(2))
def _splines(graph: Graph, value: Value, choices: Choices) -> Value | None:
    """Sums of ramps on each edge: degree 1 splines (Liu et al., 2024)."""
    (inputs,) = value.shape
    outputs, knots = choices.integer(1, 4), choices.integer(2, 4)
    if inputs * outputs > 40:
        return None
    generator = np.random.default_rng(choices.seed())

    def slopes() -> str:
        drawn = generator.standard_normal((inputs, outputs)) / 2
        return graph.constant(drawn.astype(np.float32), "t")

    clipped = graph.node("Clip", [value.name, _scalar(graph, -2), _scalar(graph, 1.75)])
    column = graph.node("Unsqueeze", [clipped, graph.integers(-1)])
    total = slopes()
    for place in np.linspace(-2, 1.75, knots + 1)[:-1]:
        ramp = graph.node("Relu", [graph.node("Sub", [column, _scalar(graph, float(place))])])
        total = graph.node("Add", [total, graph.node("Mul", [ramp, slopes()])])
    name = graph.node("ReduceSum", [total, graph.integers(1)], keepdims=0)
    return graph.value(name, (outputs,))


@rule("Gated block", rank(2, 3))
def _gated(graph: Graph, value: Value, choices: Choices) -> Value:
    """SwiGLU and its like (Shazeer, 2020)."""
    units = choices.integer(2, 9)
    gate = activated(graph, dense(graph, value, choices, units), choices)
    other = dense(graph, value, choices, units)
    made = graph.value(graph.node("Mul", [gate.name, other.name]), other.shape)
    return dense(graph, made, choices, value.shape[-1])
