"""Designs as Verilog: one module per layer, and one on top that joins them.

Wires that cross from one layer to another are ports of their own, under the same name in
every module that sees them, so that a wave or a netlist can be read beside the model.

A scope whose wires read wires that read it again is written as several modules: the
instances can always be put in an order in which none reads a later one. Verilog would
allow loops between modules that are none between wires, but tools that schedule or
analyse module by module do badly on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from actc.targets.fpga.hdl import operators as op
from actc.targets.fpga.hdl.design import Design
from actc.targets.fpga.hdl.expressions import Text
from actc.targets.fpga.hdl.graph import Wire
from actc.targets.fpga.hdl.names import Names
from actc.targets.fpga.hdl.verilog import (
    ADDRESS,
    CLOCK,
    LINT_OFF,
    LINT_ON,
    comment_lines,
    declaration,
    is_part,
    vector,
)

SURROUNDINGS = ("stream", "uart", "spi", "stream_tb")
"""What may stand behind a design's name in that of a module around it: no layer is called so."""


@dataclass(frozen=True, slots=True)
class Part:
    """A scope, or a part of it, as it is written.

    Attributes:
        scope: as in the graph.
        module: name of its Verilog module, and of its file without ".v".
        instance: its name in the top module, and so the first name of paths to its cells.
        wires: those that it declares, in the order of the graph.
        inputs, outputs: wires that cross its border, in the order of the graph.
    """

    scope: str
    module: str
    instance: str
    wires: tuple[Wire, ...]
    inputs: tuple[Wire, ...]
    outputs: tuple[Wire, ...]

    @property
    def clocked(self) -> bool:
        """Whether it has registers."""
        return any(isinstance(wire.operator, op.Register) for wire in self.wires)


@dataclass(frozen=True)
class Hierarchy:
    """How a design is written.

    Attributes:
        design: what is written.
        top: name of the top module.
        ports: name of each bus -> name of its port.
        parts: instances in the top module; none reads a later one.
        names: index of a wire -> its name in the top module, for inputs, wires that cross
            borders and wires of the top module itself.
        wires: those that the top module declares, in the order of the graph.
        clocked: whether the top module has the port `clk`.
    """

    design: Design
    top: str
    ports: dict[str, str]
    parts: tuple[Part, ...]
    names: dict[int, str]
    wires: tuple[Wire, ...]
    clocked: bool


def write_design(design: Design) -> dict[str, str]:
    """The Verilog-2005 files of a design, the top module's first.

    The top module has the port `clk` if there are registers, then one vector per bus, with
    element 0 in the lowest bits. Equal designs give equal text.

    Returns:
        file name ("<module>.v") -> text, ASCII.
    """
    found = hierarchy(design)
    files = {f"{found.top}.v": _top(found)}
    for part in found.parts:
        files[f"{part.module}.v"] = _layer(found, part)
    return files


def hierarchy(design: Design) -> Hierarchy:
    """What modules and names a design is written with."""
    needed = design.module().wires()
    homes, scopes = _homes(needed)
    border = _Border(design, needed, homes)
    names = Names()
    for taken in (ADDRESS, CLOCK):
        names.reserve(taken)
    top = names.new(design.name)
    ports = {bus.name: names.new(bus.name) for bus in (*design.inputs, *design.outputs)}
    modules = Names()
    modules.reserve(top)
    for suffix in SURROUNDINGS:
        modules.new(f"{top}_{suffix}")
    parts = tuple(
        Part(
            scope,
            modules.new(f"{top}_{scope}"),
            names.new(scope),
            tuple(wire for wire in needed if border.declares(number, wire)),
            _ordered(border.inputs.get(number, {})),
            _ordered(border.outputs.get(number, {})),
        )
        for number, scope in enumerate(scopes)
        if number and border.inhabited(number)
    )
    own = tuple(wire for wire in needed if border.declares(0, wire))
    crossing = {wire.index: wire for part in parts for wire in (*part.inputs, *part.outputs)}
    crossing |= {wire.index: wire for wire in own} | border.ports
    known = {index: names.new(_hint(wire)) for index, wire in sorted(crossing.items())}
    clocked = any(isinstance(wire.operator, op.Register) for wire in needed)
    return Hierarchy(design, top, ports, parts, known, own, clocked)


def _hint(wire: Wire) -> str:
    """What a wire that is seen from several modules would like to be called."""
    graph = wire.graph
    return graph.hints.get(wire.index, f"{graph.scopes[wire.index]} {wire.operator.noun}")


