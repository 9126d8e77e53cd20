"""Functions of a network moved into block memories."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace

from actc.targets.fpga.functions.memories import Way, best_way, table_way
from actc.targets.fpga.functions.options import FunctionOptions
from actc.targets.fpga.hdl import Graph, Wire
from actc.targets.fpga.hdl.design import Bus, Span
from actc.targets.fpga.network.elements import Unit
from actc.targets.fpga.network.network import Network, needed_units


@dataclass(frozen=True, eq=False, slots=True)
class Saving:
    """A function that takes less logic with tables in block memories.

    Attributes:
        unit: the function, in logic.
        way: how it is built with memories.
    """

    unit: Unit
    way: Way


def savings(network: Network, options: FunctionOptions) -> list[Saving]:
    """All functions of which block memories save logic, first those where each saves most.

    Args:
        options: with which the network was built.
    """
    known: dict[Hashable, Way | None] = {}
    found = []
    for unit in network.units:
        key = unit.shape.key
        if key not in known:
            known[key] = _way(unit, options)
        way = known[key]
        if way is not None:
            found.append(Saving(unit, way))
    return sorted(found, key=lambda saving: -saving.way.saved_by_each)


def _way(unit: Unit, options: FunctionOptions) -> Way | None:
    if not unit.stages:
        return table_way(unit.shape, options)
    return best_way(unit.start.range, unit.stages, options)


def with_memories(network: Network, chosen: Iterable[Saving], options: FunctionOptions) -> Network:
    """The network with some functions built in their ways; it computes the same.

    Tables in memories are combinational like any other wire: whoever places registers has to
    put one directly behind each.
    """
    made = _rebuilt(network, {saving.unit.end.index: saving for saving in chosen}, options)

    def moved(buses: tuple[Bus, ...]) -> tuple[Bus, ...]:
        return tuple(replace(bus, wires=tuple(made[w.index] for w in bus.wires)) for bus in buses)

    old = network.design
    design = replace(old, inputs=moved(old.inputs), outputs=moved(old.outputs), spans=())
    units = needed_units(
        (
            replace(
                unit,
                start=made[unit.start.index],
                end=made[unit.end.index],
                whole=made[unit.whole.index],
            )
            for unit in network.units
        ),
        design,
    )
    spans = tuple(Span(unit.start, unit.end) for unit in units)
    return replace(network, design=replace(design, spans=spans), units=units)


def _rebuilt(
    network: Network, chosen: dict[int, Saving], options: FunctionOptions
) -> dict[int, Wire]:
    """All wires of a network in a new graph, by their old index."""
    graph, old = Graph(), network.design.graph
    made: dict[int, Wire] = {}
    for index in sorted(_needed(network)):
        wire = old.wires[index]
        with graph.scope(old.scopes[index]):
            if index in chosen:
                saving = chosen[index]
                made[index] = saving.way.build(made[saving.unit.start.index], options)
            else:
                made[index] = graph.make(wire.operator, *(made[o.index] for o in wire.operands))
        if index in old.hints:
            made[index].named(old.hints[index])
    return made


def _needed(network: Network) -> set[int]:
    """Wires of the outputs, of all inputs, and of what functions are functions of."""
    design = network.design
    pending = [wire for bus in (*design.inputs, *design.outputs) for wire in bus.wires]
    pending += [wire for unit in network.units for wire in (unit.start, unit.end, unit.whole)]
    found: set[int] = set()
    while pending:
        wire = pending.pop()
        if wire.index not in found:
            found.add(wire.index)
            pending += wire.operands
    return found
