"""Netlists of FPGA cells, as yosys writes them: cell counts and logic levels."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed
from actc.targets.fpga.families import Family

Bit = int | str
"""A net by number, or a constant: "0", "1", "x", "z"."""

_BARE_CARRIES = frozenset({"CARRY4", "CARRY8"})
"""Carry cells whose look-up tables are cells of their own."""
_STARTS = ("ff", "bram", "clock")
"""Roles of cells whose outputs do not follow their inputs at once."""
_CARRY_INPUTS = frozenset({"CI", "CIN", "CYINIT"})


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Attributes:
        type: as the vendor calls it.
        role: what it counts as; "none" when the family does not know it.
        inputs, outputs: nets by port.
    """

    type: str
    role: str
    inputs: Mapping[str, list[Bit]]
    outputs: Mapping[str, list[Bit]]


@dataclass(frozen=True, slots=True)
class Netlist:
    """A flat module of cells of one family.

    Attributes:
        name: of the module.
        family: of its cells.
        cells: all that are hardware.
        lone_ffs: flip-flops that fill logic cells of their own; see `lone_flip_flops`.
    """

    name: str
    family: Family
    cells: tuple[Cell, ...]
    lone_ffs: int = 0

    @classmethod
    def read(
        cls,
        document: dict[str, Any],
        name: str,
        family: Family,
        lone: frozenset[str] | None = None,
    ) -> Netlist:
        """Module `name` of what yosys' `write_json` wrote.

        Args:
            lone: what `lone_flip_flops` found in a netlist that this is a part of; None: this
                is the whole.
        """
        cells = []
        if lone is None:
            lone = lone_flip_flops(document, name, family)
        for cell in document["modules"][name]["cells"].values():
            if cell["type"].startswith("$"):
                continue  # not hardware: $scopeinfo, $print
            kind = family.kind(cell["type"])
            ports: dict[str, dict[str, list[Bit]]] = {"input": {}, "output": {}, "inout": {}}
            for port, direction in cell["port_directions"].items():
                ports[direction][port] = cell["connections"].get(port, [])
            role = "none" if kind is None else kind.role
            cells.append(Cell(cell["type"], role, ports["input"], ports["output"]))
        own = sum(cell in lone for cell in document["modules"][name]["cells"])
        return cls(name, family, tuple(cells), own)

    @property
    def cell_counts(self) -> dict[str, int]:
        """Number of cells by type, in the order of their names."""
        return dict(sorted(Counter(cell.type for cell in self.cells).items()))

    @property
    def lonely_carries(self) -> int:
        """Carry cells of iCE40 that fill a logic cell of their own.

        A carry shares the logic cell of a look-up table that has the carry's two
        operands at its inputs I1 and I2 and the same carry-in at I3; the others, as those
        of comparisons, leave the look-up table of their cell unused.
        """
        tables: Counter[tuple[Bit, ...]] = Counter()
        for cell in self.cells:
            if cell.type == "SB_LUT4":
                tables[_nets(cell, "I1", "I2", "I3")] += 1
        lonely = 0
        for cell in self.cells:
            if cell.type == "SB_CARRY":
                shared = _nets(cell, "I0", "I1", "CI")
                lonely += not tables[shared]
                tables[shared] -= tables[shared] > 0
        return lonely

    def depth(self) -> int:
        """Logic levels of the longest path between ports and storage.

        A look-up table is one level; so is a carry chain as a whole, from an operand to
        a sum or to the carry out; so are a hard multiplier and a cell that the family
        does not know. Dedicated multiplexers and the way along a chain are none.

        Raises:
            ToolFailed: ACT0533, there is a combinational loop.
        """
        drivers: dict[Bit, int] = {
            bit: number
            for number, cell in enumerate(self.cells)
            for bits in cell.outputs.values()
            for bit in bits
            if isinstance(bit, int)  # "x": an output that is left open
        }
        waiting: dict[int, int] = {}
        readers: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for number, cell in enumerate(self.cells):
            arcs = list(self._arcs(cell, drivers))
            waiting[number] = len(arcs)
            for source, weight in arcs:
                readers[source].append((number, weight))
        levels = [self._from_ports(cell) for cell in self.cells]
        ready = deque(number for number, left in waiting.items() if not left)
        done = 0
        while ready:
            source = ready.popleft()
            done += 1
            for number, weight in readers[source]:
                levels[number] = max(levels[number], levels[source] + weight)
                waiting[number] -= 1
                if not waiting[number]:
                    ready.append(number)
        if done < len(self.cells):
            raise ToolFailed(_loop(self.name))
        ends = [self._at_storage(cell, drivers, levels) for cell in self.cells]
        return max([*levels, *ends], default=0)

    def _arcs(self, cell: Cell, drivers: dict[Bit, int]) -> Iterator[tuple[int, int]]:
        """Cells that drive a cell's combinational inputs, with the levels to its outputs."""
        if cell.role in _STARTS:
            return
        for port, bits in cell.inputs.items():
            for bit in bits:
                source = drivers.get(bit)
                if source is not None:
                    yield source, self._weight(cell, port, self.cells[source])

    def _weight(self, cell: Cell, port: str, source: Cell) -> int:
        if cell.role == "mux":
            return 0
        if cell.role == "carry":
            if port in _CARRY_INPUTS and source.role == "carry":
                return 0
            return int(cell.type not in _BARE_CARRIES)
        # the table of an iCE40 sum sits in the logic cell of the carry that feeds it
        return int(not (cell.type == "SB_LUT4" and source.type == "SB_CARRY"))

    def _from_ports(self, cell: Cell) -> int:
        """Levels from the module's ports through one cell."""
        if cell.role in (*_STARTS, "mux") or not cell.inputs:
            return 0
        if cell.type in _BARE_CARRIES:
            return 0
        return 1

    def _at_storage(self, cell: Cell, drivers: dict[Bit, int], levels: list[int]) -> int:
        """Levels of the paths that end at a storage cell."""
        if cell.role not in ("ff", "bram"):
            return 0
        sources = (drivers.get(bit) for bits in cell.inputs.values() for bit in bits)
        return max((levels[source] for source in sources if source is not None), default=0)


