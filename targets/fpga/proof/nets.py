"""Where the wires of a design are in its written form, read as a flat circuit."""

from __future__ import annotations

from collections.abc import Mapping

from actc.targets.fpga.hdl import operators as op
from actc.targets.fpga.hdl.design import Design
from actc.targets.fpga.hdl.graph import Wire
from actc.targets.fpga.hdl.hierarchy import hierarchy, paths
from actc.targets.fpga.proof.circuit import Bit, Circuit, NotSeparate


class Nets:
    """Nets of wires.

    Args:
        circuit: what ``write_design`` wrote of `design`, read again.
    """

    def __init__(self, design: Design, circuit: Circuit) -> None:
        self._names: Mapping[int, str] = paths(hierarchy(design))
        self._circuit = circuit

    def name(self, wire: Wire) -> str:
        """What a wire is called, or the wire that it is a part of."""
        while wire.index not in self._names and wire.operands:
            wire = wire.operands[0]
        return self._names.get(wire.index, "a constant")

    def __call__(self, wire: Wire) -> tuple[Bit, ...]:
        """The nets of a wire, bit 0 first, also of one that is written as a part of another.

        Raises:
            NotSeparate: it is not in the circuit.
        """
        return self._bits(wire, wire.width)

    def _bits(self, wire: Wire, width: int) -> tuple[Bit, ...]:
        """The first bits of a wire's two's complement."""
        own = self._own(wire)[: wire.width]
        above = own[-1] if wire.signed else "0"
        return (*own, *[above] * (width - len(own)))[:width]

    def _own(self, wire: Wire) -> tuple[Bit, ...]:
        name, operator = self._names.get(wire.index), wire.operator
        if name is not None:
            found = self._circuit.names.get(name)
            if found is None or len(found) != wire.width:
                raise NotSeparate(f"{name} is not in the Verilog")
            return found
        if isinstance(operator, op.Constant):
            return tuple(str(operator.value >> place & 1) for place in range(wire.width))
        if isinstance(operator, op.Narrow):
            return self._bits(wire.operands[0], wire.width)
        if isinstance(operator, op.Bits):
            bits = self._bits(wire.operands[0], operator.low + operator.count)[operator.low :]
            above = bits[-1] if operator.as_signed else "0"
            return (*bits, *[above] * wire.width)[: wire.width]
        if isinstance(operator, op.ShiftRight):
            return self._bits(wire.operands[0], operator.amount + wire.width)[operator.amount :]
        raise NotSeparate(f"{operator.noun} is not in the Verilog")
