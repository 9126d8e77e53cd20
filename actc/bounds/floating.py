"""The float network in affine forms.

A form encloses what onnxruntime computes in float32 for one sample, rounding included: a
sum of n products in any order, with or without fused multiply-adds, is within
gamma(n + 8) = (n + 8) u / (1 - (n + 8) u), u = 2^-24, of the sum of magnitudes (Higham,
ch. 3). The 8 are for the rounding of the weights themselves where a layer takes in a
factor (a folded batch normalization).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.bounds import affine, interval, layernorm, normalization, pooling, tensors
from actc.bounds.affine import SLACK, Form, Matrix, Space
from actc.bounds.curve import site_function
from actc.bounds.interval import HALF_ULP, SMALLEST
from actc.bounds.operators import NotEnclosed
from actc.bounds.transfer import applied
from actc.ir.dialect import DOMAIN
from actc.ir.execute import ExecutionError
from actc.ir.graph import attribute_ints, constant, is_op
from actc.ir.sites import Site

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

_FOLDED = 8


@dataclass(frozen=True, eq=False, slots=True)
class Tensor:
    """A form in its shape (one sample: the first axis has length 1)."""

    form: Form
    shape: Shape


@dataclass(slots=True)
class FloatNetwork:
    """The forms of a float graph.

    Attributes:
        model: the recognized float graph.
        sites: its activation sites.
        space: the noise symbols.
        tensors: what is known so far.
        left: nodes that are not covered, with the reason.
    """

    model: ir.Model
    sites: dict[str, Site]
    space: Space
    tensors: dict[ir.Value, Tensor]
    left: list[tuple[ir.Node, str]] = field(default_factory=list)

    def run(self) -> None:
        """Go through the graph; what is not covered goes to `left`.

        Raises:
            TooLarge: too many numbers and symbols.
        """
        unknown: set[ir.Value] = set()
        for node in self.model.graph:
            if any(value in unknown for value in node.inputs):
                unknown.update(node.outputs)
                continue
            try:
                self._step(node)
            except (NotEnclosed, ExecutionError) as problem:
                self.left.append((node, str(problem)))
                unknown.update(node.outputs)

    def _step(self, node: ir.Node) -> None:
        if not any(value in self.tensors for value in node.inputs):
            return  # of constants, or of shapes
        rule = RULES.get((node.domain, node.op_type))
        if rule is None:
            raise NotEnclosed("")
        rule(self, node)

    def tensor(self, value: ir.Value | None) -> Tensor:
        """The tensor of a value; constants are exact.

        Raises:
            NotEnclosed: nothing is known of it.
        """
        if value is not None and value in self.tensors:
            return self.tensors[value]
        array = constant(value)
        if array is None:
            raise NotEnclosed(f"nothing is known of its input {value.name if value else '?'}")
        return Tensor(affine.exact(array), array.shape)

    def weights(self, value: ir.Value | None) -> Array:
        """A constant operand, float64.

        Raises:
            NotEnclosed: it is not constant.
        """
        array = constant(value)
        if array is None:
            raise NotEnclosed("its weights are not constant")
        return array.astype(np.float64)

    def put(self, node: ir.Node, form: Form, shape: Shape) -> None:
        """Say what a node gives."""
        self.tensors[node.outputs[0]] = Tensor(form, shape)


def rounded(form: Form, magnitude: Array, operations: int) -> Form:
    """`form` after float32 operations: their error in units of the magnitudes that went in."""
    terms = operations * HALF_ULP
    gamma = terms / (1 - terms) * (1 + SLACK)
    return affine.loosened(form, gamma * magnitude + operations * SMALLEST)


def linear(network: FloatNetwork, x: Form, matrix: Matrix, bias: Array | float) -> Form:
    """matrix @ x + bias in float32."""
    exact = affine.linear(network.space, matrix, x, bias)
    reach = (abs(matrix) @ x.magnitude() + np.abs(bias)) * (1 + SLACK)
    return rounded(exact, reach, tensors.longest_row(matrix) + _FOLDED)


def _conv(network: FloatNetwork, node: ir.Node) -> None:
    x, weights = network.tensor(node.inputs[0]), network.weights(node.inputs[1])
    spatial = weights.ndim - 2
    if "auto_pad" in node.attributes:
        raise NotEnclosed("it has auto_pad")
    window = {
        "strides": attribute_ints(node, "strides", [1] * spatial),
        "pads": attribute_ints(node, "pads", [0] * (2 * spatial)),
        "dilations": attribute_ints(node, "dilations", [1] * spatial),
    }
    group = node.attributes["group"].as_int() if "group" in node.attributes else 1
    matrix, shape = tensors.convolution(x.shape, weights, group, **window)
    given = node.inputs[2] if len(node.inputs) > 2 else None
    bias = np.zeros(len(weights)) if given is None else network.weights(given)
    offset = np.repeat(bias, int(np.prod(shape[2:])))
    network.put(node, linear(network, x.form, matrix, offset), shape)


def _matmul(network: FloatNetwork, node: ir.Node) -> None:
    matrix = constant(node.inputs[1])
    if matrix is None or matrix.ndim != 2:
        a, b = (network.tensor(value) for value in node.inputs[:2])
        form, shape = normalization.products(network.space, a.form, a.shape, b.form, b.shape)
        reach = normalization.magnitude(a.form, a.shape, b.form, b.shape)
        network.put(node, rounded(form, reach, a.shape[-1] + 1), shape)
        return
    x = network.tensor(node.inputs[0])
    product, shape = tensors.multiplication(x.shape, matrix.astype(np.float64))
    network.put(node, linear(network, x.form, product, 0.0), shape)


def _activation(network: FloatNetwork, node: ir.Node) -> None:
    site, x = network.sites[node.metadata_props["actc.site"]], network.tensor(node.inputs[0])
    function = site_function(site.function)
    channel = channels(x.shape, site.function.axis, site.function.channels)
    network.put(node, applied(network.space, x.form, function, channel), x.shape)


def channels(shape: Shape, axis: int, count: int) -> Array:
    """Which function of a family each number of a tensor goes through."""
    if count == 1:
        return np.zeros(int(np.prod(shape)), int)
    full = [1] * len(shape)
    full[axis] = count
    return np.broadcast_to(np.arange(count).reshape(full), shape).reshape(-1)


def broadcast(a: Tensor, b: Tensor) -> tuple[Form, Form, Shape]:
    """Two operands in their common shape."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    found = [
        affine.gathered(t.form, np.broadcast_to(tensors.positions(t.shape), shape)) for t in (a, b)
    ]
    return found[0], found[1], shape


