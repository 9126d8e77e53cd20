"""Rules of quantized and binary layers, as quantizing tools and binary training write them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fuzz.graph import Choices, Graph, Value
from fuzz.rules import any_value, rank, rule
from fuzz.rules_blocks import normalized

Array = np.ndarray[Any, Any]

_TYPES: tuple[tuple[Any, int], ...] = ((np.int8, 0), (np.uint8, 128), (np.uint8, 3), (np.int8, -7))
_SCALES = (0.05, 0.0625, 0.013, 0.5)


def _grid(
    graph: Graph, choices: Choices, types: tuple[tuple[Any, int], ...] = _TYPES
) -> tuple[float, list[str]]:
    """The scale of a quantizer, and the names of its scale and zero point."""
    dtype, zero = choices.pick(types)
    scale = choices.pick(_SCALES)
    names = [graph.constant(np.float32(scale), "s"), graph.constant(np.array(zero, dtype), "z")]
    return scale, names


def _rounded(graph: Graph, name: str, grid: list[str]) -> str:
    codes = graph.node("QuantizeLinear", [name, *grid])
    return graph.node("DequantizeLinear", [codes, *grid])


@rule("QDQ", any_value)
def _quantized(graph: Graph, value: Value, choices: Choices) -> Value:
    _, grid = _grid(graph, choices)
    return graph.value(_rounded(graph, value.name, grid), value.shape)


def _integers(choices: Choices, shape: tuple[int, ...]) -> Array:
    generator = np.random.default_rng(choices.seed())
    drawn = np.clip(np.round(generator.standard_normal(shape) * 40), -127, 127)
    return np.asarray(drawn, np.int8)


def _weights(
    graph: Graph, choices: Choices, shape: tuple[int, ...], axis: int, source: float
) -> tuple[str, str]:
    """Dequantized weights, with one scale or one per output, and a bias on their grid.

    Args:
        graph: to append to.
        choices: of the codes and the scales.
        shape: of the weights.
        axis: of the outputs.
        source: scale of what they are multiplied with.
    """
    count = shape[axis]
    scales = np.float32(0.01) * (1 + np.arange(count, dtype=np.float32) % 3)
    along: dict[str, Any] = {"axis": axis}
    if choices.once_in(2):
        scales, along = scales[:1].reshape(()), {}
    codes = graph.constant(_integers(choices, shape), "q")
    weights = graph.node("DequantizeLinear", [codes, graph.constant(scales, "s")], **along)
    bias = _integers(choices, (count,)).astype(np.int32) * 16
    grid = graph.constant(np.asarray(scales * np.float32(source), np.float32), "s")
    more: dict[str, Any] = {"axis": 0} if scales.ndim else {}
    return weights, graph.node("DequantizeLinear", [graph.constant(bias, "q"), grid], **more)


@rule("Quantized layer", rank(2, 3, 4))
def _quantized_layer(graph: Graph, value: Value, choices: Choices) -> Value:
    """A Conv (rank 4), Gemm (rank 2) or MatMul between quantizers, with Relu or without."""
    scale, grid = _grid(graph, choices)
    x, units = _rounded(graph, value.name, grid), choices.integer(1, 9)
    if value.rank == 4:
        kernel = [choices.integer(1, min(3, n)) for n in value.shape[1:]]
        weights, bias = _weights(graph, choices, (units, value.shape[0], *kernel), 0, scale)
        name = graph.node("Conv", [x, weights, bias])
        extents = [n - k + 1 for n, k in zip(value.shape[1:], kernel, strict=True)]
        shape: tuple[int, ...] = (units, *extents)
    else:
        fan = value.shape[-1]
        shape = (*value.shape[:-1], units)
        if value.rank == 2:
            weights, bias = _weights(graph, choices, (units, fan), 0, scale)
            name = graph.node("Gemm", [x, weights, bias], transB=1)
        else:
            weights, bias = _weights(graph, choices, (fan, units), 1, scale)
            name = graph.node("Add", [graph.node("MatMul", [x, weights]), bias])
    if choices.once_in(2):
        name = graph.node("Relu", [name])
    if not choices.once_in(3):
        name = _rounded(graph, name, _grid(graph, choices)[1])
    return graph.value(name, shape)


@rule("Quantized sum", rank(2, 3, 4))
def _quantized_sum(graph: Graph, value: Value, choices: Choices) -> Value:
    """A residual connection between quantizers."""
    alike = [v for v in reversed(graph.values) if v.shape == value.shape]
    operands = [
        _rounded(graph, v.name, _grid(graph, choices)[1])
        for v in (value, choices.pick(alike[:3]))
    ]  # fmt: skip
    name = graph.node(choices.pick(("Add", "Mul")), operands)
    return graph.value(_rounded(graph, name, _grid(graph, choices)[1]), value.shape)


@rule("QOperator layer", rank(2, 3, 4))
def _operator_layer(graph: Graph, value: Value, choices: Choices) -> Value:
    """QLinearConv (rank 4) or QLinearMatMul."""
    types = choices.pick((_TYPES[::3], _TYPES[1:3]))  # onnxruntime takes one at both ends
    _, grid = _grid(graph, choices, types)
    codes = graph.node("QuantizeLinear", [value.name, *grid])
    units = choices.integer(1, 9)
    scale = graph.constant(np.float32(0.02), "s")
    zero = graph.constant(np.int8(0), "z")
    _, end = _grid(graph, choices, types)
    fan = value.shape[0 if value.rank == 4 else -1]
    if value.rank == 4:
        weights = graph.constant(_integers(choices, (units, fan, 1, 1)), "q")
        op, shape = "QLinearConv", (units, *value.shape[1:])
    else:
        weights = graph.constant(_integers(choices, (fan, units)), "q")
        op, shape = "QLinearMatMul", (*value.shape[:-1], units)
    made = graph.node(op, [codes, *grid, weights, scale, zero, *end])
    return graph.value(graph.node("DequantizeLinear", [made, *end]), shape)


def _signs(graph: Graph, value: Value, choices: Choices) -> str:
    """-1 and 1, as a comparison or as a sign."""
    ones = [graph.constant(np.float32(1)), graph.constant(np.float32(-1))]
    zero = graph.constant(np.float32(0))
    how = choices.byte() % 3
    if how == 2:
        return graph.node("Sign", [value.name])
    name = graph.node("Sign", [value.name]) if how == 1 else value.name
    return graph.node("Where", [graph.node("GreaterOrEqual", [name, zero]), *ones])


def _ones(graph: Graph, choices: Choices, shape: tuple[int, ...]) -> str:
    drawn = np.random.default_rng(choices.seed()).random(shape)
    return graph.constant(np.where(drawn < 0.5, -1, 1).astype(np.float32), "w")


def _products(graph: Graph, value: Value, choices: Choices) -> Value:
    units = choices.integer(1, 9)
    weights = _ones(graph, choices, (value.shape[0], units))
    name = graph.node("MatMul", [_signs(graph, value, choices), weights])
    return graph.value(name, (units,))


@rule("Binary layer", rank(2))
def _binary(graph: Graph, value: Value, choices: Choices) -> Value:
    return _products(graph, value, choices)


@rule("Binary block", rank(2, 4))
def _binary_block(graph: Graph, value: Value, choices: Choices) -> Value:
    """Signs, a layer of signs, batch normalization: what the signs of the next block read."""
    if value.rank == 2:
        return normalized(graph, _products(graph, value, choices), choices)
    units = choices.integer(1, 9)
    kernel = [choices.integer(1, min(3, n)) for n in value.shape[1:]]
    weights = _ones(graph, choices, (units, value.shape[0], *kernel))
    name = graph.node("Conv", [_signs(graph, value, choices), weights])
    extents = [n - k + 1 for n, k in zip(value.shape[1:], kernel, strict=True)]
    return normalized(graph, graph.value(name, (units, *extents)), choices)