def _ordered(wires: dict[int, Wire]) -> tuple[Wire, ...]:
    return tuple(wires[index] for index in sorted(wires))


# -- which wire is written where -----------------------------------------------------------


def _homes(needed: list[Wire]) -> tuple[dict[int, int], list[str]]:
    """The module of every wire: its number by index, and the scope of each module.

    Number 0 is the top module, to which wires without a scope belong, and inputs. A greedy
    list schedule: modules are completed one after the other, each with all wires of a scope
    that can be computed by then, first those scopes that can be completed.
    """
    homes: dict[int, int] = {}
    scopes = [""]
    waiting: dict[str, list[Wire]] = {}
    for wire in needed:
        top = isinstance(wire.operator, (op.Input, op.Constant))
        scope = "" if top else wire.graph.scopes[wire.index]
        waiting.setdefault(scope, []).append(wire)
    while waiting:
        scope, ready = _next_part(waiting, homes)
        number = len(scopes) if scope else 0
        if scope:
            scopes.append(scope)
        homes |= dict.fromkeys(ready, number)
        waiting[scope] = [wire for wire in waiting[scope] if wire.index not in ready]
        if not waiting[scope]:
            del waiting[scope]
    return homes, scopes


def _next_part(waiting: dict[str, list[Wire]], homes: dict[int, int]) -> tuple[str, set[int]]:
    """The scope to continue with, and the wires of it that can be computed."""
    first: tuple[str, set[int]] | None = None
    for scope in sorted(waiting, key=lambda scope: (scope != "", waiting[scope][0].index)):
        ready: set[int] = set()
        for wire in waiting[scope]:
            if all(o.index in homes or o.index in ready for o in wire.operands):
                ready.add(wire.index)
        # wires of the top module are in no instance, so they are taken as they come
        if len(ready) == len(waiting[scope]) or (ready and not scope):
            return scope, ready
        if ready and first is None:
            first = scope, ready
    assert first is not None, "graphs have no loops"
    return first


class _Border:
    """What crosses from one module into another.

    Attributes:
        inputs, outputs: number of a module -> wires that it reads, that others read.
        ports: input wires of the design that are read.
    """

    def __init__(self, design: Design, needed: list[Wire], homes: dict[int, int]) -> None:
        self._homes = homes
        self._declared: set[int] = set()
        self.inputs: dict[int, dict[int, Wire]] = {}
        self.outputs: dict[int, dict[int, Wire]] = {}
        self.ports: dict[int, Wire] = {}
        ends = [wire for bus in design.outputs for wire in bus.wires]
        foreign = {wire.index for wire in ends if homes[wire.index]}
        for wire in needed:
            foreign |= {o.index for o in wire.operands if homes[o.index] != homes[wire.index]}
        for wire in needed:
            if self._has_name(wire, wire.index in foreign):
                self._declared.add(wire.index)
                self._reads(homes[wire.index], wire.operands)
        self._reads(0, ends)

    def declares(self, number: int, wire: Wire) -> bool:
        """Whether module `number` declares `wire`."""
        return wire.index in self._declared and self._homes[wire.index] == number

    def inhabited(self, number: int) -> bool:
        """Whether module `number` declares any wire."""
        return any(self._homes[index] == number for index in self._declared)

    def _has_name(self, wire: Wire, foreign: bool) -> bool:
        if isinstance(wire.operator, (op.Input, op.Constant)):
            return False
        if not is_part(wire) or wire.index in wire.graph.hints:
            return True
        # others read the part alone, if the whole is of this module
        whole = self._whole(wire.operands[0])
        return foreign and self._homes[whole.index] == self._homes[wire.index]

    def _whole(self, wire: Wire) -> Wire:
        """What a wire is written by: itself, or what it is a part of."""
        while is_part(wire) and wire.index not in self._declared:
            (wire,) = wire.operands
        return wire

    def _reads(self, number: int, wires: Iterable[Wire]) -> None:
        for wire in map(self._whole, wires):
            if wire.value is not None:
                continue
            home = self._homes[wire.index]
            if isinstance(wire.operator, op.Input):
                self.ports[wire.index] = wire
            if home != number:
                self.inputs.setdefault(number, {})[wire.index] = wire
                self.outputs.setdefault(home, {})[wire.index] = wire


