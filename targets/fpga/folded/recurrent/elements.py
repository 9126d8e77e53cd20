"""The datapath of a step behind the matrix: one output of a unit at a time.

Outputs come in their order: all those of the first gate, and so on; those of the last gate
give new states. One datapath serves both: `last` tells which table it reads, and a GRU's
reset gate works only then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from actc.targets.fpga.folded.hardware import datapath
from actc.targets.fpga.folded.hardware.datapath import Code
from actc.targets.fpga.folded.hardware.memories import packed
from actc.targets.fpga.folded.recurrent.cells import (
    CELL_BOUND,
    FINE,
    ONE,
    Cell,
    GruCell,
    Integers,
    LstmCell,
)
from actc.targets.fpga.hdl import Bus, Design, Graph, Range, Wire

_IN_LOGIC = 130
"""Bits of one factor times those of the other one up to which a product takes no multiplier."""
_IN_PARTS = "the same in parts"


@dataclass(frozen=True, eq=False)
class Elements:
    """The datapath of a cell.

    Attributes:
        cell: what it computes.
        x: range of what is read.
        factor_bits: of the signed factors of a hard multiplier; 0: products are in logic.
    """

    cell: Cell
    x: Range
    factor_bits: int

    @cached_property
    def columns(self) -> dict[str, Integers]:
        """What differs between outputs: multipliers and the bias, where it does."""
        cell = self.cell
        found = {"x": cell.x_multiplier, "h": cell.h_multiplier, "bias": cell.bias}
        return {name: column for name, column in found.items() if np.any(column != column[0])}

    @property
    def parameter_bits(self) -> int:
        """Bits of a word of what differs."""
        return sum(_range(column).width for column in self.columns.values())

    def parameter_words(self) -> list[int]:
        """A word for each output."""
        columns = list(self.columns.values())
        return packed(np.stack(columns, axis=1), [_range(column).width for column in columns])

    @cached_property
    def gate(self) -> Range:
        """Of what gates give."""
        return _range(self.cell.gate_table)

    def design(self, name: str) -> Design:
        """The datapath without registers.

        Ports x, total, parameters (if there are any), last, gates and memory; and gate (of
        outputs that are not last), memory_next and operand (of the last ones).
        """
        graph, cell = Graph(), self.cell
        x = datapath.bus(graph, "x", 1, self.x)
        total = datapath.bus(graph, "total", 1, cell.total, signed=True)
        last = datapath.bus(graph, "last", 1, Range(0, 1))
        gates = datapath.bus(graph, "gates", cell.gates - 1, self.gate)
        memory = datapath.bus(graph, "memory", 1, cell.memory, signed=True)
        buses = [x, total, last, gates, memory]
        if self.parameter_bits:
            word = graph.input("parameters", Range.unsigned(self.parameter_bits))
            buses.append(Bus("parameters", (1,), (word,), self.parameter_bits, False))
        numbers = self._numbers(graph, buses[5].wires[0] if self.parameter_bits else None)
        given = x.wires[0], total.wires[0] + numbers["bias"]
        scaled = [
            self._product(wire, numbers[name]) for wire, name in zip(given, ("x", "h"), strict=True)
        ]
        step = _gru if isinstance(cell, GruCell) else _lstm
        gate, kept, operand = step(self, scaled, last.wires[0], gates.wires, memory.wires[0])
        cut = gate.bits(0, self.gate.width, signed=self.gate.signed)
        outputs = (
            datapath.output("gate", [cut], self.gate),
            _output("memory_next", kept, cell.memory),
            _output("operand", operand, cell.operand),
        )
        return Design(name, tuple(buses), outputs)

    def _numbers(self, graph: Graph, word: Wire | None) -> dict[str, Wire]:
        """Multipliers and the bias of an output."""
        cell, found, place = self.cell, {}, 0
        for name, column in (
            ("x", cell.x_multiplier),
            ("h", cell.h_multiplier),
            ("bias", cell.bias),
        ):
            if name not in self.columns or word is None:
                found[name] = graph.constant(int(column[0]))
                continue
            own = _range(column)
            part = word.bits(place, own.width, signed=own.signed)
            found[name] = part.narrow(own, "the memory holds no others")
            place += own.width
        return found

    def _product(self, a: Wire, b: Wire) -> Wire:
        return product(a, b, self.factor_bits)

    def value(self, p: Wire, last: Wire | None) -> Wire:
        """The table's value at a pre-activation, as the specification interpolates.

        Args:
            last: whether it is that of new states; None: it always is.
        """
        cell, graph = self.cell, p.graph
        tables = [cell.cell_table] if last is None else [cell.gate_table, cell.cell_table]
        values = np.concatenate([table[:-1] for table in tables])
        rises = np.concatenate([np.diff(table) for table in tables])
        entries, q = len(cell.cell_table) - 1, cell.step_bits
        steps = entries << q
        u = (p + steps // 2).saturate(Range(0, steps - 1)).named("u")
        address = u >> q
        if last is not None:
            address = graph.concatenate((last, 1), (address, cell.entry_bits))
        ranges = [_range(values), _range(rises)]
        widths = [own.width for own in ranges]
        words = packed(np.stack([values, rises], axis=1), widths)
        word = graph.lookup(address, words, memory=True).named("entry")
        value = word.bits(0, widths[0], signed=ranges[0].signed)
        value = value.narrow(ranges[0], "the table holds no others")
        if not q:
            return value
        rise = word.bits(widths[0], widths[1], signed=ranges[1].signed)
        rise = rise.narrow(ranges[1], "the table holds no others")
        more = shifted(self._product(rise, u.bits(0, q)), q)
        return (value + more).narrow(_range(np.concatenate(tables)), "between two entries")


def _gru(
    elements: Elements, scaled: Sequence[Wire], last: Wire, gates: Sequence[Wire], memory: Wire
) -> tuple[Wire, Wire, Wire]:
    """The table's value, the new state, and what the matrix reads of it."""
    cell, (x, h), (z, reset) = elements.cell, scaled, gates
    inner = product(reset, shifted(h, cell.shift), elements.factor_bits)
    new = shifted(x, cell.shift) + shifted(inner, ONE)
    p = x.graph.select(last, [shifted(x + h, cell.shift), new])
    value = elements.value(p, last)
    fresh = value << (FINE - ONE)
    # z * memory + (1 - z) * fresh with one product
    mean = fresh + shifted(product(memory - fresh, z, elements.factor_bits), ONE)
    # of other outputs it is not read
    state = mean.bits(0, datapath.width_of(cell.memory, True), signed=True)
    return value, state, shifted(state, FINE - ONE)


