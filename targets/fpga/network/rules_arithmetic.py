"""Rules for sums and products of two tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant, is_op
from actc.targets.fpga.functions import Requantization, StepFunction, multiply
from actc.targets.fpga.hdl import Range, Wire
from actc.targets.fpga.network.boundary import only_reader
from actc.targets.fpga.network.builder import Array, Builder, Unsupported
from actc.targets.fpga.network.elements import Element, Elements, Tensor, array_of
from actc.targets.fpga.network.joint import smaller_sum
from actc.targets.fpga.network.products import product


def int_add(builder: Builder, node: ir.Node) -> None:
    """IntAdd, and a Requantize that alone reads it: the sum may then have smaller factors."""
    a, b = _operands(builder, node)
    factors = [builder.scalar(node, index, "a factor") for index in (2, 3)]
    bias = builder.scalar(node, 4, "the bias")
    pairs = list(zip(a.reshape(-1), b.reshape(-1), strict=True))
    reader = only_reader(node.outputs[0])
    stage = _rounding(reader)
    if reader is None or stage is None:
        found = [_sum(builder, pair, factors, bias) for pair in pairs]
        builder.set(node.outputs[0], array_of(found, a.shape))
        return
    found = [_rounded_sum(builder, pair, factors, bias, stage) for pair in pairs]
    builder.done.add(reader)
    builder.set(reader.outputs[0], array_of(found, a.shape))


def _rounding(reader: ir.Node | None) -> Requantization | None:
    """What a node does to all elements alike, if it is a Requantize."""
    if reader is None or not is_op(reader, "Requantize", domain="actc"):
        return None
    numbers = [constant(value) for value in reader.inputs[1:]]
    given = [int(array.item()) for array in numbers if array is not None and array.size == 1]
    return Requantization(*given) if len(given) == len(numbers) else None


def _sum(builder: Builder, pair: Sequence[Element], factors: Sequence[int], bias: int) -> Element:
    return product(builder, np.array([factors]), pair, np.array([bias]))[0]


def _rounded_sum(
    builder: Builder,
    pair: Sequence[Element],
    factors: Sequence[int],
    bias: int,
    stage: Requantization,
) -> Element:
    """A sum behind `stage`, with the smallest factors that round alike."""
    codes = [builder.settle(element) for element in pair]
    wires = [Element(element.wire) for element in codes]
    weights = [factor * code.factor for factor, code in zip(factors, codes, strict=True)]
    bias += sum(factor * code.offset for factor, code in zip(factors, codes, strict=True))
    joint = None
    if wires[0].wire is not wires[1].wire and not any(e.range.single for e in wires):
        joint = smaller_sum(wires[0].range, wires[1].range, tuple(weights), bias, stage)
    if joint is not None:
        total = _sum(builder, wires, joint.factors, 0)
        function = joint.function.cut(total.wire.range)
        return builder.pending(total.wire, builder.shared(function))
    total = _sum(builder, wires, weights, bias)
    one = Tensor(array_of([total], (1,)), builder.layer)
    made: Element = builder.extended(one, [(stage, stage)]).item()
    return made


def int_mul(builder: Builder, node: ir.Node) -> None:
    """IntMul, WideMul."""
    a, b = _operands(builder, node)
    zeros = [builder.scalar(node, index, "the zero point") for index in (2, 3)]
    pairs = zip(a.reshape(-1), b.reshape(-1), strict=True)
    found = [_product(builder, first, second, zeros) for first, second in pairs]
    builder.set(node.outputs[0], array_of(found, a.shape))


def _product(builder: Builder, a: Element, b: Element, zeros: list[int]) -> Element:
    """(a - zeros[0]) * (b - zeros[1])."""
    a, b = builder.settle(a), builder.settle(b)
    for first, second, zero in ((a, b, zeros[0]), (b, a, zeros[1])):
        if first.wire.value is not None:
            number = builder.number(first) - zero
            other = zeros[1] if first is a else zeros[0]
            bias = np.array([-number * other])
            return product(builder, np.array([[number]]), [second], bias)[0]
    builder.layer.multiplications += 1
    if a.wire is b.wire:
        return _square(builder, a, b, zeros)
    wires = [
        builder.wire(Element(e.wire, None, (), e.factor, e.offset - zero))
        for e, zero in zip((a, b), zeros, strict=True)
    ]
    range = wires[0].range * wires[1].range
    return Element(builder.template("multiply", wires, _multiplied, [range])[0])


def _multiplied(wires: list[Wire]) -> list[Wire]:
    return [multiply(wires[0], wires[1])]


def _square(builder: Builder, a: Element, b: Element, zeros: list[int]) -> Element:
    """The product of two elements of the same wire is a function of it."""

    def values(codes: Array) -> Array:
        first, second = (
            e.factor * codes + e.offset - zero for e, zero in zip((a, b), zeros, strict=True)
        )
        return np.asarray(first * second)

    def stage(range: Range) -> StepFunction:
        return StepFunction.of(range, values)

    key = "square", a.factor, a.offset, b.factor, b.offset, *zeros
    one = Tensor(array_of([Element(a.wire)], (1,)), builder.layer)
    made: Element = builder.extended(one, [(key, stage)]).item()
    return made


def int_batch_matmul(builder: Builder, node: ir.Node) -> None:
    """IntBatchMatMul, WideBatchMatMul: products of two tensors, or of one and a constant."""
    a, b = (builder.operand(node, index, _rank(builder, node)) for index in (0, 1))
    zeros = [builder.scalar(node, index, "the zero point") for index in (2, 3)]
    left, right = a.elements, b.elements
    if min(left.ndim, right.ndim) < 2 or left.shape[-1] != right.shape[-2]:
        raise Unsupported(f"it multiplies samples of {a.shape} by {b.shape}")
    front = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left = np.broadcast_to(left, (*front, *left.shape[-2:]))
    right = np.broadcast_to(right, (*front, *right.shape[-2:]))
    shape = (*front, left.shape[-2], right.shape[-1])
    rows = left.reshape(-1, *left.shape[-2:])
    columns = np.swapaxes(right, -1, -2).reshape(len(rows), right.shape[-1], -1)
    found = [
        _inner_product(builder, row, column, zeros)
        for block, other in zip(rows, columns, strict=True)
        for row in block
        for column in other
    ]
    builder.set(node.outputs[0], array_of(found, shape))


def _inner_product(builder: Builder, a: Elements, b: Elements, zeros: list[int]) -> Element:
    terms = [_product(builder, *pair, zeros) for pair in zip(a, b, strict=True)]
    ones = np.ones((1, len(terms)), np.int64)
    return product(builder, ones, terms, np.zeros(1, np.int64))[0]


def _operands(builder: Builder, node: ir.Node) -> tuple[Elements, Elements]:
    """Both operands in the shape of the result."""
    rank = _rank(builder, node)
    a, b = (builder.operand(node, index, rank).elements for index in (0, 1))
    found = np.broadcast_arrays(a, b)
    return found[0], found[1]


def _rank(builder: Builder, node: ir.Node) -> int:
    """The rank of the operands that are computed, with the batch.

    Raises:
        Unsupported: they differ, so that the batch would meet another axis.
    """
    ranks = {
        len(builder.tensors[value].shape) + 1
        for value in node.inputs[:2]
        if value is not None and value in builder.tensors
    }
    if len(ranks) != 1:
        raise Unsupported("it joins tensors of different rank", "give both the batch in front")
    return ranks.pop()
