"""Block memories that are never written, as gates and flip-flops.

yosys' simulation library has no model of those of ECP5. What they hold and how they are read is
known from the models that netlists are evaluated with (:mod:`actc.targets.fpga.gates`); each
bit becomes a decision diagram of its address (Bryant, 1986) with a flip-flop behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from actc.targets.fpga.gates.cell import Cell
from actc.targets.fpga.gates.logic import ONE, ZERO, Bits, FlipFlop, Function, Logic, digits
from actc.targets.fpga.gates.netlist import MODELS

EXPANDED: Mapping[str, tuple[str, ...]] = {"ecp5": ("DP16KD",)}
"""Cells by family."""


def without_memories(module: Mapping[str, Any], family: str) -> dict[str, Any]:
    """A module of a netlist with gates in place of such memories.

    Memories that no model takes, as those that are written, stay as they are.
    """
    kinds = EXPANDED.get(family, ())
    cells: dict[str, Any] = {}
    gates = _Gates(module)
    for name, cell in module["cells"].items():
        made = gates.memory(name, cell, family) if cell["type"] in kinds else None
        cells |= {name: cell} if made is None else made
    return {**module, "cells": cells}


Bit: TypeAlias = int | str
"""A net, or a constant."""


class _Gates:
    """Makes gates with nets and names that a module has not."""

    def __init__(self, module: Mapping[str, Any]) -> None:
        entries = [*module["ports"].values(), *module["netnames"].values()]
        bits = [bit for entry in entries for bit in entry["bits"]]
        bits += [
            b for cell in module["cells"].values() for p in cell["connections"].values() for b in p
        ]
        self._next = 1 + max((bit for bit in bits if isinstance(bit, int)), default=1)
        self._read = {
            bit
            for cell in module["cells"].values()
            for port, bits in cell["connections"].items()
            if cell["port_directions"][port] == "input"
            for bit in bits
        } | {bit for port in module["ports"].values() for bit in port["bits"]}

    def memory(self, name: str, cell: Mapping[str, Any], family: str) -> dict[str, Any] | None:
        """The cells in place of a memory; None where it has no such form."""
        logic = Logic()
        nets: dict[Bit, int] = {"0": ZERO, "1": ONE}
        ports: dict[str, tuple[int | None, ...]] = {}
        for port, bits in cell["connections"].items():
            output = cell["port_directions"][port] == "output"
            wanted = [bit for bit in bits if bit in nets or not output or bit in self._read]
            for bit in wanted:
                if bit != "x" and bit not in nets:
                    nets[bit] = logic.net()
            ports[port] = tuple(nets.get(bit) for bit in bits) if wanted else ()
        try:
            MODELS[family][cell["type"]](Cell(name, cell["type"], cell["parameters"], ports, logic))
        except ValueError:
            return None
        back = {net: bit for bit, net in nets.items()}
        if logic.tables or logic.memories or not all(map(_is_plain, logic.flip_flops)):
            return None
        found: dict[str, Any] = {}
        data: dict[int, Bit] = {}
        for function in logic.functions:
            data |= self._table(name, function, back, found)
        for register in logic.flip_flops:
            if register.output in back:
                pins = {"C": back[register.clock], "D": data[register.data]}
                self._add(found, name, "$_DFF_P_", pins, "Q", back[register.output])
        return found

    def _table(
        self,
        name: str,
        function: Function,
        back: Mapping[int, Bit],
        found: dict[str, Any],
    ) -> dict[int, Bit]:
        """Nets of a table's outputs; its gates are added to those found."""
        free = [net for net in dict.fromkeys(function.inputs) if net not in (ZERO, ONE)]
        codes = digits(np.arange(1 << len(free)), len(free))
        given = {net: codes[place] for place, net in enumerate(free)}
        none = np.zeros(1 << len(free), np.uint8)
        given |= {ZERO: none, ONE: none + 1}
        words = function.apply(np.array([given[net] for net in function.inputs], np.uint8))
        known: dict[bytes, Bit] = {}

        def node(column: Bits, variables: int) -> Bit:
            if not column.any() or column.all():
                return str(int(column[0]))
            key = column.tobytes()
            if key not in known:
                low, high = np.split(column, 2)
                below = variables - 1
                pair = [node(half, below) for half in (low, high)]
                if np.array_equal(low, high):
                    known[key] = pair[0]
                else:
                    pins = {"A": pair[0], "B": pair[1], "S": back[free[below]]}
                    known[key] = self._add(found, name, "$_MUX_", pins, "Y", self._net())
            return known[key]

        columns = zip(function.outputs, np.asarray(words, np.uint8), strict=True)
        return {net: node(column, len(free)) for net, column in columns}

    def _net(self) -> int:
        self._next += 1
        return self._next - 1

    def _add(
        self,
        found: dict[str, Any],
        name: str,
        kind: str,
        pins: Mapping[str, Bit],
        port: str,
        output: Bit,
    ) -> Bit:
        found[f"{name}${len(found)}"] = {
            "type": kind,
            "parameters": {},
            "attributes": {},
            "port_directions": {**dict.fromkeys(pins, "input"), port: "output"},
            "connections": {**{pin: [bit] for pin, bit in pins.items()}, port: [output]},
        }
        return output


def _is_plain(register: FlipFlop) -> bool:
    """Whether it takes new data at every rising edge."""
    return register.rising and register.enable == ONE and register.clear == ZERO