def _lstm(
    elements: Elements, scaled: Sequence[Wire], last: Wire, gates: Sequence[Wire], memory: Wire
) -> tuple[Wire, Wire, Wire]:
    """The table's value, the new cell state and the new state."""
    cell, (x, h), (i, o, f) = elements.cell, scaled, gates
    assert isinstance(cell, LstmCell)
    bits = elements.factor_bits
    value = elements.value(shifted(x + h, cell.shift), last)
    fresh = product(i, value, bits) << (cell.cell_bits - ONE)
    kept = shifted(product(memory, f, bits) + fresh, ONE).saturate(Range(-CELL_BOUND, CELL_BOUND))
    squashed = elements.value(shifted(kept, cell.cell_shift), None)
    return value, kept, shifted(product(o, squashed, bits), ONE)


def shifted(wire: Wire, bits: int) -> Wire:
    """``wire / 2^bits``, rounded; ties towards plus infinity."""
    return (wire + ((1 << bits) >> 1)) >> bits


def product(a: Wire, b: Wire, factor_bits: int) -> Wire:
    """``a * b``, in parts that hard multipliers take, or in logic.

    Args:
        factor_bits: of a hard multiplier's signed factors; 0: there is none.
    """
    if a.value is not None or b.value is not None:
        return a * b
    if not factor_bits or a.width * b.width <= _IN_LOGIC:
        first, second = sorted((a, b), key=lambda wire: -wire.width)
        rows = datapath.dot([first], [[second]], Code(second.range), hard=False)
        return rows[0].narrow(a.range * b.range, _IN_PARTS)
    parts = [
        _part(x, y, factor_bits) << (at + to)
        for x, at in _parts(a, factor_bits)
        for y, to in _parts(b, factor_bits)
    ]
    return datapath.total(parts).narrow(a.range * b.range, _IN_PARTS)


def _part(a: Wire, b: Wire, factor_bits: int) -> Wire:
    if a.width * b.width <= _IN_LOGIC:
        return product(a, b, 0)
    return a.times(b)


def _parts(wire: Wire, factor_bits: int) -> list[tuple[Wire, int]]:
    """Parts of a wire that factors can be, with their places."""
    found, place = [], 0
    while wire.width + (not wire.signed) > factor_bits:
        found.append((wire.bits(0, factor_bits - 1), place))
        wire, place = wire >> (factor_bits - 1), place + factor_bits - 1
    return [*found, (wire, place)]


def _output(name: str, wire: Wire, range: Range) -> Bus:
    """A result of the last outputs; of others it may be anything."""
    width = datapath.width_of(range, True)
    return Bus(name, (1,), (wire.bits(0, width, signed=True),), width, True)


def _range(values: Integers) -> Range:
    return Range.of(values.tolist())
