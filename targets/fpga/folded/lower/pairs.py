"""Sums and products of two tensors."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant, is_op
from actc.targets.fpga.folded.lower.functions import extended, with_constant
from actc.targets.fpga.folded.lower.repeated import repeated
from actc.targets.fpga.folded.lower.tracked import (
    REORDERED,
    Draft,
    Integers,
    Lowering,
    Path,
    Tracked,
)
from actc.targets.fpga.folded.program import ProductStage, Stream, SumStage
from actc.targets.fpga.functions import Requantization, Stage, StepFunction
from actc.targets.fpga.functions.stages import in_stages
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.network.boundary import only_reader
from actc.targets.fpga.network.builder import Unsupported
from actc.targets.fpga.network.joint import smaller_sum
from actc.targets.fpga.network.lower import scope_of


def int_add(lowering: Lowering, node: ir.Node) -> None:
    """IntAdd, and a Requantize that alone reads it: the sum may then have smaller factors."""
    pair = _operands(lowering, node)
    if pair is None:
        return
    a, b = pair
    numbers = lowering.functions
    factors = (numbers.scalar(node, 2, "a factor"), numbers.scalar(node, 3, "a factor"))
    bias = numbers.scalar(node, 4, "the bias")
    reader = only_reader(node.outputs[0])
    stage = _rounding(reader)
    joint = None
    single = a.range.single or b.range.single
    if reader is not None and stage is not None and not single:
        joint = smaller_sum(a.range, b.range, factors, bias, stage)
    if reader is None or joint is None:
        made = _sum(lowering, node, a, b, factors, bias)
        lowering.values[node.outputs[0]] = Tracked(made, a.index)
        return
    made = _sum(lowering, node, a, b, joint.factors, 0)
    cut = joint.function.cut
    total = Tracked(made, a.index)
    lowering.values[node.outputs[0]] = total
    pairs = [("joint", cut)] * len(total.elements)
    lowering.extended(reader, total, extended(lowering, total.elements, pairs))
    lowering.done.add(reader)


def _sum(
    lowering: Lowering,
    node: ir.Node,
    a: Tracked,
    b: Tracked,
    factors: tuple[int, int],
    bias: int,
) -> Draft:
    input, output = _streams(a, b)
    first, second = (
        x.range * Range(factor, factor) for x, factor in zip((a, b), factors, strict=True)
    )
    stage = SumStage(lowering.name(scope_of(node)), (), (), input, output, factors)
    count = input.channels
    return lowering.draft(stage, node, [a, b], [first + second] * count, np.full(count, bias))


def _rounding(reader: ir.Node | None) -> Requantization | None:
    """What a node does to all elements alike, if it is a Requantize."""
    if reader is None or not is_op(reader, "Requantize", domain="actc"):
        return None
    numbers = [constant(value) for value in reader.inputs[1:]]
    given = [int(array.item()) for array in numbers if array is not None and array.size == 1]
    return Requantization(*given) if len(given) == len(numbers) else None


def int_mul(lowering: Lowering, node: ir.Node) -> None:
    """IntMul, WideMul."""
    pair = _operands(lowering, node)
    if pair is None:
        return
    a, b = pair
    numbers = lowering.functions
    zeros = (numbers.scalar(node, 2, "the zero point"), numbers.scalar(node, 3, "the zero point"))
    input, output = _streams(a, b)
    product = a.range.plus(-zeros[0]) * b.range.plus(-zeros[1])
    stage = ProductStage(lowering.name(scope_of(node)), (), (), input, output, zeros)
    made = lowering.draft(stage, node, [a, b], [product] * input.channels)
    lowering.values[node.outputs[0]] = Tracked(made, a.index)


def _operands(lowering: Lowering, node: ir.Node) -> tuple[Tracked, Tracked] | None:
    """Both operands; None where the node is a function of one element and done.

    Raises:
        Unsupported: they do not come element by element.
    """
    for at in (0, 1):
        if constant(node.inputs[1 - at]) is not None:
            with_constant(lowering, node, at)
            return None
    a, b = lowering.tracked(node, 0), lowering.tracked(node, 1)
    if a.shape != b.shape:
        shape = np.broadcast_shapes(a.shape, b.shape) if len(a.shape) == len(b.shape) else ()
        if shape == a.shape:
            b = repeated(lowering, node, b, a)
        elif shape == b.shape:
            a = repeated(lowering, node, a, b)
        else:
            raise Unsupported(f"it joins samples of {a.shape} and {b.shape}")
    if a.draft.output.size != b.draft.output.size or not np.array_equal(a.index, b.index):
        raise Unsupported("what it joins comes in two different orders", REORDERED)
    if a.draft is b.draft:
        _joined(lowering, node, a, b)
        return None
    return a, b


def _streams(a: Tracked, b: Tracked) -> tuple[Stream, Stream]:
    """What is read, as the operand with fewer channels sees it, and a result like it."""
    shape = min((a.draft.output.shape, b.draft.output.shape), key=lambda shape: shape[2])
    return Stream(*shape, a.range), Stream(*shape, Range(0, 0))


def _joined(lowering: Lowering, node: ir.Node, a: Tracked, b: Tracked) -> None:
    """Two functions of the same elements, added or multiplied: one function of these."""
    path = common((a.path, b.path))
    shared = Tracked(a.draft, a.index, path)
    numbers = tuple(
        lowering.functions.scalar(node, i, "a number") for i in range(2, len(node.inputs))
    )
    pairs: list[tuple[Hashable, Stage]] = []
    for first, second, base in zip(a.elements, b.elements, shared.elements, strict=True):
        inner = first.stages[len(base.stages) :], second.stages[len(base.stages) :]
        pairs.append(((str(node.name), *inner), _Both(node.op_type, inner, numbers)))
    lowering.extended(node, shared, extended(lowering, shared.elements, pairs))


def common(paths: tuple[Path, ...]) -> Path:
    """What all paths begin with."""
    length = 0
    for nodes in zip(*paths, strict=False):
        if any(node is not nodes[0] for node in nodes):
            break
        length += 1
    return paths[0][:length]


class _Both:
    """The sum or product of two functions of one element.

    Args:
        op: of the node.
        inner: stages of both.
        numbers: the node's constants.
    """

    def __init__(
        self, op: str, inner: tuple[tuple[Stage, ...], tuple[Stage, ...]], numbers: tuple[int, ...]
    ) -> None:
        self.op, self.inner, self.numbers = op, inner, numbers

    def __call__(self, inputs: Range) -> StepFunction:
        """The function, on a range of the element."""
        first, second = (
            in_stages(inputs, stages) if stages else StepFunction.of(inputs, _itself)
            for stages in self.inner
        )
        starts = np.union1d(first.starts, second.starts)
        values = self._values(first.evaluate(starts), second.evaluate(starts))
        return StepFunction.from_runs(inputs, starts, values)

    def _values(self, a: Integers, b: Integers) -> Integers:
        if self.op == "IntAdd":
            factor, other, bias = self.numbers
            return np.asarray(a * factor + b * other + bias)
        return np.asarray((a - self.numbers[0]) * (b - self.numbers[1]))


def _itself(values: Integers) -> Integers:
    return values
