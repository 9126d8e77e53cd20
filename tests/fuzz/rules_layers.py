"""Rules of layers with weights, pooling and norms."""

from __future__ import annotations

from typing import Any

import numpy as np

from fuzz.graph import Choices, Graph, Value, numbers
from fuzz.rules import rank, rule


def weights_of(graph: Graph, choices: Choices, shape: tuple[int, ...], fan: int) -> str:
    """The name of new weights, shared ones of an earlier layer, or dequantized integers."""
    how = choices.byte()
    if how % 11 == 10:
        for name, array in graph.constants.items():
            if name.startswith("w") and array.shape == shape:
                return name
    array = numbers(choices, shape, fan)
    if how % 11 == 9 and len(shape) > 1:
        return _dequantized(graph, choices, array)
    return graph.constant(array, "w")


def _dequantized(graph: Graph, choices: Choices, array: np.ndarray[Any, Any]) -> str:
    """Weights as integers with a scale, for all or per entry of the first axis."""
    channels = choices.once_in(2)
    axes = tuple(range(1, array.ndim)) if channels else None
    limit = 3.4e38
    scale = np.minimum(np.abs(array).max(axis=axes) / 127, limit)
    scale = np.where(scale > 1e-30, scale, 1.0).astype(np.float32)
    shaped = scale.reshape(-1, *[1] * (array.ndim - 1)) if channels else scale
    codes = np.clip(np.round(array / shaped), -127, 127).astype(np.int8)
    inputs = [graph.constant(codes, "q"), graph.constant(scale, "s")]
    axis: dict[str, Any] = {"axis": 0} if channels else {}
    return graph.node("DequantizeLinear", inputs, **axis)


@rule("Gemm", rank(2))
def _gemm(graph: Graph, value: Value, choices: Choices) -> Value:
    units, transposed = choices.integer(1, 17), choices.once_in(2)
    fan = value.shape[0]
    shape = (units, fan) if transposed else (fan, units)
    inputs = [value.name, weights_of(graph, choices, shape, fan)]
    if choices.once_in(2):
        bias = ((units,), (1, units), (1,), ())[choices.byte() % 4]
        inputs.append(graph.constant(numbers(choices, bias), "b"))
    factors: dict[str, Any] = {
        "alpha": choices.pick((1.0, 0.5, -2.0)),
        "beta": choices.pick((1.0, 0.25)),
    }
    return graph.value(graph.node("Gemm", inputs, transB=int(transposed), **factors), (units,))


@rule("MatMul", rank(2, 3, 4))
def _matmul(graph: Graph, value: Value, choices: Choices) -> Value:
    units, fan = choices.integer(1, 17), value.shape[-1]
    name = graph.node("MatMul", [value.name, weights_of(graph, choices, (fan, units), fan)])
    made = graph.value(name, (*value.shape[:-1], units))
    if choices.once_in(2):
        bias = graph.constant(numbers(choices, (units,)), "b")
        made = graph.value(graph.node("Add", [made.name, bias]), made.shape)
    return made


@rule("MatMul of two", rank(3, 4))
def _products(graph: Graph, value: Value, choices: Choices) -> Value:
    other = partner_of(graph, value, choices)
    order = [*range(value.rank - 2), value.rank - 1, value.rank - 2]
    turned = graph.node("Transpose", [other.name], perm=order)
    shape = (*value.shape[:-1], value.shape[-2])
    return graph.value(graph.node("MatMul", [value.name, turned]), shape)


def partner_of(graph: Graph, value: Value, choices: Choices) -> Value:
    """A value of the same shape."""
    alike = [v for v in reversed(graph.values) if v.shape == value.shape]
    return choices.pick(alike[:3])


@rule("Attention", rank(3))
def _attention(graph: Graph, value: Value, choices: Choices) -> Value:
    width = choices.integer(1, 8)
    made = []
    for _ in range(3):
        weights = graph.constant(numbers(choices, (value.shape[-1], width), value.shape[-1]), "w")
        made.append(graph.node("MatMul", [value.name, weights]))
    turned = graph.node("Transpose", [made[1]], perm=[0, 2, 1])
    scores = graph.node("MatMul", [made[0], turned])
    scale = graph.constant(np.float32(1 / np.sqrt(width)))
    scores = graph.node("Mul", [scores, scale])
    shares = graph.node("Softmax", [scores], axis=-1)
    return graph.value(graph.node("MatMul", [shares, made[2]]), (value.shape[0], width))


