"""The order of evaluation: what can be computed for all clocks at once, and what cannot.

Primitives that feed back on each other, through flip-flops, form a strongly connected
component (Tarjan, 1972) and are stepped clock by clock. Everything else is evaluated in
levels, for all clocks at once: a flip-flop outside a component is a shift along time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed
from actc.targets.fpga.gates.logic import FlipFlop, Function, Logic, Memory, Table

Primitive = Table | Function | FlipFlop | Memory


@dataclass
class Level:
    """Primitives that depend on earlier levels only."""

    tables: list[Table] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    flip_flops: list[FlipFlop] = field(default_factory=list)
    memories: list[Memory] = field(default_factory=list)
    loops: list[Loop] = field(default_factory=list)


@dataclass
class Loop:
    """A component that feeds back: its combinational parts in levels, and its storage."""

    levels: list[Level]
    flip_flops: list[FlipFlop]
    memories: list[Memory]


def schedule(name: str, logic: Logic) -> list[Level]:
    """Levels of a netlist.

    Raises:
        ToolFailed: ACT0533, there is a combinational loop.
    """
    items = _primitives(logic)
    drivers = {net: number for number, item in enumerate(items) for net in outputs_of(item)}
    sources = [sorted({drivers[net] for net in item.inputs if net in drivers}) for item in items]
    groups = _components(sources)
    single = [len(members) == 1 for members in groups.members]
    ranks = _ranks(groups)
    levels = [Level() for _ in range(max(ranks, default=-1) + 1)]
    for group, members in enumerate(groups.members):
        item = items[members[0]]
        stepped = not single[group] or members[0] in sources[members[0]]
        if stepped or isinstance(item, Memory):
            levels[ranks[group]].loops.append(_loop(name, [items[m] for m in members]))
        else:
            _place(levels[ranks[group]], item)
    return levels


def outputs_of(item: Primitive) -> tuple[int, ...]:
    """The nets that a primitive drives."""
    if isinstance(item, (Function, Memory)):
        return item.outputs
    return (item.output,)


def _primitives(logic: Logic) -> list[Primitive]:
    return [*logic.tables, *logic.functions, *logic.flip_flops, *logic.memories]


@dataclass
class _Groups:
    members: list[list[int]]
    of: list[int]
    sources: list[set[int]]


def _components(sources: Sequence[Sequence[int]]) -> _Groups:
    count = len(sources)
    rows = np.repeat(np.arange(count), [len(s) for s in sources])
    columns = np.fromiter((s for each in sources for s in each), np.int64, len(rows))
    graph = csr_matrix((np.ones(len(rows), np.int8), (rows, columns)), (count, count))
    number, labels = connected_components(graph, directed=True, connection="strong")
    members: list[list[int]] = [[] for _ in range(number)]
    of = labels.tolist()
    for item, group in enumerate(of):
        members[group].append(item)
    found: list[set[int]] = [set() for _ in range(number)]
    for item, each in enumerate(sources):
        found[of[item]].update(of[s] for s in each)
    for group, needed in enumerate(found):
        needed.discard(group)
    return _Groups(members, of, found)


def _ranks(groups: _Groups) -> list[int]:
    """Longest path to each component."""
    waiting = [len(sources) for sources in groups.sources]
    readers: dict[int, list[int]] = defaultdict(list)
    for group, sources in enumerate(groups.sources):
        for source in sources:
            readers[source].append(group)
    ranks = [0] * len(waiting)
    ready = [group for group, left in enumerate(waiting) if not left]
    for group in ready:  # grows while it is walked
        for reader in readers[group]:
            ranks[reader] = max(ranks[reader], ranks[group] + 1)
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    return ranks


def _place(level: Level, item: Primitive) -> None:
    """Put it where its outputs are computed: of storage, a clear and the reading of words."""
    if isinstance(item, Table):
        level.tables.append(item)
    elif isinstance(item, Function):
        level.functions.append(item)
    elif isinstance(item, FlipFlop):
        level.flip_flops.append(item)
    else:
        level.memories.append(item)


def _loop(name: str, items: Sequence[Primitive]) -> Loop:
    """Order the combinational parts of a component; its storage starts every path."""
    flip_flops = [item for item in items if isinstance(item, FlipFlop)]
    memories = [item for item in items if isinstance(item, Memory)]
    combinational = list(_combinational(items))
    drivers = {
        net: number for number, (_, _, outputs) in enumerate(combinational) for net in outputs
    }
    waiting = []
    readers: dict[int, list[int]] = defaultdict(list)
    for number, (_, inputs, _) in enumerate(combinational):
        needed = {drivers[net] for net in inputs if net in drivers}
        waiting.append(len(needed))
        for source in needed:
            readers[source].append(number)
    levels: list[Level] = []
    ready = [number for number, left in enumerate(waiting) if not left]
    done = 0
    while ready:
        level, after = Level(), []
        for number in ready:
            done += 1
            _place(level, combinational[number][0])
            for reader in readers[number]:
                waiting[reader] -= 1
                if not waiting[reader]:
                    after.append(reader)
        levels.append(level)
        ready = after
    if done < len(combinational):
        raise ToolFailed(combinational_loop(name))
    return Loop(levels, flip_flops, memories)


def _combinational(
    items: Sequence[Primitive],
) -> Iterator[tuple[Primitive, tuple[int, ...], tuple[int, ...]]]:
    """What has outputs that depend on present inputs: item, those inputs, the outputs."""
    for item in items:
        if isinstance(item, Memory):
            yield item, item.address, item.outputs
        elif isinstance(item, FlipFlop):
            if item.clear:
                yield item, (item.clear,), (item.output,)
        else:
            yield item, item.inputs, outputs_of(item)


def combinational_loop(name: str) -> Diagnostic:
    """The error for logic that waits for itself."""
    return Diagnostic(
        "ACT0533",
        f"the netlist of {name} has a combinational loop",
        help="break the loop with a register",
    )
