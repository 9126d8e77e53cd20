"""What predicts the cost of a unit: counts over its graph of wires.

Wires are of four kinds. *Data* are bits of the input as they stand. *Logic* is a function
of the input that is built from tables, comparisons with constants and choices between
constants; however it is written, synthesis optimizes it as a truth table, so where logic
meets the rest its truth table over all inputs is counted (:mod:`actc.cost.cofactors`).
The rest is *arithmetic*: sums, products and choices between numbers that depend on the
input, counted by bits. Slices, shifts and claims cost nothing, nor do bits that nothing reads.

A bit of logic that depends on few inputs is one wide look-up table: mapping for the least
depth (Cong and Ding, 1994) takes it whole, though smaller ones could share parts. Only
logic that other paths leave time for is made of shared parts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from actc.cost.arithmetic import SUMS, Sum, choice_bits, collect_sum, select_tables
from actc.cost.cofactors import TruthTable, levels, supports, truth_table, without_idle_inputs
from actc.cost.demand import chains_after, read_bits
from actc.cost.logic import WIRING, Kind, Values, frontier, kinds, tabulate
from actc.targets.fpga.families import Family
from actc.targets.fpga.hdl import Module, Wire
from actc.targets.fpga.hdl import operators as op

NARROW = 8
"""Bits of input up to which coefficients of arithmetic differ from those beyond."""
FIRST_LEVEL, LAST_LEVEL = 3, 9
"""Cofactors of fewer and of more variables are counted with these."""
TABLE_FEATURES = (
    *(f"{kind}_{n}" for kind in ("muxes", "gates") for n in range(FIRST_LEVEL, LAST_LEVEL + 1)),
    "small_tables",
    "wide_tables",
    "late_tables",
)
SEARCH_FEATURES = ("choices", "comparisons")
DATAPATH_FEATURES = (
    "adder_bits",
    "compressor_bits",
    "product_bits",
    "select_tables",
    "compare_bits",
)
FEATURES = (*TABLE_FEATURES, *SEARCH_FEATURES, *DATAPATH_FEATURES, "constant")
DEPTH_FEATURES = ("tables", "table_inputs", "wide_inputs", "chains", "compressors", "selects")

Group = Literal["table", "search", "narrow", "wide"]
GROUPS: tuple[Group, ...] = get_args(Group)
AREA_FEATURES: dict[Group, tuple[str, ...]] = {
    "table": (*TABLE_FEATURES, "constant"),
    "search": (*TABLE_FEATURES, *SEARCH_FEATURES, "constant"),
    "narrow": FEATURES,
    "wide": FEATURES,
}
"""What the area of each group is predicted from. A long search also costs what is written:
synthesis finds only a part of the truth table behind it."""

Path = npt.NDArray[np.float64]
"""Counts along a path, by :data:`DEPTH_FEATURES`."""
_PATH_WEIGHTS = np.array([0.5, 0.25, 0.25, 1.0, 1.0, 1.0])
"""By which the longest path is found; its counts are weighted by the model."""


@dataclass(frozen=True, slots=True)
class Features:
    """Counts of one unit.

    Attributes:
        area: by :data:`FEATURES`.
        depth: by :data:`DEPTH_FEATURES`, along the longest path.
        products: bits of both operands of each product that a hard multiplier computes.
        memories: address bits and data bits of each memory.
        registers: bits of registers.
        input_bits: of the unit.
    """

    area: dict[str, float]
    depth: dict[str, float]
    products: tuple[tuple[int, int], ...]
    memories: tuple[tuple[int, int], ...]
    registers: int
    input_bits: int

    @property
    def group(self) -> Group:
        """What the unit consists of, which decides about the coefficients."""
        if any(self.area[name] for name in DATAPATH_FEATURES):
            return "narrow" if self.input_bits <= NARROW else "wide"
        return "search" if self.area["choices"] else "table"


def features(module: Module, outputs: Values, family: Family, *, dsp: bool = False) -> Features:
    """Count what predicts the cost of a unit.

    Args:
        module: ports x and y; registers only behind memories.
        outputs: int64 [2**bits of x], y in the order of the bits of x.
        family: whose look-up tables are counted.
        dsp: products of two variables go to hard multipliers.
    """
    return _Counting(module, outputs, family, dsp).features()


class _Counting:
    """One walk over a module."""

    def __init__(self, module: Module, outputs: Values, family: Family, dsp: bool) -> None:
        self.module = module
        self.family = family
        self.dsp = dsp
        self.input_bits = sum(x.width for x in module.inputs)
        self.kinds = kinds(module, narrow=self.input_bits <= family.wide_inputs)
        self.readers = Counter(o.index for wire in module.wires() for o in wire.operands)
        self.readers.update(out.wire.index for out in module.outputs)
        self.read = read_bits(module)
        self.after = chains_after(module)
        self.area = dict.fromkeys(FEATURES, 0.0)
        self.paths: dict[int, Path] = {}
        self.products: list[tuple[int, int]] = []
        self.memories: list[tuple[int, int]] = []
        self.registers = 0
        self.logic = [wire for wire in frontier(module, self.kinds) if self.read[wire.index]]
        ends = {out.wire.index for out in module.outputs}
        inside = [wire for wire in self.logic if wire.index not in ends]
        # an output that is logic itself is known, and may be large
        self.values = tabulate(module, inside) | dict.fromkeys(ends, outputs)

    def features(self) -> Features:
        self._count_tables()
        self._count_search()
        absorbed: set[int] = set()
        arithmetic = [w for w in self.module.wires() if self.kinds[w.index] is Kind.ARITHMETIC]
        sums: dict[int, Sum] = {}
        for wire in reversed(arithmetic):
            if isinstance(wire.operator, SUMS) and wire.index not in absorbed:
                width = self.read[wire.index]
                sums[wire.index], inside = collect_sum(wire, self.readers, width)
                absorbed |= inside
        for wire in arithmetic:
            if wire.index in sums:
                self._count_sum(wire, sums[wire.index])
            elif wire.index not in absorbed:
                self._count(wire)
        self.area["constant"] = float(any(self.area.values()))  # wires alone cost nothing
        ends = [self._path(out.wire) for out in self.module.outputs]
        return Features(
            self.area,
            dict(zip(DEPTH_FEATURES, _longest(ends).tolist(), strict=True)),
            tuple(self.products),
            tuple(self.memories),
            self.registers,
            self.input_bits,
        )

    def _count_tables(self) -> None:
        """Count logic by its truth tables; tables of the same inputs share cofactors."""
        shared: dict[tuple[int, ...], list[TruthTable]] = defaultdict(list)
        latest = max((self.after[wire.index] for wire in self.logic), default=0)
        # bits that are equal or complements are one, as early as the first of them
        early: dict[bytes, int] = {}
        late: dict[bytes, int] = {}
        for wire in self.logic:
            table = truth_table(self.values[wire.index], self.read[wire.index])
            table ^= table[:, :1]
            _, inputs = without_idle_inputs(table)
            self.paths[wire.index] = self._table_step(len(inputs))
            is_late = self.after[wire.index] < latest
            counts = supports(table)
            whole = counts <= self.family.wide_inputs
            for row, count in zip(table[whole], counts[whole].tolist(), strict=True):
                (late if is_late else early)[row.tobytes()] = count
            if is_late or not whole.all():
                parts, inputs = without_idle_inputs(table if is_late else table[~whole])
                shared[inputs].append(parts)
        for tables in shared.values():
            self._count_levels(np.concatenate(tables))
        self._count_whole("wide_tables", early.values())
        self._count_whole("late_tables", (n for row, n in late.items() if row not in early))

    def _count_whole(self, name: str, supports: Iterable[int]) -> None:
        """Count bits by the look-up tables that each takes alone."""
        for count in supports:
            size = 1 << max(count - self.family.lut_inputs, 0)
            if count > 1:
                self.area["small_tables" if size == 1 else name] += size

    def _count_search(self) -> None:
        for wire in self.module.wires():
            if self.kinds[wire.index] is Kind.LOGIC:
                if isinstance(wire.operator, op.Select):
                    self.area["choices"] += choice_bits(wire)
                elif isinstance(wire.operator, op.Reaches):
                    self.area["comparisons"] += 1

    def _count_levels(self, table: TruthTable) -> None:
        for level in levels(table):
            place = min(max(level.variables, FIRST_LEVEL), LAST_LEVEL)
            self.area[f"muxes_{place}"] += level.muxes
            self.area[f"gates_{place}"] += level.gates + level.exclusives

    def _count_sum(self, wire: Wire, found: Sum) -> None:
        if len(found.rows) + found.constants + len(found.products) * (1 if self.dsp else 2) > 1:
            self.area["adder_bits"] += found.adder_bits
        self.area["compressor_bits"] += found.compressor_bits(1 if self.dsp else 2)
        self.area["product_bits"] += 0 if self.dsp else found.product_bits
        if self.dsp:
            self.products += [(a.width, b.width) for a, b in found.products]
        operands = [*found.rows, *(factor for pair in found.products for factor in pair)]
        path = _longest(map(self._path, operands))
        self.paths[wire.index] = path + _step(chains=1, compressors=found.levels)

    def _count(self, wire: Wire) -> None:
        before = _longest(map(self._path, wire.operands))
        operator = wire.operator
        if isinstance(operator, op.Select):
            width = self.read[wire.index]
            self.area["select_tables"] += select_tables(wire, self.family.lut_inputs, width)
            before = before + _step(selects=(len(wire.operands) - 2).bit_length())
        elif isinstance(operator, (op.Compare, op.Saturate)):
            self.area["compare_bits"] += max(operand.width for operand in wire.operands)
            before = before + _step(chains=1)
        elif isinstance(operator, op.Lookup):
            before = self._count_lookup(wire, operator, before)
        elif isinstance(operator, op.Register):
            self.registers += wire.width
            before = _step()
        elif not isinstance(operator, (*WIRING, op.Invert)):
            self.area["select_tables"] += wire.width
            before = before + _step(selects=1)
        self.paths[wire.index] = before

    def _count_lookup(self, wire: Wire, operator: op.Lookup, before: Path) -> Path:
        """A memory, or a table whose address is arithmetic."""
        address = wire.operands[0].width
        if operator.memory:
            self.memories.append((address, wire.width))
            return before
        entries = np.array(operator.values, np.int64)
        addresses = np.minimum(np.arange(1 << address), len(entries) - 1)
        table, inputs = without_idle_inputs(truth_table(entries[addresses], wire.width))
        self._count_levels(table)
        return before + self._table_step(len(inputs))

    def _table_step(self, inputs: int) -> Path:
        wide = max(inputs - self.family.wide_inputs, 0)
        return _step(tables=1, table_inputs=inputs, wide_inputs=wide)

    def _path(self, wire: Wire) -> Path:
        """Counts of the longest path to a wire."""
        return self.paths.get(wire.index, _step())


def _step(**counts: float) -> Path:
    return np.array([counts.get(name, 0.0) for name in DEPTH_FEATURES])


def _longest(paths: Iterable[Path]) -> Path:
    return max(paths, key=lambda path: float(path @ _PATH_WEIGHTS), default=_step())
