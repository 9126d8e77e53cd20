"""What predicts the cost of a unit: counts over its graph of wires.

Wires are of four kinds. *Data* are bits of the input as they stand. *Logic* is a function
of the input that is built from tables, comparisons with constants and choices between
constants; however it is written, synthesis optimizes it as a truth table, so where logic
meets the rest its truth table over all inputs is counted (:mod:`actc.cost.cofactors`).
The rest is *arithmetic*: sums, products and choices between numbers that depend on the
input, counted by bits. Slices, shifts and claims cost nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from actc.cost.arithmetic import SUMS, Sum, choice_bits, collect_sum, select_tables
from actc.cost.cofactors import TruthTable, levels, truth_table, without_idle_inputs
from actc.cost.logic import WIRING, Kind, Values, frontier, kinds, tabulate
from actc.targets.fpga.hdl import Module, Wire
from actc.targets.fpga.hdl import operators as op

FIRST_LEVEL, LAST_LEVEL = 3, 9
"""Cofactors of fewer and of more variables are counted with these."""
TABLE_FEATURES = tuple(
    f"{kind}_{level}"
    for kind in ("muxes", "gates", "functions")
    for level in range(FIRST_LEVEL, LAST_LEVEL + 1)
)
SEARCH_FEATURES = ("choices", "comparisons")
DATAPATH_FEATURES = (
    "adder_bits",
    "adders",
    "compressor_bits",
    "product_bits",
    "select_tables",
    "compare_bits",
)
FEATURES = (*TABLE_FEATURES, *SEARCH_FEATURES, *DATAPATH_FEATURES, "constant")
DEPTH_FEATURES = ("table_inputs", "tables", "chains", "compressors", "selects")

Group = Literal["table", "search", "arithmetic"]
GROUPS: tuple[Group, ...] = get_args(Group)
AREA_FEATURES: dict[Group, tuple[str, ...]] = {
    "table": (*TABLE_FEATURES, "constant"),
    "search": (*TABLE_FEATURES, *SEARCH_FEATURES, "constant"),
    "arithmetic": FEATURES,
}
"""What the area of each group is predicted from. A long search also costs what is written:
synthesis finds only a part of the truth table behind it."""

Path = npt.NDArray[np.float64]
"""Counts along a path, by :data:`DEPTH_FEATURES`."""
_PATH_WEIGHTS = np.array([0.5, 0.0, 1.0, 1.0, 1.0])
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
    """

    area: dict[str, float]
    depth: dict[str, float]
    products: tuple[tuple[int, int], ...]
    memories: tuple[tuple[int, int], ...]
    registers: int

    @property
    def group(self) -> Group:
        """What the unit consists of, which decides about the coefficients."""
        if any(self.area[name] for name in DATAPATH_FEATURES):
            return "arithmetic"
        return "search" if self.area["choices"] else "table"


def features(module: Module, outputs: Values, lut_inputs: int, *, dsp: bool = False) -> Features:
    """Count what predicts the cost of a unit.

    Args:
        module: ports x and y; registers only behind memories.
        outputs: int64 [2**bits of x], y in the order of the bits of x.
        lut_inputs: inputs of a look-up table of the family.
        dsp: products of two variables go to hard multipliers.
    """
    return _Counting(module, outputs, lut_inputs, dsp).features()


class _Counting:
    """One walk over a module."""

    def __init__(self, module: Module, outputs: Values, lut_inputs: int, dsp: bool) -> None:
        self.module = module
        self.lut_inputs = lut_inputs
        self.dsp = dsp
        self.kinds = kinds(module)
        self.readers = Counter(o.index for wire in module.wires() for o in wire.operands)
        self.readers.update(out.wire.index for out in module.outputs)
        self.area = dict.fromkeys(FEATURES, 0.0)
        self.paths: dict[int, Path] = {}
        self.products: list[tuple[int, int]] = []
        self.memories: list[tuple[int, int]] = []
        self.registers = 0
        self.logic = frontier(module, self.kinds)
        ends = {out.wire.index for out in module.outputs}
        inside = [wire for wire in self.logic if wire.index not in ends]
        # an output that is logic itself is known, and may be large
        self.values = tabulate(module, inside) | dict.fromkeys(ends, outputs)

    def features(self) -> Features:
        self._count_tables()
        absorbed: set[int] = set()
        arithmetic = [w for w in self.module.wires() if self.kinds[w.index] is Kind.ARITHMETIC]
        sums: dict[int, Sum] = {}
        for wire in reversed(arithmetic):
            if isinstance(wire.operator, SUMS) and wire.index not in absorbed:
                sums[wire.index], inside = collect_sum(wire, self.readers)
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
        )

    def _count_tables(self) -> None:
        """Count logic by its truth tables; tables of the same inputs share cofactors."""
        shared: dict[tuple[int, ...], list[TruthTable]] = defaultdict(list)
        for wire in self.logic:
            table, inputs = without_idle_inputs(truth_table(self.values[wire.index], wire.width))
            self.paths[wire.index] = _step(table_inputs=len(inputs), tables=1)
            shared[inputs].append(table)
        for tables in shared.values():
            self._count_levels(np.concatenate(tables))
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
            self.area[f"functions_{place}"] += level.functions

    def _count_sum(self, wire: Wire, found: Sum) -> None:
        if len(found.rows) + found.constants + len(found.products) * (1 if self.dsp else 2) > 1:
            self.area["adder_bits"] += found.adder_bits
            self.area["adders"] += 1
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
            self.area["select_tables"] += select_tables(wire, self.lut_inputs)
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
        return before + _step(table_inputs=len(inputs), tables=1)

    def _path(self, wire: Wire) -> Path:
        """Counts of the longest path to a wire."""
        return self.paths.get(wire.index, _step())


def _step(**counts: float) -> Path:
    return np.array([counts.get(name, 0.0) for name in DEPTH_FEATURES])


def _longest(paths: Iterable[Path]) -> Path:
    return max(paths, key=lambda path: float(path @ _PATH_WEIGHTS), default=_step())