@rule("Conv", rank(3, 4))
def convolution(graph: Graph, value: Value, choices: Choices) -> Value | None:
    """A Conv of any kernel, strides, dilations, pads and groups; None if nothing is left."""
    channels, extents = value.shape[0], value.shape[1:]
    group = choices.pick([g for g in (1, channels, 2, 3) if channels % g == 0])
    filters = group * choices.integer(1, 3)
    kernel = [min(choices.integer(1, 3), n) for n in extents]
    strides = [choices.integer(1, 2) for _ in extents]
    dilations = [choices.pick((1, 1, 2)) for _ in extents]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = [choices.integer(0, r - 1) if choices.once_in(2) else 0 for r in (*reach, *reach)]
    n = len(extents)
    shape = [
        (extents[k] + pads[k] + pads[k + n] - reach[k]) // strides[k] + 1
        if extents[k] + pads[k] + pads[k + n] >= reach[k] else 0
        for k in range(n)
    ]  # fmt: skip
    if min(shape) < 1:
        return None
    fan = channels // group * int(np.prod(kernel))
    inputs = [
        value.name,
        weights_of(graph, choices, (filters, channels // group, *kernel), fan),
    ]
    if choices.once_in(2):
        inputs.append(graph.constant(numbers(choices, (filters,)), "b"))
    attributes: dict[str, Any] = {
        "strides": strides,
        "dilations": dilations,
        "pads": pads,
        "group": group,
    }
    return graph.value(graph.node("Conv", inputs, **attributes), (filters, *shape))


@rule("ConvTranspose", rank(3, 4))
def _conv_transpose(graph: Graph, value: Value, choices: Choices) -> Value:
    channels, extents = value.shape[0], value.shape[1:]
    filters = choices.integer(1, 4)
    kernel = [choices.integer(1, 3) for _ in extents]
    strides = [choices.integer(1, 2) for _ in extents]
    shape = [(n - 1) * s + k for n, s, k in zip(extents, strides, kernel, strict=True)]
    weights = weights_of(graph, choices, (channels, filters, *kernel), channels)
    name = graph.node("ConvTranspose", [value.name, weights], strides=strides)
    return graph.value(name, (filters, *shape))


@rule("BatchNormalization", rank(2, 3, 4))
def _batch_norm(graph: Graph, value: Value, choices: Choices) -> Value:
    channels = (value.shape[0],)
    given = [numbers(choices, channels) for _ in range(3)]
    given.append(np.abs(numbers(choices, channels)))
    inputs = [value.name, *(graph.constant(array, "b") for array in given)]
    name = graph.node("BatchNormalization", inputs, epsilon=choices.pick((1e-5, 1e-3)))
    return graph.value(name, value.shape)


@rule("LayerNormalization", rank(2, 3, 4), since=17)
def _layer_norm(graph: Graph, value: Value, choices: Choices) -> Value:
    axis = choices.integer(1, value.rank - 1)
    shape = value.shape[axis - 1 :]
    inputs = [value.name, graph.constant(numbers(choices, shape), "b")]
    if choices.once_in(2):
        inputs.append(graph.constant(numbers(choices, shape), "b"))
    return graph.value(graph.node("LayerNormalization", inputs, axis=axis), value.shape)


@rule("RMSNormalization", rank(2, 3, 4), since=23)
def _rms_norm(graph: Graph, value: Value, choices: Choices) -> Value:
    inputs = [value.name, graph.constant(numbers(choices, value.shape[-1:]), "b")]
    return graph.value(graph.node("RMSNormalization", inputs, axis=-1), value.shape)


@rule("InstanceNormalization", rank(3, 4))
def _instance_norm(graph: Graph, value: Value, choices: Choices) -> Value:
    factors = [graph.constant(numbers(choices, value.shape[:1]), "b") for _ in range(2)]
    name = graph.node("InstanceNormalization", [value.name, *factors])
    return graph.value(name, value.shape)


@rule("GroupNormalization", rank(3, 4), since=21)
def _group_norm(graph: Graph, value: Value, choices: Choices) -> Value:
    channels = value.shape[0]
    groups = choices.pick([g for g in (1, channels, 2, 3) if channels % g == 0])
    factors = [graph.constant(numbers(choices, (channels,)), "b") for _ in range(2)]
    name = graph.node("GroupNormalization", [value.name, *factors], num_groups=groups)
    return graph.value(name, value.shape)


@rule("MaxPool", rank(3, 4))
def _max_pool(graph: Graph, value: Value, choices: Choices) -> Value:
    return _pool(graph, value, choices, "MaxPool", {})


@rule("AveragePool", rank(3, 4))
def _average_pool(graph: Graph, value: Value, choices: Choices) -> Value:
    counted = {"count_include_pad": choices.integer(0, 1)}
    return _pool(graph, value, choices, "AveragePool", counted)


def _pool(graph: Graph, value: Value, choices: Choices, op: str, more: dict[str, Any]) -> Value:
    extents = value.shape[1:]
    kernel = [min(choices.integer(1, 3), n) for n in extents]
    strides = [choices.integer(1, 3) for _ in extents]
    pads = [choices.integer(0, k - 1) if choices.once_in(3) else 0 for k in (*kernel, *kernel)]
    n = len(extents)
    shape = [(extents[k] + pads[k] + pads[k + n] - kernel[k]) // strides[k] + 1 for k in range(n)]
    attributes = {"kernel_shape": kernel, "strides": strides, "pads": pads, **more}
    return graph.value(graph.node(op, [value.name], **attributes), (value.shape[0], *shape))


@rule("GlobalAveragePool", rank(3, 4))
def _global_average(graph: Graph, value: Value, choices: Choices) -> Value:
    op = choices.pick(("GlobalAveragePool", "GlobalMaxPool"))
    return graph.value(graph.node(op, [value.name]), (value.shape[0], *[1] * (value.rank - 2)))


@rule("Reduce", rank(2, 3, 4))
def _reduce(graph: Graph, value: Value, choices: Choices) -> Value:
    op = choices.pick(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2"))
    axis, keep = choices.integer(1, value.rank - 1), 1 - choices.integer(0, 1)
    if value.rank == 2:
        keep = 1
    if graph.opset >= 18 or op == "ReduceSum":
        name = graph.node(op, [value.name, graph.integers(axis)], keepdims=keep)
    else:
        name = graph.node(op, [value.name], axes=[axis], keepdims=keep)
    left = [1] if keep else []
    return graph.value(name, (*value.shape[: axis - 1], *left, *value.shape[axis:]))


@rule("Softmax", rank(2, 3, 4))
def _softmax(graph: Graph, value: Value, choices: Choices) -> Value:
    op = choices.pick(("Softmax", "LogSoftmax"))
    axis = choices.pick((-1, *range(1, value.rank)))
    return graph.value(graph.node(op, [value.name], axis=axis), value.shape)


@rule("LSTM", rank(3))
def _recurrent(graph: Graph, value: Value, choices: Choices) -> Value:
    op, gates = choices.pick((("GRU", 3), ("LSTM", 4), ("RNN", 1)))
    steps, fan = value.shape
    units = choices.integer(1, 5)
    direction = choices.pick(("forward", "forward", "reverse", "bidirectional"))
    ways = 1 + (direction == "bidirectional")
    inputs = [
        graph.node("Transpose", [value.name], perm=[1, 0, 2]),
        graph.constant(numbers(choices, (ways, gates * units, fan), fan), "w"),
        graph.constant(numbers(choices, (ways, gates * units, units), units), "w"),
    ]
    if choices.once_in(2):
        inputs.append(graph.constant(numbers(choices, (ways, 2 * gates * units)), "b"))
    more = {"linear_before_reset": choices.integer(0, 1)} if op == "GRU" else {}
    made = graph.node(op, inputs, hidden_size=units, direction=direction, **more)
    turned = graph.node("Transpose", [made], perm=[2, 0, 1, 3])
    whole = graph.integers(0, steps, ways * units)
    return graph.value(graph.node("Reshape", [turned, whole]), (steps, ways * units))
