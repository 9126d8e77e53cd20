"""Netlists of real cells, as yosys and nextpnr write them, taken apart into primitives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed
from actc.targets.fpga.families import SYNTHESIZED, find_family
from actc.targets.fpga.gates import ecp5, gowin, ice40, xilinx
from actc.targets.fpga.gates.cell import Cell, Model
from actc.targets.fpga.gates.logic import ONE, ZERO, FlipFlop, Logic, Memory, simplified

MODELS: dict[str, dict[str, Model]] = {
    "ice40": ice40.MODELS,
    "ecp5": ecp5.MODELS,
    "gowin": gowin.MODELS,
    "xc7": xilinx.MODELS,
    "xcup": xilinx.MODELS,
}
"""The model of each cell type, by family."""


@dataclass(frozen=True, eq=False)
class GateNetlist:
    """A flat netlist as primitives.

    Attributes:
        name: of the module.
        inputs, outputs: nets by port, bit 0 first; clocks are not among the inputs.
        unread: input ports that nothing reads, as the pin of a PLL that is wired inside.
        clock: the port that clocks everything; None when nothing is clocked or the clock
            comes from inside.
        logic: the primitives, each net of them the representative of its aliases.
        floating: nets that something reads and nothing drives; they read as 0 unless a
            simulation is told otherwise.
        cells: number of cells by type, in the order of their names.
    """

    name: str
    inputs: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, tuple[int, ...]]
    unread: frozenset[str]
    clock: str | None
    logic: Logic
    floating: tuple[int, ...]
    cells: Mapping[str, int]

    @classmethod
    def read(cls, document: Mapping[str, Any], top: str, family: str) -> GateNetlist:
        """Module `top` of what yosys' ``write_json`` or nextpnr's ``--write`` wrote.

        Args:
            document: the parsed JSON; the module is flat.
            top: its name ("top" in what nextpnr writes).
            family: a name of :data:`~actc.targets.fpga.families.SYNTHESIZED`.

        Raises:
            UsageError: ACT0530, no such family.
            ToolFailed: ACT0570, cells without a model; ACT0571, the netlist is not
                consistent, or a mode of a cell has no model; ACT0572, more than one clock.
        """
        find_family(family, SYNTHESIZED)
        modules = document.get("modules", {})
        if top not in modules:
            raise ToolFailed(_broken(top, f"there is no module {top} in it"))
        module = modules[top]
        reader = _Reader(top)
        reader.add_cells(module["cells"], MODELS.get(family, {}), family)
        return reader.finish(module["ports"])


class _Reader:
    def __init__(self, name: str) -> None:
        self.name = name
        self.logic = Logic()
        self.nets: dict[int, int] = {}
        self.cells: Counter[str] = Counter()

    def bit(self, bit: int | str) -> int | None:
        """The net of a bit in the document; None where it is unknown or open."""
        if isinstance(bit, str):
            return {"0": ZERO, "1": ONE}.get(bit)
        if bit not in self.nets:
            self.nets[bit] = self.logic.net()
        return self.nets[bit]

    def add_cells(self, cells: Mapping[str, Any], models: Mapping[str, Model], family: str) -> None:
        hardware = {name: cell for name, cell in cells.items() if not cell["type"].startswith("$")}
        self.cells.update(cell["type"] for cell in hardware.values())
        unknown = sorted(set(self.cells) - set(models))
        if unknown:
            raise ToolFailed(_unknown_cells(self.name, unknown, family))
        for name, cell in hardware.items():
            ports = {
                port: tuple(self.bit(bit) for bit in bits)
                for port, bits in cell["connections"].items()
            }
            parameters = cell.get("parameters", {})
            try:
                models[cell["type"]](Cell(name, cell["type"], parameters, ports, self.logic))
            except ValueError as problem:
                raise ToolFailed(_broken(self.name, str(problem))) from problem

    def finish(self, ports: Mapping[str, Any]) -> GateNetlist:
        """Resolve aliases, check drivers and find the clock."""
        given = {
            port: (entry["direction"], tuple(self.bit(bit) for bit in entry["bits"]))
            for port, entry in ports.items()
        }
        resolve = _Aliases(self.logic.aliases)
        logic = _resolved(self.logic, resolve)
        driven = set(_driven(logic))
        inputs: dict[str, tuple[int, ...]] = {}
        outputs: dict[str, tuple[int, ...]] = {}
        for port, (direction, bits) in given.items():
            nets = tuple(ZERO if bit is None else resolve(bit) for bit in bits)
            inside = driven | {ZERO, ONE}
            if direction == "input" or (direction == "inout" and not inside.intersection(nets)):
                inputs[port] = nets
            else:
                outputs[port] = nets
        self._check_drivers(logic, inputs)
        clock = self._clock(logic, inputs)
        known = driven | {ZERO, ONE} | {net for nets in inputs.values() for net in nets}
        read = set(_read(logic)) | {net for nets in outputs.values() for net in nets}
        floating = tuple(sorted(read - known))
        if clock is not None:
            del inputs[clock]
        unread = frozenset(port for port, nets in inputs.items() if not read.intersection(nets))
        counts = dict(sorted(self.cells.items()))
        return GateNetlist(self.name, inputs, outputs, unread, clock, logic, floating, counts)

    def _check_drivers(self, logic: Logic, inputs: Mapping[str, tuple[int, ...]]) -> None:
        drivers = Counter(_driven(logic))
        drivers.update(self.logic.buffered)
        drivers.update(net for nets in inputs.values() for net in nets)
        drivers.update((ZERO, ONE))
        twice = sum(count > 1 for count in drivers.values())
        if twice:
            raise ToolFailed(_broken(self.name, f"{twice} nets have more than one driver"))

    def _clock(self, logic: Logic, inputs: Mapping[str, tuple[int, ...]]) -> str | None:
        """The port of the only clock."""
        clocked: list[FlipFlop | Memory] = [*logic.flip_flops, *logic.memories]
        clocks = {item.clock for item in clocked} - {ZERO, ONE}
        inside = clocks.intersection(_driven(logic))
        if len(clocks) > 1 or inside:
            raise ToolFailed(_clocks(self.name, len(clocks), bool(inside)))
        names = [port for port, nets in inputs.items() if clocks.intersection(nets)]
        if not names:
            return None
        if len(inputs[names[0]]) > 1 or clocks.intersection(_read(logic)):
            raise ToolFailed(_clocks(self.name, 1, True))
        return names[0]


class _Aliases:
    """The representative of each net."""

    def __init__(self, aliases: Mapping[int, int]) -> None:
        self.aliases = dict(aliases)

    def __call__(self, net: int) -> int:
        path = []
        while net in self.aliases:
            path.append(net)
            net = self.aliases[net]
            if len(path) > len(self.aliases):
                raise ToolFailed(_broken("netlist", "buffers form a ring"))
        for passed in path:
            self.aliases[passed] = net
        return net


def _resolved(logic: Logic, resolve: _Aliases) -> Logic:
    found = Logic()
    found.nets = logic.nets

    def every(nets: Iterable[int]) -> tuple[int, ...]:
        return tuple(resolve(net) for net in nets)

    found.tables = [simplified(replace(t, inputs=every(t.inputs))) for t in logic.tables]
    found.functions = [replace(f, inputs=every(f.inputs)) for f in logic.functions]
    found.flip_flops = [
        replace(
            f,
            data=resolve(f.data),
            clock=resolve(f.clock),
            # without a clock, as unused ports of memories are, it never changes
            enable=ZERO if resolve(f.clock) in (ZERO, ONE) else resolve(f.enable),
            clear=resolve(f.clear),
        )
        for f in logic.flip_flops
    ]
    found.memories = [
        replace(
            m,
            address=every(m.address),
            write_address=every(m.write_address),
            data=every(m.data),
            mask=every(m.mask if resolve(m.clock) not in (ZERO, ONE) else [ZERO] * len(m.mask)),
            clock=resolve(m.clock),
        )
        for m in logic.memories
    ]
    return found


def _driven(logic: Logic) -> Iterable[int]:
    """Every net that a primitive drives, once per driver."""
    for table in logic.tables:
        yield table.output
    for function in logic.functions:
        yield from function.outputs
    for flip_flop in logic.flip_flops:
        yield flip_flop.output
    for memory in logic.memories:
        yield from memory.outputs


def _read(logic: Logic) -> Iterable[int]:
    """Every net that a primitive reads as data."""
    for table in logic.tables:
        yield from table.inputs
    for function in logic.functions:
        yield from function.inputs
    for flip_flop in logic.flip_flops:
        yield from flip_flop.inputs
    for memory in logic.memories:
        yield from memory.inputs


def _unknown_cells(name: str, types: list[str], family: str) -> Diagnostic:
    return Diagnostic(
        "ACT0570",
        f"the netlist of {name} has cells without a model: {', '.join(types)}",
        notes=(f"families with models: {', '.join(MODELS)}",),
        help=f"these cells of {family} cannot be evaluated here; simulate the netlist with the "
        "vendor's library, or leave out what they are for",
    )


def _broken(name: str, reason: str) -> Diagnostic:
    return Diagnostic(
        "ACT0571",
        f"the netlist of {name} cannot be evaluated: {reason}",
        help="this is an error of the tool that wrote it, or a mode that has no model",
    )


def _clocks(name: str, count: int, gated: bool) -> Diagnostic:
    reason = "a clock that logic drives or reads" if gated else f"{count} clocks"
    return Diagnostic(
        "ACT0572",
        f"the netlist of {name} has {reason}",
        help="netlists are evaluated with one clock that comes from a port or an oscillator",
    )