def _sum(sign: float) -> Callable[[FloatNetwork, ir.Node], None]:
    def run(network: FloatNetwork, node: ir.Node) -> None:
        a, b, shape = broadcast(*(network.tensor(value) for value in node.inputs[:2]))
        reach = a.magnitude() + b.magnitude()
        terms = max(_terms(value) for value in node.inputs[:2])
        network.put(node, rounded(affine.total(a, b, sign), reach, terms + 1), shape)

    return run


def _terms(value: ir.Value | None) -> int:
    """Terms of the sum that gives a value: a runtime may start it with what is added later."""
    node = None if value is None else value.producer()
    weights = constant(node.inputs[1]) if is_op(node, "Conv", "MatMul") and node else None
    if weights is None:
        return 0
    return weights[0].size if node is not None and node.op_type == "Conv" else len(weights)


def _product(network: FloatNetwork, node: ir.Node) -> None:
    a, b, shape = broadcast(*(network.tensor(value) for value in node.inputs[:2]))
    form = affine.promoted(network.space, affine.product(a, b))
    form = rounded(form, a.magnitude() * b.magnitude() * (1 + SLACK), 1)
    low, high = interval.times(a.range(), b.range())
    error = 2 * HALF_ULP * np.maximum(np.abs(low), np.abs(high)) + 2 * SMALLEST
    network.put(node, affine.limited(form, low - error, high + error), shape)


def _pooled(network: FloatNetwork, node: ir.Node) -> None:
    source = node.inputs[0]
    assert source is not None
    x = network.tensor(source)
    matrix, shape = tensors.basis(network.model, node, source, x.shape)
    network.put(node, linear(network, x.form, matrix, 0.0), shape)


