"""Parts of a graph, built once and used again with other wires.

A convolution multiplies the same matrix at every position, and all positions of a channel
go through the same function. The search for a good adder graph, or for the cheapest form
of a function, runs once on a graph of its own; its wires are then built again wherever the
ranges of the inputs are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from actc.targets.fpga.hdl import Graph, Range, Wire
from actc.targets.fpga.hdl import operators as op


@dataclass(frozen=True, slots=True)
class Step:
    """One operator of a template.

    Attributes:
        operator: what it computes.
        operands: numbers of earlier steps, or of inputs.
        hint: its name, "" for none.
    """

    operator: op.Operator
    operands: tuple[int, ...]
    hint: str


@dataclass(frozen=True, slots=True)
class Template:
    """A combinational part of a graph.

    Attributes:
        ranges: of the inputs, which are numbered first.
        steps: numbered behind the inputs, each behind its operands.
        outputs: numbers of what it gives.
    """

    ranges: tuple[Range, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]

    @classmethod
    def record(
        cls, ranges: Sequence[Range], build: Callable[[list[Wire]], Sequence[Wire]]
    ) -> Template:
        """What `build` makes of inputs with these ranges."""
        graph = Graph()
        inputs = [graph.input(f"i{index}", range) for index, range in enumerate(ranges)]
        outputs = build(inputs)
        numbers = {wire.index: number for number, wire in enumerate(inputs)}
        steps: list[Step] = []
        for wire in _needed(graph, outputs):
            if wire.index not in numbers:
                operands = tuple(numbers[operand.index] for operand in wire.operands)
                numbers[wire.index] = len(inputs) + len(steps)
                steps.append(Step(wire.operator, operands, graph.hints.get(wire.index, "")))
        found = tuple(numbers[wire.index] for wire in outputs)
        return cls(tuple(ranges), tuple(steps), found)

    def apply(self, graph: Graph, inputs: Sequence[Wire]) -> list[Wire]:
        """The same in `graph`, of wires whose ranges are those of the template."""
        wires = list(inputs)
        for step in self.steps:
            wire = graph.make(step.operator, *(wires[number] for number in step.operands))
            wires.append(wire.named(step.hint) if step.hint else wire)
        return [wires[number] for number in self.outputs]


def _needed(graph: Graph, outputs: Sequence[Wire]) -> list[Wire]:
    """All wires behind `outputs`, each behind its operands."""
    found: set[int] = set()
    pending = list(outputs)
    while pending:
        wire = pending.pop()
        if wire.index not in found:
            found.add(wire.index)
            pending += wire.operands
    return [graph.wires[index] for index in sorted(found)]
