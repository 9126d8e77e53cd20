"""The scheduling problem of a design, and the design that a schedule gives."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from actc.targets.fpga.hdl import operators as op
from actc.targets.fpga.hdl.design import Design, Span
from actc.targets.fpga.hdl.evaluate import compute
from actc.targets.fpga.hdl.graph import Graph, Wire
from actc.targets.fpga.pipeline.delays import delay, is_memory, saving, trailing_zeros
from actc.targets.fpga.pipeline.schedule import Problem, Stages
from actc.targets.fpga.pipeline.timing import Timing


@dataclass(frozen=True)
class Nodes:
    """A design as a scheduling problem.

    A table in a block memory is two nodes, its address and its data one clock later.

    Attributes:
        problem: the graph of nodes.
        wires: the wire of each node.
        node: index of a wire -> the node that its readers read; not of constants.
    """

    problem: Problem
    wires: tuple[Wire, ...]
    node: dict[int, int]


def build_nodes(design: Design, timing: Timing, *, input_register: bool) -> Nodes:
    """The scheduling problem of a combinational design."""
    wires: list[Wire] = []
    delays: list[float] = []
    operands: list[tuple[int, ...]] = []
    steps: dict[tuple[int, int], int] = {}
    savings: dict[tuple[int, int], float] = {}
    node: dict[int, int] = {}
    for wire in design.module().wires():
        if wire.value is not None:
            continue
        read = sorted({node[o.index] for o in wire.operands if o.value is None})
        for operand in wire.operands:
            saved = saving(operand, wire, timing)
            if saved:
                savings[node[operand.index], len(wires)] = saved
        wires.append(wire)
        delays.append(delay(wire, timing))
        operands.append(tuple(read))
        if is_memory(wire):
            steps[len(wires) - 1, len(wires)] = 1
            operands.append((len(wires) - 1,))
            wires.append(wire)
            delays.append(timing.memory_read)
        node[wire.index] = len(wires) - 1
    ends = {o.index for bus in design.outputs for o in bus.wires if o.value is None}
    problem = Problem(
        delays=tuple(delays),
        # zeros at the end are constants, which take no flip-flops
        widths=tuple(wire.width - trailing_zeros(wire) for wire in wires),
        operands=tuple(operands),
        outputs=tuple(sorted(node[index] for index in ends)),
        steps=steps,
        savings=savings,
        first=int(input_register),
    )
    return Nodes(problem, tuple(wires), node)


def build_design(design: Design, nodes: Nodes, stages: Stages, latency: int) -> Design:
    """The design with registers: every wire in its stage, outputs after `latency` clocks.

    The registers begin with what they hold if the inputs have always been the values
    nearest to 0, so that claims of narrow ranges hold from the first clock on.
    """
    return _Builder(design, nodes, stages).build(latency)


class _Builder:
    def __init__(self, design: Design, nodes: Nodes, stages: Stages) -> None:
        self._design = design
        self._nodes = nodes
        self._stages = stages
        self._graph = Graph()
        self._steady = _steady(design)
        # by index of the old wire: the new one, and it delayed by one, two, ... clocks
        self._made: dict[int, list[Wire]] = {}

    def build(self, latency: int) -> Design:
        old, design = self._design.graph, self._design
        inputs = {wire.index for bus in design.inputs for wire in bus.wires}
        needed = {wire.index: wire for wire in design.module().wires()}
        for index in sorted(inputs | needed.keys()):
            wire = old.wires[index]
            with self._graph.scope(old.scopes[index]):
                new = self._graph.make(wire.operator, *self._operands(wire))
            if index in old.hints:
                new.named(old.hints[index])
            self._made[index] = [new]

        def bus_wires(wires: tuple[Wire, ...], stage: int) -> tuple[Wire, ...]:
            return tuple(self._at(wire, stage) for wire in wires)

        return Design(
            design.name,
            tuple(replace(bus, wires=bus_wires(bus.wires, 0)) for bus in design.inputs),
            tuple(replace(bus, wires=bus_wires(bus.wires, latency)) for bus in design.outputs),
            design.comments,
            tuple(Span(*(self._made[w.index][0] for w in (s.start, s.end))) for s in design.spans),
        )

    def _operands(self, wire: Wire) -> list[Wire]:
        if wire.index not in self._nodes.node:
            return []  # a constant, or an input that nothing reads
        # the address of a memory is read one stage before its data are there
        stage = int(self._stages[self._nodes.node[wire.index]]) - is_memory(wire)
        return [self._at(operand, stage) for operand in wire.operands]

    def _at(self, wire: Wire, stage: int) -> Wire:
        """The new wire for an old one, as it is in a stage."""
        delayed = self._made[wire.index]
        if wire.value is not None or wire.index not in self._nodes.node:
            return delayed[0]
        first = int(self._stages[self._nodes.node[wire.index]]) - is_memory(wire)
        hint = self._design.graph.hints.get(wire.index, wire.operator.noun)
        with self._graph.scope(self._design.graph.scopes[wire.index]):
            while len(delayed) <= stage - first:
                later = delayed[-1].register(self._steady[wire.index], free=True)
                delayed.append(later.named(f"{hint}_s{first + len(delayed)}"))
        return delayed[stage - first]


def _steady(design: Design) -> dict[int, int]:
    """The value of every wire when all inputs are those nearest to 0.

    Where that breaks the claim of a narrow range, as of a word of a memory that holds no zeros,
    the nearest member of that range.
    """
    values: dict[int, int] = {}
    for wire in design.module().wires():
        if isinstance(wire.operator, op.Input):
            values[wire.index] = wire.range.clamp(0)
        else:
            # Python integers: some wires exceed 64 bits
            read = tuple(np.array([values[o.index]], object) for o in wire.operands)
            value = int(np.asarray(compute(wire.operator, read)).item())
            claimed = isinstance(wire.operator, op.Narrow)
            values[wire.index] = wire.range.clamp(value) if claimed else value
    return values