def _largest(network: FloatNetwork, node: ir.Node) -> None:
    x = network.tensor(node.inputs[0])
    index, shape = pooling.windows(node, x.shape)
    network.put(node, pooling.largest(network.space, x.form, index), shape)


def _least(network: FloatNetwork, node: ir.Node) -> None:
    x = network.tensor(node.inputs[0])
    index, shape = pooling.windows(node, x.shape)
    found = pooling.largest(network.space, affine.negated(x.form), index)
    network.put(node, affine.negated(found), shape)


def _between(sign: float) -> Callable[[FloatNetwork, ir.Node], None]:
    """Max or Min of tensors."""

    def run(network: FloatNetwork, node: ir.Node) -> None:
        found = [network.tensor(value) for value in node.inputs]
        shape = np.broadcast_shapes(*(tensor.shape for tensor in found))
        size, columns = int(np.prod(shape)), []
        for number, tensor in enumerate(found):
            index = np.broadcast_to(tensors.positions(tensor.shape), shape)
            found[number] = Tensor(affine.gathered(tensor.form, index), shape)
            columns.append(np.arange(size) + number * size)
        both = affine.joined([tensor.form for tensor in found])
        both = affine.negated(both) if sign < 0 else both
        form = pooling.largest(network.space, both, np.stack(columns, axis=1))
        network.put(node, affine.negated(form) if sign < 0 else form, shape)

    return run


def _move(network: FloatNetwork, node: ir.Node) -> None:
    sources = [v for v in dict.fromkeys(node.inputs) if v is not None and v in network.tensors]
    found = [network.tensor(value) for value in sources]
    shapes = {value: tensor.shape for value, tensor in zip(sources, found, strict=True)}
    form = affine.joined([tensor.form for tensor in found]) if len(found) > 1 else found[0].form
    moved = tensors.moved(network.model, node, shapes)
    for output, index in zip(node.outputs, moved, strict=True):
        if index.max(initial=-1) >= form.size:
            raise NotEnclosed("it puts other numbers than those of its inputs")
        network.tensors[output] = Tensor(affine.gathered(form, index), index.shape)


def _softmax(network: FloatNetwork, node: ir.Node) -> None:
    x = network.tensor(node.inputs[0])
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else -1
    form = normalization.softmax(network.space, x.form, x.shape, axis % len(x.shape))
    network.put(node, form, x.shape)


def _layer_norm(network: FloatNetwork, node: ir.Node) -> None:
    x = network.tensor(node.inputs[0])
    axis = layernorm.axis_of(x.shape, node.attributes["axis"].as_int())
    gamma, beta = (
        np.broadcast_to(network.weights(value), x.shape).reshape(-1) for value in node.inputs[1:3]
    )
    epsilon = node.attributes["epsilon"].as_float()
    form = layernorm.layer_norm(network.space, x.form, axis, gamma, beta, epsilon)
    network.put(node, form, x.shape)


MOVES = (
    "Concat", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape", "Slice", "Split",
    "Squeeze", "Tile", "Transpose", "Unsqueeze",
)  # fmt: skip
"""Operators that only move numbers."""

RULES: dict[tuple[str, str], Callable[[FloatNetwork, ir.Node], None]] = {
    ("", "Add"): _sum(1.0),
    ("", "AveragePool"): _pooled,
    ("", "Conv"): _conv,
    ("", "GlobalAveragePool"): _pooled,
    ("", "GlobalMaxPool"): _largest,
    ("", "MatMul"): _matmul,
    ("", "Max"): _between(1.0),
    ("", "MaxPool"): _largest,
    ("", "Min"): _between(-1.0),
    ("", "Mul"): _product,
    ("", "ReduceMax"): _largest,
    ("", "ReduceMean"): _pooled,
    ("", "ReduceMin"): _least,
    ("", "ReduceSum"): _pooled,
    ("", "Softmax"): _softmax,
    ("", "Sub"): _sum(-1.0),
    (DOMAIN, "Activation"): _activation,
    (DOMAIN, "LayerNorm"): _layer_norm,
    **{("", op): _move for op in MOVES},
}
"""Forms of each float operator that is covered."""
