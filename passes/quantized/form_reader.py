"""Operators between a layer and a sign, read as polynomials of `actc.passes.quantized.forms`."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.elementwise import EVALUATORS, attributes_of, is_elementwise
from actc.ir.graph import channel_vector, constant, dims, is_op
from actc.passes.quantized.forms import Form, NotLinear, constants, fractions

Array = np.ndarray[Any, Any]

LAYERS = ("Conv", "Gemm", "MatMul")
COMPARISONS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
_SIGNS = np.array([-1.0, 0.0, 1.0])


class FormReader:
    """Reads one sign: what it compares, and what it gives below, at and above zero.

    Attributes:
        start: the layer's result that everything is computed of, once something was read.
        margin: what is compared with zero, once a comparison was read.
        nodes: all nodes between, in no order.
    """

    def __init__(self) -> None:
        self.start: ir.Value | None = None
        self.margin: Form | None = None
        self.nodes: dict[ir.Node, None] = {}
        self._forms: dict[ir.Value, Form] = {}
        self._few: dict[ir.Value, Array] = {}

    @property
    def channels(self) -> int:
        """Of the layer."""
        return self._shape()[1]

    @property
    def positions(self) -> int:
        """Of the layer's result, per channel."""
        return math.prod(self._shape()[2:])

    def sign(self, value: ir.Value) -> Array:
        """What a value is where the margin is negative, zero and positive: float64 [3].

        Raises:
            NotLinear: it is no function of the sign of one margin.
        """
        if value not in self._few:
            self._few[value] = self._sign(value)
        return self._few[value]

    def _sign(self, value: ir.Value) -> Array:
        array = constant(value)
        if array is not None:
            if not array.size or np.any(array != array.reshape(-1)[0]):
                raise NotLinear("a sign meets different constants")
            return np.repeat(np.float64(array.reshape(-1)[0]), 3)
        node = value.producer()
        if node is None or not is_elementwise(node):
            raise NotLinear("a sign is computed of something else")
        self.nodes[node] = None
        if is_op(node, *COMPARISONS, "Sign"):
            with contextlib.suppress(NotLinear):  # it may be a sign of a sign
                return self._compared(node)
        inputs = [None if v is None else self.sign(v) for v in node.inputs]
        return np.asarray(EVALUATORS[node.op_type](inputs, attributes_of(node)))

    def _compared(self, node: ir.Node) -> Array:
        forms = [self._operand(v, node) for v in node.inputs if v is not None]
        if not any(isinstance(form, Form) for form in forms):
            raise NotLinear("it compares no numbers of a layer")
        full = [form if isinstance(form, Form) else Form({0: self._vector(form)}) for form in forms]
        minus = constants(-1, self.channels)
        margin = full[0] if len(full) == 1 else full[0].plus(full[1].scaled(minus))
        if self.margin is None:
            self.margin = margin
        turned = 1.0
        if not margin.equals(self.margin):
            if not margin.equals(self.margin.scaled(minus)):
                raise NotLinear("it compares different numbers")
            turned = -1.0
        zeros: list[Array | None] = [_SIGNS * turned, np.zeros(3)]
        return np.asarray(EVALUATORS[node.op_type](zeros[: len(full)], attributes_of(node)))

    def form(self, value: ir.Value | None) -> Form:
        """A value as a polynomial.

        Raises:
            NotLinear: it is none.
        """
        if value is None:
            raise NotLinear("an input is absent")
        if value not in self._forms:
            self._forms[value] = self._form(value)
        return self._forms[value]

    def _form(self, value: ir.Value) -> Form:
        node = value.producer()
        if node is None:
            raise NotLinear("it is computed of an input of the model")
        if is_op(node, *LAYERS):
            return self._begin(value)
        rule = _RULES.get(node.op_type) if node.domain == "" else None
        if rule is None:
            raise NotLinear(f"operator {node.op_type}")
        form = rule(self, node)
        self._check(value)
        self.nodes[node] = None
        return form

    def _begin(self, value: ir.Value) -> Form:
        if self.start not in (None, value):
            raise NotLinear("it is computed of two layers")
        self.start, shape = value, dims(value)
        rank = 2 if not is_op(value.producer(), "Conv") else 0
        if shape is None or len(shape) < 2 or rank not in (0, len(shape)):
            raise NotLinear("the channels are not the second axis")
        if any(size is None for size in shape[1:]):
            raise NotLinear("its extents are not known")
        return Form({1: constants(1, self.channels)})

    def _shape(self) -> list[int]:
        return [size or 0 for size in dims(self.start) or (0, 0)]

    def _check(self, value: ir.Value) -> None:
        """Whether channels lie along axis 1, and every other axis is the layer's own or 1.

        Raises:
            NotLinear: something else.
        """
        shape, own = dims(value), self._shape()
        if shape is None or not shape or len(shape) > len(own):
            raise NotLinear("a shape is not known")
        for axis, size in enumerate(shape[1:], start=1):
            whole = len(shape) == len(own) or axis == 1
            if size != 1 and not (whole and size == own[axis]):
                raise NotLinear("axes are moved")

    def _operand(self, value: ir.Value, node: ir.Node) -> Form | Array:
        """An operand of an elementwise node: a polynomial, or numbers: one or one per channel."""
        array = constant(value)
        if array is None:
            form = self.form(value)
            shapes = [dims(v) for v in (*node.inputs, *node.outputs) if constant(v) is None]
            if len({len(shape) for shape in shapes if shape is not None}) != 1:
                raise NotLinear("tensors of different ranks meet")
            return form
        if array.size == 1:
            return array.reshape(-1)
        self.start_of(node)
        shape = dims(node.outputs[0])
        vector = None if shape is None else channel_vector(array, len(shape), 1, self.channels)
        if vector is None:
            raise NotLinear("its constants are none per channel")
        return vector

    def start_of(self, node: ir.Node) -> None:
        """Read the variable operands first, so that the layer is known."""
        for value in node.inputs:
            if value is not None and constant(value) is None:
                self.form(value)

    def _vector(self, numbers: Array) -> Array:
        return fractions(numbers, self.channels)

    def operands(self, node: ir.Node) -> list[Form]:
        """All operands as polynomials."""
        self.start_of(node)
        found = [self._operand(v, node) for v in node.inputs if v is not None]
        return [f if isinstance(f, Form) else Form({0: self._vector(f)}) for f in found]

    def reduced(self, node: ir.Node, form: Form, axes: list[int], *, mean: bool) -> Form:
        """A sum or mean over all positions, over all channels, or both.

        Raises:
            NotLinear: over something else.
        """
        shape = dims(node.inputs[0]) or ()
        over = {axis % len(shape) for axis in axes} if shape else set()
        rest = [axis for axis in range(2, len(shape)) if axis not in over and shape[axis] != 1]
        wide = [axis for axis in over if axis >= 2 and shape[axis] != 1]
        if not over or 0 in over or (wide and rest) or (1 in over and rest):
            raise NotLinear("it is a statistic over some of the positions")
        count = math.prod(shape[axis] or 0 for axis in over)
        extents = self._shape()
        full = len(shape) == len(extents) and list(shape[2:]) == extents[2:]
        if len(over - {1}) or (1 in over and full):
            form = form.summed(self.positions) if full else form
        if 1 in over and shape[1] != 1:
            form = form.joined()
        return form.scaled(constants(Fraction(1, count), self.channels)) if mean else form