# -- text ----------------------------------------------------------------------------------


def _top(found: Hierarchy) -> str:
    design = found.design
    ports = [f"input {CLOCK}"] if found.clocked else []
    ports += [f"input {vector(bus.bits)}{found.ports[bus.name]}" for bus in design.inputs]
    ports += [f"output {vector(bus.bits)}{found.ports[bus.name]}" for bus in design.outputs]
    body = _elements(found)
    text, names = Text(dict(found.names), {}), Names()
    for taken in (ADDRESS, CLOCK, *found.ports.values(), *found.names.values()):
        names.reserve(taken)
    for part in found.parts:
        names.reserve(part.instance)
        body += [f"wire {vector(w.width)}{found.names[w.index]};" for w in part.outputs]
    # before the instances that read them: tools refuse nets that are declared after their use
    for wire in found.wires:
        body += declaration(wire, text, names)
    for part in found.parts:
        body += _instance(found, part)
    for bus in design.outputs:
        parts = [text.fit(wire, bus.width) for wire in reversed(bus.wires)]
        start = f"assign {found.ports[bus.name]} ="
        body += [f"{start} {{", *_list(parts), "};"] if parts[1:] else [f"{start} {parts[0]};"]
    return _module(design.comments, found.top, ports, body)


def _elements(found: Hierarchy) -> list[str]:
    """The elements of the input buses, as far as they are read."""
    lines = []
    for bus in found.design.inputs:
        port = found.ports[bus.name]
        for number, wire in enumerate(bus.wires):
            if wire.index in found.names:
                low = number * bus.width
                part = f"[{low + wire.width - 1}:{low}]" if wire.width > 1 else f"[{low}]"
                source = port if wire.width == bus.bits else f"{port}{part}"
                lines.append(f"wire {vector(wire.width)}{found.names[wire.index]} = {source};")
    return lines


def _instance(found: Hierarchy, part: Part) -> list[str]:
    names = [found.names[wire.index] for wire in (*part.inputs, *part.outputs)]
    names = [CLOCK, *names] if part.clocked else names
    return [f"{part.module} {part.instance} (", *_list(f".{n}({n})" for n in names), ");"]


def paths(found: Hierarchy) -> dict[int, str]:
    """Index of each declared wire -> its name where the design is flat: "layer.wire"."""
    inside = {
        index: f"{part.instance}.{name}"
        for part in found.parts
        for index, name in _named(found, part)[0].names.items()
    }
    return {**inside, **found.names}


def _named(found: Hierarchy, part: Part) -> tuple[Text, Names]:
    """What knows the names of all wires in a part, and the names that are taken there."""
    names = Names()
    for taken in (ADDRESS, CLOCK):
        names.reserve(taken)
    known = {wire.index: found.names[wire.index] for wire in (*part.inputs, *part.outputs)}
    for name in known.values():
        names.reserve(name)
    text = Text(known, {})
    hints = found.design.graph.hints
    for wire in part.wires:
        if wire.index not in known:
            text.names[wire.index] = names.new(hints.get(wire.index, wire.operator.noun))
    return text, names


def _layer(found: Hierarchy, part: Part) -> str:
    text, names = _named(found, part)
    known = found.names
    driven = {wire.index for wire in part.outputs}
    ports = [f"input {CLOCK}"] if part.clocked else []
    ports += [f"input {vector(w.width)}{known[w.index]}" for w in part.inputs]
    ports += [f"output {_kind(w)}{vector(w.width)}{known[w.index]}" for w in part.outputs]
    body: list[str] = []
    for wire in part.wires:
        body += declaration(wire, text, names, port=wire.index in driven)
    return _module((f"{part.scope} of {found.design.name}",), part.module, ports, body)


def _kind(wire: Wire) -> str:
    return "reg " if isinstance(wire.operator, op.Register) else ""


def _module(comments: Iterable[str], name: str, ports: list[str], body: list[str]) -> str:
    lines = [
        *comment_lines(tuple(comments)),
        LINT_OFF,
        f"module {name} (",
        *_list(ports),
        ");",
        *(f"  {line}" for line in body),
        "endmodule",
        LINT_ON,
    ]
    return "\n".join(lines) + "\n"


def _list(items: Iterable[str]) -> list[str]:
    """Items one a line, with commas between them."""
    listed = list(items)
    return [f"  {item}," for item in listed[:-1]] + [f"  {item}" for item in listed[-1:]]