def lone_flip_flops(document: Mapping[str, Any], name: str, family: Family) -> frozenset[str]:
    """Names of the flip-flops that share no logic cell with a look-up table.

    Where data reaches a flip-flop through the look-up table of its cell, that cell computes the
    data if nothing else reads it; else it computes nothing, and is filled.
    """
    if not family.ff_behind_lut:
        return frozenset()
    cells: Mapping[str, Any] = document["modules"][name]["cells"]
    kinds = {cell["type"]: family.kind(cell["type"]) for cell in cells.values()}
    roles = {kind: "" if found is None else found.role for kind, found in kinds.items()}
    tables: set[Bit] = set()
    reads: Counter[Bit] = Counter()
    for port in document["modules"][name].get("ports", {}).values():
        reads.update(port["bits"])
    for cell in cells.values():
        for port, direction in cell["port_directions"].items():
            bits = cell["connections"].get(port, [])
            if direction == "input":
                reads.update(bits)
            elif roles[cell["type"]] == "lut":
                tables.update(bits)
    return frozenset(
        key
        for key, cell in cells.items()
        if roles[cell["type"]] == "ff"
        and not all(bit in tables and reads[bit] == 1 for bit in cell["connections"].get("D", []))
    )


def _nets(cell: Cell, *ports: str) -> tuple[Bit, ...]:
    return tuple(bit for port in ports for bit in cell.inputs.get(port, []))


def _loop(name: str) -> Diagnostic:
    return Diagnostic(
        "ACT0533",
        f"the module {name} has a combinational loop",
        help="break the loop with a register",
    )