Rule = Callable[[FormReader, ir.Node], Form]


def _add(reader: FormReader, node: ir.Node) -> Form:
    first, *others = reader.operands(node)
    for other in others:
        first = first.plus(other)
    return first


def _subtract(reader: FormReader, node: ir.Node) -> Form:
    a, b = reader.operands(node)
    return a.plus(b.scaled(constants(-1, reader.channels)))


def _multiply(reader: FormReader, node: ir.Node) -> Form:
    a, b = reader.operands(node)
    return a.times(b)


def _divide(reader: FormReader, node: ir.Node) -> Form:
    a, b = reader.operands(node)
    if not b.number or np.any(b.own[0] == 0):
        raise NotLinear("it divides by what varies, or by zero")
    return a.scaled(1 / b.own[0])


def _negate(reader: FormReader, node: ir.Node) -> Form:
    return reader.form(node.inputs[0]).scaled(constants(-1, reader.channels))


def _same(reader: FormReader, node: ir.Node) -> Form:
    return reader.form(node.inputs[0])


def _cast(reader: FormReader, node: ir.Node) -> Form:
    if ir.DataType(node.attributes["to"].as_int()) not in (ir.DataType.FLOAT, ir.DataType.DOUBLE):
        raise NotLinear("it rounds")
    return reader.form(node.inputs[0])


