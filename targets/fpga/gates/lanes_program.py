"""A gate netlist as arrays of numbers, in the order in which a clock of it is computed.

Every net that matters gets a slot. The order is that of levels: what depends on earlier
levels only, by the number of inputs, so that an interpreter runs long stretches of the same
kind. Flip-flops are ordered so that each is loaded before the one that it reads is; only
rings of them need a copy.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed
from actc.targets.fpga.gates.logic import (
    AND,
    MUX,
    ONE,
    OR,
    ZERO,
    Bits,
    FlipFlop,
    Function,
    Logic,
    Memory,
    Table,
)
from actc.targets.fpga.gates.netlist import GateNetlist
from actc.targets.fpga.gates.schedule import Primitive, combinational_loop, outputs_of

Readable = Table | Function | Memory
"""What has outputs that depend on present inputs; of a memory it is the reading."""


@dataclass(frozen=True, slots=True)
class Load:
    """A flip-flop at a clock: the slot that it holds, its data and its enable."""

    slot: int
    data: int
    enable: int


@dataclass(frozen=True, slots=True)
class Ram:
    """A memory with slots in place of nets."""

    address: tuple[int, ...]
    outputs: tuple[int, ...]
    write_address: tuple[int, ...]
    data: tuple[int, ...]
    mask: tuple[int, ...]
    words: Bits


@dataclass
class Level:
    """What depends on earlier levels only; numbers are of slots, memories by their index."""

    tables: dict[int, list[Table]] = field(default_factory=lambda: defaultdict(list))
    functions: list[Function] = field(default_factory=list)
    memories: list[int] = field(default_factory=list)


@dataclass
class LaneProgram:
    """One clock of a netlist.

    Attributes:
        name: of the module.
        slots: how many; 0 and 1 are the constants.
        ones: slots that are 1 at first: constants and flip-flops.
        inputs, outputs: slots by port, bit 0 first; -1 for a bit of an input that nothing
            reads.
        floating: slots of nets that nothing drives.
        levels: combinational part, first to last.
        memories: written at the clock, before flip-flops.
        loads: flip-flops, in the order in which they may be loaded one after the other.
        rings: flip-flops that must be loaded all at once, behind `loads`.
    """

    name: str
    slots: int
    ones: list[int]
    inputs: Mapping[str, list[int]]
    outputs: Mapping[str, list[int]]
    floating: list[int]
    levels: list[Level]
    memories: list[Ram]
    loads: list[Load]
    rings: list[Load]


def lane_program(netlist: GateNetlist) -> LaneProgram:
    """Order a netlist.

    Raises:
        ToolFailed: ACT0533, there is a combinational loop; ACT0571, something is clocked by
            the falling edge.
    """
    logic = _without_clears(netlist)
    live = _live(logic, netlist.outputs)
    combinational: list[Readable] = [*logic.tables, *logic.functions, *logic.memories]
    readable = [item for item in combinational if not live.isdisjoint(outputs_of(item))]
    flip_flops = [item for item in logic.flip_flops if item.output in live]
    memories = [item for item in readable if isinstance(item, Memory)]
    if not all(f.rising for f in flip_flops) or not all(m.rising for m in memories):
        raise ToolFailed(_falling(netlist.name))
    slots = _Slots(live)
    inputs = {
        port: [slots.of(net) if net > ONE else -1 for net in nets]
        for port, nets in netlist.inputs.items()
    }
    levels = _levels(netlist.name, readable)
    for flip_flop in flip_flops:
        slots.add(flip_flop.output)
    for ranked in levels:
        for item in ranked:
            for net in outputs_of(item):
                slots.add(net)
    numbered = {id(memory): number for number, memory in enumerate(memories)}
    every = slots.every
    loads, rings = _ordered([Load(*every((f.output, f.data, f.enable))) for f in flip_flops])
    return LaneProgram(
        name=netlist.name,
        levels=[_level(ranked, slots, numbered) for ranked in levels],
        memories=[
            Ram(every(m.address), every(m.outputs), every(m.write_address), every(m.data),
                every(m.mask), m.words)
            for m in memories
        ],
        loads=loads,
        rings=rings,
        inputs=inputs,
        outputs={port: list(every(nets)) for port, nets in netlist.outputs.items()},
        floating=[slots.of(net) for net in netlist.floating if net in live],
        ones=[
            ONE,
            *(slots.of(f.output) for f in flip_flops if f.initial),
            *(slots.of(t.output) for t in logic.tables
              if not t.inputs and t.truth & 1 and t.output in live),
        ],
        slots=len(slots.numbers),
    )  # fmt: skip


class _Slots:
    """Slots in the order in which they are asked for."""

    def __init__(self, live: set[int]) -> None:
        self.live = live
        self.numbers = {ZERO: ZERO, ONE: ONE}

    def add(self, net: int) -> int:
        return self.numbers.setdefault(net, len(self.numbers))

    def of(self, net: int) -> int:
        return self.add(net) if net in self.live else -1

    def every(self, nets: Sequence[int]) -> tuple[int, ...]:
        return tuple(self.add(net) for net in nets)


def _without_clears(netlist: GateNetlist) -> Logic:
    """Flip-flops with a clear as plain ones: what they show and take is made of tables."""
    old, found = netlist.logic, Logic()
    found.nets = old.nets
    found.tables, found.functions = list(old.tables), list(old.functions)
    found.memories = list(old.memories)
    for item in old.flip_flops:
        if item.clear == ZERO:
            found.flip_flops.append(item)
            continue
        state, fixed = found.net(), ONE if item.value else ZERO
        keep = found.invert(item.clear)
        pins = (state, item.clear) if item.value else (state, keep)
        found.table(pins, OR if item.value else AND, item.output)
        data = found.table([item.data, fixed, item.clear], MUX)
        enable = found.either(item.enable, item.clear)
        found.flip_flops.append(
            FlipFlop(state, data, item.clock, item.rising, enable, initial=item.initial)
        )
    return found


def _live(logic: Logic, outputs: Mapping[str, Sequence[int]]) -> set[int]:
    """Nets that outputs depend on, in this clock or a later one."""
    items: list[Primitive] = [
        *logic.tables, *logic.functions, *logic.flip_flops, *logic.memories
    ]  # fmt: skip
    drivers = {net: item for item in items for net in outputs_of(item)}
    pending = [net for nets in outputs.values() for net in nets]
    found: set[int] = set()
    while pending:
        net = pending.pop()
        if net in found:
            continue
        found.add(net)
        if net in drivers:
            pending += drivers[net].inputs
    return found


def _levels(name: str, items: Sequence[Readable]) -> list[list[Readable]]:
    """Items by the length of the longest path to them."""
    drivers = {net: number for number, item in enumerate(items) for net in outputs_of(item)}
    readers: dict[int, list[int]] = defaultdict(list)
    waiting = []
    for number, item in enumerate(items):
        needed = {drivers[net] for net in _present(item) if net in drivers}
        waiting.append(len(needed))
        for source in needed:
            readers[source].append(number)
    levels = []
    ready = [number for number, left in enumerate(waiting) if not left]
    while ready:
        levels.append([items[number] for number in ready])
        after = []
        for number in ready:
            for reader in readers[number]:
                waiting[reader] -= 1
                if not waiting[reader]:
                    after.append(reader)
        ready = after
    if sum(map(len, levels)) < len(items):
        raise ToolFailed(combinational_loop(name))
    return levels


def _present(item: Readable) -> tuple[int, ...]:
    return item.address if isinstance(item, Memory) else item.inputs


def _level(items: Sequence[Readable], slots: _Slots, numbered: Mapping[int, int]) -> Level:
    level = Level()
    for item in items:
        if isinstance(item, Memory):
            level.memories.append(numbered[id(item)])
        elif isinstance(item, Function):
            outputs = slots.every(item.outputs)
            level.functions.append(Function(slots.every(item.inputs), outputs, item.apply))
        elif item.inputs:
            table = Table(slots.every(item.inputs), item.truth, slots.add(item.output))
            level.tables[len(item.inputs)].append(table)
    return level


def _ordered(loads: Sequence[Load]) -> tuple[list[Load], list[Load]]:
    """Each load before those of the flip-flops that it reads; and the rings.

    What a ring reads would have to come behind it, and is loaded with it.
    """
    held = {load.slot: number for number, load in enumerate(loads)}
    reads = [
        {held[slot] for slot in (load.data, load.enable) if slot in held} - {number}
        for number, load in enumerate(loads)
    ]
    readers = [0] * len(loads)
    for sources in reads:
        for source in sources:
            readers[source] += 1
    ready = [number for number, count in enumerate(readers) if not count]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        number = heapq.heappop(ready)
        order.append(number)
        for source in reads[number]:
            readers[source] -= 1
            if not readers[source]:
                heapq.heappush(ready, source)
    ordered = set(order)
    rings = [load for number, load in enumerate(loads) if number not in ordered]
    return [loads[number] for number in order], rings


def _falling(name: str) -> Diagnostic:
    return Diagnostic(
        "ACT0571",
        f"the netlist of {name} cannot be evaluated: it is clocked by both edges",
        help="this is an error of the tool that wrote it, or a mode that has no model",
    )
