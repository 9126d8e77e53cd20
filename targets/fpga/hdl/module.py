"""Modules: named graphs with ports."""

from __future__ import annotations

from dataclasses import dataclass

from actc.targets.fpga.hdl import operators as op
from actc.targets.fpga.hdl.graph import Graph, Wire


@dataclass(frozen=True, slots=True)
class Output:
    """A port that a wire drives.

    Attributes:
        name: of the port.
        wire: what drives it.
        width: of the port, in bits; may be wider than the wire.
    """

    name: str
    wire: Wire
    width: int


@dataclass(frozen=True, eq=False)
class Module:
    """A graph with ports.

    Attributes:
        name: of the module; sanitized where it is written.
        inputs: the input wires, in the order of the ports.
        outputs: the output ports, in order.
        comments: lines that introduce the written module.

    Raises:
        ValueError: no output, ports of the same name, an output that is wider than its
            port or reads an input that is not listed, or wires of different graphs.
    """

    name: str
    inputs: tuple[Wire, ...]
    outputs: tuple[Output, ...]
    comments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.outputs:
            raise ValueError("a module has outputs")
        if any(wire.graph is not self.graph for wire in self.inputs) or any(
            out.wire.graph is not self.graph for out in self.outputs
        ):
            raise ValueError("the wires belong to different graphs")
        names = [port_name(wire) for wire in self.inputs] + [out.name for out in self.outputs]
        if len(set(names)) < len(names):
            raise ValueError(f"two ports of {self.name} have the same name")
        for out in self.outputs:
            if out.wire.width > out.width:
                raise ValueError(f"{out.name} has {out.width} bits, not {out.wire.range}")
        for wire in self.wires():
            if isinstance(wire.operator, op.Input) and wire not in self.inputs:
                raise ValueError(f"{self.name} reads {wire.operator.name}, which is no port")

    @property
    def graph(self) -> Graph:
        """Where its wires live."""
        return self.outputs[0].wire.graph

    def wires(self) -> list[Wire]:
        """All wires that the outputs need, each behind its operands."""
        needed: set[int] = set()
        pending = [out.wire for out in self.outputs]
        while pending:
            wire = pending.pop()
            if wire.index not in needed:
                needed.add(wire.index)
                pending += wire.operands
        return [self.graph.wires[index] for index in sorted(needed)]

    @property
    def clocked(self) -> bool:
        """Whether it has registers."""
        return any(isinstance(wire.operator, op.Register) for wire in self.wires())

    @property
    def latency(self) -> int | None:
        """Clocks from every input to every output; None where paths differ."""
        clocks: dict[int, int] = {}
        for wire in self.wires():
            if wire.value is not None:
                continue
            known = [clocks[operand.index] for operand in wire.operands if operand.value is None]
            same = known[0] if known else 0
            if any(other != same for other in known):
                return None
            clocks[wire.index] = same + isinstance(wire.operator, op.Register)
        ends = {clocks[out.wire.index] for out in self.outputs if out.wire.value is None}
        if len(ends) > 1:
            return None
        return ends.pop() if ends else 0


def port_name(wire: Wire) -> str:
    """The name of an input.

    Raises:
        ValueError: the wire is no input.
    """
    if not isinstance(wire.operator, op.Input):
        raise ValueError("only inputs are ports")
    return wire.operator.name