def _power(reader: FormReader, node: ir.Node) -> Form:
    x, exponent = reader.form(node.inputs[0]), constant(node.inputs[1])
    if exponent is None or exponent.size != 1 or exponent.item() not in (1, 2, 3):
        raise NotLinear("a power that is not 1, 2 or 3")
    found = x
    for _ in range(int(exponent.item()) - 1):
        found = found.times(x)
    return found


def _batch_norm(reader: FormReader, node: ir.Node) -> Form:
    """As `batch_norms` spells it: the deviation is a number of float32."""
    x = reader.form(node.inputs[0])
    arrays = [constant(value) for value in node.inputs[1:5]]
    training = node.attributes.get("training_mode")
    if any(a is None for a in arrays) or (training is not None and training.as_int()):
        raise NotLinear("a batch norm that is not constant")
    gamma, beta, mean, variance = (np.asarray(a, np.float64) for a in arrays)
    given = node.attributes.get("epsilon")
    deviation = np.sqrt(variance + (1e-5 if given is None else given.as_float()))
    if not np.all(deviation > 0):
        raise NotLinear("a batch norm that divides by zero")
    count = reader.channels
    g, b, m, d = (fractions(np.float32(a), count) for a in (gamma, beta, mean, deviation))
    return x.plus(Form({0: -m})).scaled(g / d).plus(Form({0: b}))


def _axes(node: ir.Node) -> list[int]:
    """Axes of a reduction: an input, an attribute, or all."""
    value = node.inputs[1] if len(node.inputs) > 1 else None
    if value is not None:
        array = constant(value)
        if array is None:
            raise NotLinear("its axes are computed")
        found = [int(axis) for axis in array.reshape(-1)]
    else:
        given = node.attributes.get("axes")
        found = [] if given is None else [int(axis) for axis in given.as_ints()]
    if not found:
        raise NotLinear("it reduces the batch too, or nothing")
    return found


def _reduce(reader: FormReader, node: ir.Node) -> Form:
    form = reader.form(node.inputs[0])
    if node.op_type == "ReduceSumSquare":
        form = form.times(form)
    return reader.reduced(node, form, _axes(node), mean=node.op_type == "ReduceMean")


def _global_average(reader: FormReader, node: ir.Node) -> Form:
    form = reader.form(node.inputs[0])
    axes = list(range(2, len(dims(node.inputs[0]) or ())))
    return reader.reduced(node, form, axes, mean=True)


def _reshape(reader: FormReader, node: ir.Node) -> Form:
    """Only of what has one element per channel, or per sample."""
    form = reader.form(node.inputs[0])
    shapes = [dims(node.inputs[0]), dims(node.outputs[0])]
    if any(shape is None for shape in shapes) or any(form.own.keys() - {0}):
        raise NotLinear("positions are moved")
    sizes = [[size for size in (shape or ())[1:] if size != 1] for shape in shapes]
    if sizes[0] != sizes[1]:
        raise NotLinear("axes are moved")
    return form


_RULES: dict[str, Rule] = {
    "Add": _add,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Div": _divide,
    "Flatten": _reshape,
    "GlobalAveragePool": _global_average,
    "Identity": _same,
    "Mul": _multiply,
    "Neg": _negate,
    "Pow": _power,
    "ReduceMean": _reduce,
    "ReduceSum": _reduce,
    "ReduceSumSquare": _reduce,
    "Reshape": _reshape,
    "Squeeze": _reshape,
    "Sub": _subtract,
    "Sum": _add,
    "Unsqueeze": _reshape,
}
"""Operators that keep a polynomial one."""
