"""Functions of one element: they wait behind the stage that computes it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant
from actc.targets.fpga.folded.lower.tracked import Integers, Lowering, Tracked
from actc.targets.fpga.functions import Stage, StepFunction
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.network import rules_choices, rules_codes
from actc.targets.fpga.network.builder import Builder, Unsupported
from actc.targets.fpga.network.elements import Element, Elements, Tensor, array_of
from actc.targets.fpga.network.lower import key_of, scope_of

Rule = Callable[[Builder, ir.Node], None]

RULES: dict[str, tuple[Rule, tuple[int, ...]]] = {
    "::Cast": (rules_choices.cast, ()),
    "actc::ChannelTable": (rules_codes.channel_table, (2,)),
    "actc::Requantize": (rules_codes.requantize, (1,)),
    "actc::Steps": (rules_codes.steps, (3,)),
    "actc::Table": (rules_codes.table, ()),
}
"""The rule of unrolled networks, and the constants that may differ between elements."""


@dataclass(frozen=True, slots=True)
class Affine:
    """A stage of ``factor * x + offset``, as one of x; factor >= 1."""

    stage: Stage
    factor: int
    offset: int

    def __call__(self, inputs: Range) -> StepFunction:
        """The function, on a range of x."""
        whole = (inputs * Range(self.factor, self.factor)).plus(self.offset)
        return affine(self.stage(whole), self.factor, self.offset, inputs)


def affine(function: StepFunction, factor: int, offset: int, inputs: Range) -> StepFunction:
    """``function(factor * x + offset)`` as a function of x; factor >= 1."""
    if factor == 1:
        return function.moved(-offset)
    starts = -((offset - function.starts) // factor)
    inside = starts[(starts > inputs.low) & (starts <= inputs.high)]
    starts = np.unique(np.append(inside, inputs.low))
    return StepFunction.from_runs(inputs, starts, function.evaluate(starts * factor + offset))


def function(lowering: Lowering, node: ir.Node) -> None:
    """Requantize, Table and the like."""
    rule, differing = RULES[key_of(node)]
    if key_of(node) == "::Cast" and node.attributes["to"].as_int() == ir.DataType.BOOL:
        raise Unsupported("it makes flags of integers")
    apply(lowering, node, rule, 0, differing)


def with_constant(lowering: Lowering, node: ir.Node, at: int) -> None:
    """IntAdd and IntMul of a tensor, input `at`, and a constant."""
    numbers = [lowering.functions.scalar(node, i, "a number") for i in range(2, len(node.inputs))]
    own, other = numbers[at], numbers[1 - at]

    def value(x: Integers, number: int) -> Integers:
        if node.op_type == "IntAdd":
            return np.asarray(x * own + number * other + numbers[2])
        return np.asarray((x - own) * (number - other))

    def rule(builder: Builder, node: ir.Node) -> None:
        x, array = builder.tensor(node, at), builder.constant(node, 1 - at, "an operand")
        found = rules_codes.per_element(array.astype(np.int64), x).tolist()
        stages = {number: _of_values(partial(value, number=number)) for number in set(found)}
        pairs = [((str(node.name), number), stages[number]) for number in found]
        builder.set(node.outputs[0], builder.extended(x, pairs))

    apply(lowering, node, rule, at, (1 - at,))


def _of_values(values: Callable[[Integers], Integers]) -> Stage:
    return lambda inputs: StepFunction.of(inputs, values)


def apply(lowering: Lowering, node: ir.Node, rule: Rule, at: int, differing: Sequence[int]) -> None:
    """Run a rule for one element of each channel; where positions differ, for each element.

    Args:
        at: the variable input.
        differing: constant inputs that may differ between elements.
    """
    x = lowering.tracked(node, at)
    arrays = [constant(node.inputs[index]) for index in differing]
    shapes = [array.shape for array in arrays if array is not None]
    found = _by_channel(lowering, node, rule, at, x, shapes)
    if found is None:
        x = lowering.mapped(x, scope_of(node), node)
        found = _by_channel(lowering, node, rule, at, x, shapes)
    assert found is not None  # every element is a channel now
    if all(new is old for new, old in zip(found, x.elements, strict=True)):
        lowering.moved(node, x, x.index)  # a cast
    else:
        lowering.extended(node, x, found)


def _by_channel(
    lowering: Lowering,
    node: ir.Node,
    rule: Rule,
    at: int,
    x: Tracked,
    shapes: Sequence[tuple[int, ...]],
) -> list[Element] | None:
    """The rule's element of each channel, None where it differs within one."""
    channels = _representatives(x, shapes)
    given = array_of((x.elements[c] for c in channels.flat), channels.shape)
    made = lowering.functions.result(rule, node, at, given)
    if made.shape != channels.shape:
        raise Unsupported("it gives several values per element")
    return _agreed(x, channels, made)


def _agreed(x: Tracked, channels: Integers, made: Elements) -> list[Element] | None:
    found: dict[int, Element] = {}
    for channel, element in zip(channels.flat, made.flat, strict=True):
        first = found.setdefault(int(channel), element)
        if first is not element and _content(first) != _content(element):
            return None
    return [found[channel] for channel in range(len(x.elements))]


def _content(element: Element) -> tuple[Hashable, ...]:
    return element.wire.index, id(element.function), element.factor, element.offset


def _representatives(x: Tracked, shapes: Sequence[tuple[int, ...]]) -> Integers:
    """Channels of those elements of a sample that a rule has to see.

    Args:
        shapes: of constants that broadcast to the tensor with its batch.
    """
    count, rank = x.draft.output.channels, len(x.shape)
    if all(np.prod(shape) == 1 for shape in shapes):
        return np.arange(count).reshape(*[1] * (rank - 1), count)
    channels = x.index % count
    for axis in range(rank):
        fixed = all(shape[axis - rank] == 1 for shape in shapes if len(shape) >= rank - axis)
        first = channels.take([0], axis)
        if fixed and np.array_equal(np.broadcast_to(first, channels.shape), channels):
            channels = first
    return channels


def extended(
    lowering: Lowering, elements: Sequence[Element], stages: Sequence[tuple[Hashable, Stage]]
) -> list[Element]:
    """One more function behind each channel's element."""
    functions = lowering.functions
    tensor = Tensor(array_of(elements, (len(elements),)), functions.layer)
    return list(functions.extended(tensor, stages))
