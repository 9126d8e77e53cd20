"""A cell of a netlist as its model sees it: parameters and nets by port."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from actc.targets.fpga.gates.logic import MUX, ONE, ZERO, Logic


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Attributes:
        name, type: as in the netlist.
        parameters: as yosys and nextpnr write them: binary digits for numbers, else text.
        ports: nets by port, bit 0 first; an entry that is None is not connected.
        logic: where its primitives go.
    """

    name: str
    type: str
    parameters: Mapping[str, str | int]
    ports: Mapping[str, tuple[int | None, ...]]
    logic: Logic

    def number(self, parameter: str, default: int = 0) -> int:
        """A parameter that is a number; bits that are unknown are 0."""
        value = self.parameters.get(parameter, default)
        if isinstance(value, int):
            return value
        digits = value.strip().replace("x", "0").replace("z", "0")
        if not digits or set(digits) - {"0", "1"}:
            raise ValueError(f"{parameter} of {self.name} is {value!r}, not a number")
        return int(digits, 2)

    def text(self, parameter: str, default: str) -> str:
        """A parameter that is text; the writers put a space behind one that looks binary."""
        return str(self.parameters.get(parameter, default)).strip()

    def connected(self, port: str) -> bool:
        """Whether the port has a net."""
        return self.ports.get(port, (None,))[:1] not in ((), (None,))

    def input(self, port: str, default: int = ZERO) -> int:
        """The net of a port of one bit, `default` where nothing is connected.

        Lattice cells have a parameter ``<port>MUX`` that fixes or inverts a port.
        """
        bits = self.ports.get(port, ())
        net = bits[0] if bits and bits[0] is not None else default
        mode = self.text(f"{port}MUX", port)
        if mode in ("0", "1"):
            return ONE if mode == "1" else ZERO
        return self.logic.invert(net) if mode == "INV" else net

    def bus(self, port: str, width: int, default: int = ZERO) -> tuple[int, ...]:
        """The nets of a port of many bits, which nextpnr splits into ports of one bit."""
        if port in self.ports:
            bits = (*self.ports[port], *[None] * width)[:width]
        else:
            bits = tuple(self._split(port, number) for number in range(width))
        return tuple(default if bit is None else bit for bit in bits)

    def _split(self, port: str, number: int) -> int | None:
        for name in (f"{port}[{number}]", f"{port}_{number}", f"{port}{number}"):
            if name in self.ports:
                return self.ports[name][0] if self.ports[name] else None
        return None

    def outputs(self, port: str, width: int) -> tuple[int, ...]:
        """The nets of an output of many bits; new ones where nothing is connected."""
        nets = self.bus(port, width, -1)
        # one that is tied to a constant is open: nothing may drive a constant
        return tuple(self.logic.net() if net <= ONE else net for net in nets)

    def output(self, port: str) -> int:
        """The net of an output of one bit; a new one where nothing is connected."""
        return self.outputs(port, 1)[0] if port in self.ports else self.logic.net()


Model = Callable[[Cell], None]
"""Adds the primitives of a cell to its logic."""


def ignore(cell: Cell) -> None:
    """A cell that is no logic."""


def buffer(source: str, target: str) -> Model:
    """A cell whose output is its input."""

    def model(cell: Cell) -> None:
        if cell.connected(target) and cell.connected(source):
            cell.logic.connect(cell.output(target), cell.input(source))

    return model


def constant(port: str, value: int) -> Model:
    """A cell whose output is fixed."""

    def model(cell: Cell) -> None:
        cell.logic.connect(cell.output(port), value)

    return model


def lookup_table(inputs: tuple[str, ...], output: str, parameter: str) -> Model:
    """A look-up table with the given ports, the lowest bit of the index first."""

    def model(cell: Cell) -> None:
        nets = [cell.input(port) for port in inputs]
        truth = cell.number(parameter) & ((1 << (1 << len(inputs))) - 1)
        cell.logic.table(nets, truth, cell.output(output))

    return model


def multiplexer(select: str, one: str, zero: str, output: str) -> Model:
    """A multiplexer with the given ports."""

    def model(cell: Cell) -> None:
        nets = [cell.input(port) for port in (zero, one, select)]
        cell.logic.table(nets, MUX, cell.output(output))

    return model


def carry_half(
    logic: Logic, init: int, inputs: list[int], carry: int, *, inject: bool
) -> tuple[int, int]:
    """Sum and carry of a look-up table with four inputs in a carry chain, of ECP5 and Gowin.

    The sum is the table xor the carry-in; the carry-out is the carry-in where the table is
    1, else the table of the first two inputs, taken from INIT[3:0]. `inject` takes the
    carry-in out of the sum and makes the carry-out 0 where the table is 0.
    """
    total = carried = 0
    for index in range(32):
        carry_in = index >> 4
        table = init >> (index & 15) & 1
        low = 0 if inject else init >> (index & 3) & 1
        total |= (table ^ (0 if inject else carry_in)) << index
        carried |= (carry_in if table else low) << index
    nets = [*inputs, carry]
    return logic.table(nets, total), logic.table(nets, carried)
