"""What of a folded stage takes logic: counts by plain rules, which coefficients weigh.

Hard multipliers and block memories are counted exactly; they need no coefficients.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil, gcd

from actc.targets.fpga.families import Family
from actc.targets.fpga.folded.costs.bits import StageBits
from actc.targets.fpga.folded.costs.clocks import (
    kept_rows,
    products_per_clock,
    weight_words,
    window_of,
)
from actc.targets.fpga.folded.costs.memory import (
    memory_blocks,
    ram_cells,
    ram_flip_flops,
    rom_cells,
)
from actc.targets.fpga.folded.folding import Folding, Storage, input_word, output_word
from actc.targets.fpga.folded.program import (
    MatrixStage,
    MaximumStage,
    ProductStage,
    Stage,
    SumStage,
)

FIFO_WORDS = 16
"""Of the FIFO behind the function unit, if it lies in small RAMs."""
PARAMETER_BLOCK_BITS = 1024
"""Bits from which on the parameters of a function lie in block memories."""

FEATURES = (
    "stage", "counter", "product", "sum", "total", "hold", "function", "parameter", "weight",
    "window", "fifo", "pad", "compare", "convert",
)  # fmt: skip
"""Counts of logic cells; those of flip-flops have the same names."""


@dataclass(frozen=True, slots=True)
class FunctionCost:
    """What the function unit of a stage takes.

    Attributes:
        cells_per_lane, dsp_per_lane: logic cells, hard multipliers.
        parameter_bits: of each channel, in a ROM; 0 where channels do not differ.
        ffs_per_lane: flip-flops.
    """

    cells_per_lane: float = 0.0
    dsp_per_lane: int = 0
    parameter_bits: int = 0
    ffs_per_lane: float = 0.0


@dataclass(slots=True)
class Counts:
    """Of a stage or a converter.

    Attributes:
        cells, ffs: by feature, not weighed.
        brams, dsps: exact.
    """

    cells: dict[str, float] = field(default_factory=dict)
    ffs: dict[str, float] = field(default_factory=dict)
    brams: int = 0
    dsps: int = 0

    def add(self, feature: str, cells: float = 0.0, ffs: float = 0.0) -> None:
        """Count more of a feature."""
        self.cells[feature] = self.cells.get(feature, 0.0) + cells
        self.ffs[feature] = self.ffs.get(feature, 0.0) + ffs


def stage_counts(
    stage: Stage,
    folding: Folding,
    family: Family,
    function: FunctionCost,
    bits: StageBits,
) -> Counts:
    """The counts of a stage; see :func:`~actc.targets.fpga.folded.costs.area.stage_area`."""
    counts = Counts()
    counts.add("stage", 1, 1)
    _count_function(counts, stage, folding, family, function)
    if isinstance(stage, (MatrixStage, MaximumStage)):
        _count_window(counts, stage, folding, family, bits)
        _count_fifo(counts, folding.lanes * bits.result, family)
    if isinstance(stage, MatrixStage):
        _count_products(counts, stage, folding, family, bits)
        _count_totals(counts, folding, bits)
    elif isinstance(stage, MaximumStage):
        width = folding.pe * bits.element
        counts.add("compare", 2 * width, width)
    else:
        _count_elements(counts, stage, folding, family, bits)
    return counts


def converter_counts(source: int, reader: int, width: int) -> Counts:
    """From words of `source` elements to words of `reader`, through their greatest divisor."""
    counts = Counts()
    common = gcd(source, reader)
    for word in (source, reader):
        if word != common:
            counts.add("convert", word * width, word * width)
            counts.add("counter", 0, (word // common).bit_length())
    return counts


def fifo_counts(elements: int, word: int, width: int, family: Family) -> Counts:
    """A FIFO of so many elements in words of `word`, each element of `width` bits."""
    counts = Counts()
    depth = -(-elements // word)
    if depth > FIFO_WORDS:
        counts.brams = memory_blocks(word * width, depth, family)
        counts.add("counter", 2 * depth.bit_length(), 2 * depth.bit_length())
    elif depth > 0:
        _count_fifo(counts, word * width, family)
    return counts


def _count_products(
    counts: Counts, stage: MatrixStage, folding: Folding, family: Family, bits: StageBits
) -> None:
    number = products_per_clock(stage, folding)
    if folding.multiplier == "dsp":
        counts.dsps += number * bits.multipliers(family)
        # what it multiplies comes from registers inside it
    else:
        counts.add(
            "product", number * bits.element * bits.weight, number * (bits.element + bits.weight)
        )
    for terms, width in _tree(folding.simd, bits.product):
        counts.add("sum", folding.pe * terms * width, folding.pe * terms * width)
    _count_rom(
        counts,
        "weight",
        number * bits.weight,
        weight_words(stage, folding),
        folding.weights,
        family,
    )
    if any(stage.window.before) or any(stage.window.after):
        word = input_word(stage, folding) * bits.element
        counts.add("pad", word, word)


def _count_totals(counts: Counts, folding: Folding, bits: StageBits) -> None:
    width = folding.pe * bits.total
    counts.add("total", width, width)
    if folding.lanes < folding.pe:  # taken over at the end of a group, then shifted
        counts.add("hold", width, width)


def _count_function(
    counts: Counts, stage: Stage, folding: Folding, family: Family, function: FunctionCost
) -> None:
    lanes = output_word(stage, folding)
    counts.add("function", lanes * function.cells_per_lane, lanes * function.ffs_per_lane)
    counts.dsps += lanes * function.dsp_per_lane
    width, depth = lanes * function.parameter_bits, stage.output.channels // lanes
    if width and depth > 1:
        storage: Storage = "block" if width * depth >= PARAMETER_BLOCK_BITS else "logic"
        _count_rom(counts, "parameter", width, depth, storage, family)


def _count_window(
    counts: Counts, stage: Stage, folding: Folding, family: Family, bits: StageBits
) -> None:
    word = input_word(stage, folding)
    width = word * stage.input.range.width
    depth = kept_rows(stage) * stage.input.columns * (stage.input.channels // word)
    counts.add("window", 0.0, width)
    if folding.buffer == "block":
        counts.brams += memory_blocks(width, depth, family)
    else:
        cells, ffs = ram_cells(width, depth, family), ram_flip_flops(width, depth, family)
        counts.add("window", cells, ffs)
    for size in _counters(stage, folding, depth):
        length = max(size - 1, 0).bit_length()
        counts.add("counter", length, length)


def _counters(stage: Stage, folding: Folding, depth: int) -> Iterator[int]:
    """What is counted: two addresses, places of the kernel, groups, positions, weights."""
    yield from (depth, depth, stage.output.rows, stage.output.columns)
    yield from (*window_of(stage).kernel, stage.output.channels // folding.pe)
    if isinstance(stage, MatrixStage):
        yield from (stage.weights.shape[3] // folding.simd, weight_words(stage, folding))


def _count_fifo(counts: Counts, width: int, family: Family) -> None:
    cells = ram_cells(width, FIFO_WORDS, family)
    counts.add("fifo", cells, ram_flip_flops(width, FIFO_WORDS, family) + width)


def _count_elements(
    counts: Counts, stage: Stage, folding: Folding, family: Family, bits: StageBits
) -> None:
    if isinstance(stage, SumStage):
        for factor in stage.factors:  # of 1 costs nothing, others a sum for each set bit
            digits = max(bin(abs(factor)).count("1") - 1, 0)
            counts.add("sum", folding.pe * digits * bits.total, 0)
        counts.add("sum", folding.pe * bits.total, folding.pe * bits.total)
    elif isinstance(stage, ProductStage):
        if folding.multiplier == "dsp":
            counts.dsps += folding.pe * bits.multipliers(family)
        else:
            counts.add("product", folding.pe * bits.element**2, 2 * folding.pe * bits.element)


def _count_rom(
    counts: Counts, feature: str, width: int, depth: int, storage: Storage, family: Family
) -> None:
    if storage == "block":
        counts.brams += memory_blocks(width, depth, family)
        counts.add(feature)
    else:
        counts.add(feature, rom_cells(width, depth, family), width)


def _tree(terms: int, width: int) -> Iterator[tuple[int, int]]:
    """Additions of each level of a tree, and bits of their sums."""
    while terms > 1:
        width += 1
        yield terms // 2, width
        terms = ceil(terms / 2)
