"""What a pipelined design takes, by estimate: register bits and the longest path per stage."""

from __future__ import annotations

from dataclasses import dataclass

from actc.targets.fpga.hdl import operators as op
from actc.targets.fpga.hdl.design import Design
from actc.targets.fpga.hdl.graph import Wire
from actc.targets.fpga.pipeline.delays import delay, is_memory, saving, trailing_zeros
from actc.targets.fpga.pipeline.timing import Timing


@dataclass(frozen=True, slots=True)
class Stage:
    """The logic between two clocks.

    Attributes:
        number: clocks since the inputs.
        nanoseconds: estimated longest path, registers included.
        path: (scope, name) of the wire where it begins, then of each operator on it that
            takes time.
        register_bits: flip-flops that hold results of this stage.
    """

    number: int
    nanoseconds: float
    path: tuple[tuple[str, str], ...]
    register_bits: int


@dataclass(frozen=True, slots=True)
class PipelineReport:
    """A design's stages.

    Attributes:
        latency: clocks from inputs to outputs.
        stages: in order; the first one is before the input registers, if there are any, the
            last one behind the output registers.
    """

    latency: int
    stages: tuple[Stage, ...]

    @property
    def register_bits(self) -> int:
        """Flip-flops in all, without those inside block memories."""
        return sum(stage.register_bits for stage in self.stages)

    @property
    def critical(self) -> Stage:
        """The stage with the longest path."""
        return max(self.stages, key=lambda stage: stage.nanoseconds)

    @property
    def clock_mhz(self) -> float:
        """The estimated fastest clock."""
        return 1e3 / self.critical.nanoseconds


def report(design: Design, timing: Timing) -> PipelineReport:
    """Estimate the stages of a design with registers on equally long paths.

    Raises:
        ValueError: paths differ in latency.
    """
    latency = design.latency
    if latency is None:
        raise ValueError(f"paths through {design.name} differ in latency")
    wires = [wire for wire in design.module().wires() if wire.value is None]
    clocks: dict[int, int] = {}
    arrivals: dict[int, float] = {}
    before: dict[int, Wire | None] = {}  # the operand that arrives last
    bits = [0] * (latency + 1)
    for wire in wires:
        read = [operand for operand in wire.operands if operand.value is None]
        clocks[wire.index] = max((clocks[operand.index] for operand in read), default=0)
        if isinstance(wire.operator, op.Register):
            from_memory = is_memory(wire.operands[0])
            before[wire.index] = None
            arrivals[wire.index] = timing.memory_read if from_memory else 0.0
            if not from_memory:
                bits[clocks[wire.index]] += wire.width - trailing_zeros(wire)
            clocks[wire.index] += 1
            continue
        starts = [(arrivals[o.index] - saving(o, wire, timing), o) for o in read]
        start, before[wire.index] = max(starts, key=lambda found: found[0], default=(0.0, None))
        arrivals[wire.index] = max(start, 0.0) + delay(wire, timing)
    stages = []
    for number in range(latency + 1):
        inside = [wire for wire in wires if clocks[wire.index] == number]
        end = max(inside, key=lambda wire: arrivals[wire.index], default=None)
        longest = 0.0 if end is None else arrivals[end.index]
        path = _path(end, before, timing)
        stages.append(Stage(number, timing.overhead + longest, path, bits[number]))
    return PipelineReport(latency, tuple(stages))


def _path(
    end: Wire | None, before: dict[int, Wire | None], timing: Timing
) -> tuple[tuple[str, str], ...]:
    """Scope and name of what takes time on the way to `end`."""
    path = []
    while end is not None:
        graph = end.graph
        if delay(end, timing) or before[end.index] is None:
            name = graph.hints.get(end.index, end.operator.noun)
            path.append((graph.scopes[end.index], name))
        end = before[end.index]
    return tuple(reversed(path))
