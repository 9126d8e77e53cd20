"""What of a folded stage takes logic: counts by plain rules, which coefficients weigh.

Hard multipliers and block memories are counted exactly; they need no coefficients.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil, gcd

import numpy as np

from actc.targets.fpga.families import Family
from actc.targets.fpga.folded.costs.bits import StageBits
from actc.targets.fpga.folded.costs.clocks import (
    DEPTH_CLOCKS,
    kept_rows,
    weight_words,
    window_of,
)
from actc.targets.fpga.folded.costs.codebook import decoder_logic, index_memory
from actc.targets.fpga.folded.costs.memory import (
    block_cells,
    memory_blocks,
    ram_cells,
    ram_flip_flops,
    rom_cells,
)
from actc.targets.fpga.folded.costs.recurrent import element_cells, element_memories, recurrent_bits
from actc.targets.fpga.folded.folding import (
    Folding,
    Storage,
    decoder_clocks,
    group_clocks,
    input_word,
    is_channelwise,
    output_word,
)
from actc.targets.fpga.folded.hardware.terms import is_unrolled
from actc.targets.fpga.folded.program import (
    MatrixStage,
    MaximumStage,
    ProductStage,
    RecurrentStage,
    Stage,
    SumStage,
)

QUEUE_LOGIC_WORDS = 32
"""Words up to which a queue between stages lies in logic."""
ELEMENT_WORDS = 5
"""Words of the queue of results of a function of elements: those in its pipeline and three more."""
SHARED = 0.55
"""Of the additions of constant weights, those that are left when adders are shared."""
AGREE = {"ecp5": (2.35, 1.6), "ice40": (1.95, 1.5)}
"""By family: logic cells and flip-flops of a pair of bits in a popcount of those that agree."""
AGREE_CONSTANT = 1.1
"""The same where one bit of each pair is a constant, and popcounts share what they have alike."""
PARAMETER_LOGIC_BITS = 4096
"""Bits up to which the parameters of a function lie in logic."""

COMPONENTS: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("window", "window.ring", "products", "weights_memory", "totals_of_group", "serializer"): (
        "window", "address", "circle", "counter", "ring",
        "gate", "sum", "plane", "agree", "pad", "hard", "weight", "total", "compare", "hold"),
    ("function_unit", "parameters_memory"): ("function", "lane", "parameter"),
    ("join_unit",): ("join",),
    (): ("stage", "fifo"),
    ("converters",): ("convert",),
}  # fmt: skip
"""Instances of a stage -> what is counted in them; (): in all others. Synthesis names what a
window's RAM chooses after the products that read it, so both are one. It names the cells of
converters after what is beside them; in whole networks they take one for each bit."""
FEATURES = tuple(name for names in COMPONENTS.values() for name in names)
"""Counts of logic cells; those of flip-flops have the same names."""
LEVELS = 2
"""Additions between registers of a tree."""


@dataclass(frozen=True, slots=True)
class FunctionCost:
    """What the function unit of a stage takes.

    Attributes:
        cells_per_lane, dsp_per_lane: logic cells, hard multipliers.
        parameter_bits: of each channel, in a ROM; 0 where channels do not differ.
        brams_per_lane: block memories of its tables.
    """

    cells_per_lane: float = 0.0
    dsp_per_lane: int = 0
    parameter_bits: int = 0
    brams_per_lane: int = 0


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
    """The counts of a stage; see :func:`~actc.targets.fpga.folded.costs.area.stage_area`.

    Of one on an engine: all but products, weights and totals.
    """
    counts = Counts()
    counts.add("stage", 1, 1)
    _count_function(counts, stage, folding, family, function, bits)
    if isinstance(stage, RecurrentStage):
        _count_recurrent(counts, stage, folding, family, bits)
    elif isinstance(stage, (MatrixStage, MaximumStage)):
        _count_window(counts, stage, folding, family)
        _count_queue(counts, queue_words(stage, folding), folding.lanes * bits.result, family)
    if isinstance(stage, MatrixStage):
        if not folding.engine:
            _count_products(counts, stage, folding, family, bits)
            count_totals(counts, folding, bits)
    elif isinstance(stage, MaximumStage):
        width = folding.pe * bits.element
        counts.add("compare", 2 * width, width)
    elif not isinstance(stage, RecurrentStage):
        _count_queue(counts, ELEMENT_WORDS, folding.pe * bits.result, family)
        _count_elements(counts, stage, folding, family, bits)
    return counts


def converter_counts(source: int, reader: int, width: int) -> Counts:
    """From words of `source` elements to words of `reader`, through their greatest divisor."""
    counts = Counts()
    common = gcd(source, reader)
    for word in (source, reader):
        if word != common:
            counts.add("convert", word * width, word * width)
            counts.add("convert", 0, (word // common).bit_length())
    return counts


def fifo_counts(elements: int, word: int, width: int, family: Family) -> Counts:
    """A FIFO of so many elements in words of `word`, each element of `width` bits."""
    counts = Counts()
    depth = -(-elements // word)
    if depth > QUEUE_LOGIC_WORDS:  # with two words in front of the block memory
        counts.brams = memory_blocks(word * width, depth, family)
        counts.add("fifo", *_twice(3 * depth.bit_length()))
        counts.add("fifo", word * width, 2 * word * width)
    elif depth > 0:
        _count_queue(counts, depth, word * width, family)
    return counts


def queue_words(stage: Stage, folding: Folding) -> int:
    """Words of the queue of results: all groups that are on their way, and one that waits."""
    clocks, group = group_clocks(stage, folding), folding.pe // folding.lanes
    depth = DEPTH_CLOCKS + decoder_clocks(stage, folding)
    return max(group * (-(-(clocks + depth + group + 3) // clocks) + 1), 2)


def _count_products(
    counts: Counts, stage: MatrixStage, folding: Folding, family: Family, bits: StageBits
) -> None:
    if any(stage.window.before) or any(stage.window.after):
        word = input_word(stage, folding) * bits.element
        counts.add("pad", word, word)
    if stage.counted:
        _count_agreements(counts, stage, folding, family, bits)
        return
    if is_unrolled(stage, folding):
        counts.add("sum", *_twice(round(SHARED * _digits(stage) * (bits.element + 3))))
        return
    count_array(counts, folding, weight_words(stage, folding), family, bits)


def _count_agreements(
    counts: Counts, stage: MatrixStage, folding: Folding, family: Family, bits: StageBits
) -> None:
    """Of a binary stage: popcounts, in logic cells as they were measured."""
    number = folding.pe * (1 if is_channelwise(stage) else folding.simd)
    if is_unrolled(stage, folding):
        counts.add("agree", *_twice(round(AGREE_CONSTANT * number)))
        return
    cells, ffs = AGREE.get(family.name, AGREE["ecp5"])
    counts.add("agree", number + (cells - 1) * (number - folding.pe), folding.pe + ffs * number)
    if stage.counted == 2:  # a constant instead
        counts.add("agree", folding.pe * bits.total, 0)
    if folding.codebook:
        counts.add("agree", *decoder_logic(stage, folding, family))
        _count_rom(counts, "weight", *index_memory(stage, folding), folding.weights, family)
    elif bits.weight:
        words = weight_words(stage, folding)
        _count_rom(counts, "weight", number, words, folding.weights, family)


def count_array(
    counts: Counts, folding: Folding, words: int, family: Family, bits: StageBits
) -> None:
    """Products with weights from a memory of so many words, and sums of those of a clock."""
    number = folding.pe * folding.simd
    if bits.weight == 0:
        counts.add("sum", *_twice(folding.pe * _tree(folding.simd, bits.element)))
        return
    if folding.multiplier == "dsp":
        counts.dsps += number * bits.multipliers(family)
        counts.add("hard", number, number * bits.product)
        counts.add("sum", *_sums(folding.pe, folding.simd, bits.product))
    else:  # each bit of the weights chooses inputs, which are added up
        counts.add("gate", number * bits.element * bits.weight, folding.pe * bits.product)
        counts.add("sum", *_sums(folding.pe * bits.weight, folding.simd, bits.element))
        plane = bits.element + (folding.simd - 1).bit_length()
        counts.add("plane", *_twice(folding.pe * (bits.weight - 1) * (plane + 1)))
    if bits.based:
        counts.add("sum", *_twice(_tree(folding.simd, bits.element) + folding.pe * bits.product))
    _count_rom(counts, "weight", number * bits.weight, words, folding.weights, family)


def _digits(stage: MatrixStage) -> int:
    """Additions of constant weights, each as sum of the fewest signed powers of two."""
    flat = np.abs(stage.weights.reshape(len(stage.weights), -1))
    places = np.ascontiguousarray(flat ^ (3 * flat)).view(np.uint8)
    digits = np.unpackbits(places, axis=1).sum(axis=1, dtype=np.int64)
    return int(np.maximum(digits - 1, 0).sum())


def count_totals(counts: Counts, folding: Folding, bits: StageBits) -> None:
    """Accumulators, and what holds totals that leave one after the other."""
    width = folding.pe * bits.total
    counts.add("total", width, width)
    if folding.lanes < folding.pe:  # taken over at the end of a group, then shifted
        one = folding.lanes * bits.total
        counts.add("hold", width, width - one)


def _count_function(
    counts: Counts,
    stage: Stage,
    folding: Folding,
    family: Family,
    function: FunctionCost,
    bits: StageBits,
) -> None:
    lanes = output_word(stage, folding)
    counts.add("function", *_twice(lanes * function.cells_per_lane))
    counts.add("lane", 0, lanes * (bits.total + bits.result))
    counts.dsps += lanes * function.dsp_per_lane
    counts.brams += lanes * function.brams_per_lane
    width, depth = lanes * function.parameter_bits, stage.output.channels // lanes
    if width and depth > 1:
        storage: Storage = "block" if width * depth > PARAMETER_LOGIC_BITS else "logic"
        _count_rom(counts, "parameter", width, depth, storage, family)


def _count_window(counts: Counts, stage: Stage, folding: Folding, family: Family) -> None:
    word = input_word(stage, folding)
    width = word * stage.input.range.width
    depth = kept_rows(stage) * stage.input.columns * (stage.input.channels // word)
    counts.add("window", 1, 1)
    if folding.buffer == "block":
        counts.brams += memory_blocks(width, depth, family)
        counts.add("ring", block_cells(width, depth, family))
    else:
        cells, ffs = ram_cells(width, depth, family), ram_flip_flops(width, depth, family)
        counts.add("ring", cells, ffs + width)
    address = max(depth - 1, 1).bit_length()
    counts.add("address", address, address)
    if depth & (depth - 1):  # sums along the ring must be brought back into it
        counts.add("circle", address, 0)
    for size in _counters(stage, folding, depth):
        length = max(size - 1, 0).bit_length()
        counts.add("counter", length, length)


def _counters(stage: Stage, folding: Folding, depth: int) -> Iterator[int]:
    """What is counted: places of the kernel, groups, words, rows, columns."""
    window = window_of(stage)
    yield from (stage.output.rows, stage.output.columns, *window.kernel)
    yield from (stage.input.rows, stage.input.rows, stage.input.columns, stage.input.columns)
    yield from (stage.output.channels // folding.pe, depth // kept_rows(stage))
    if isinstance(stage, MatrixStage):
        yield stage.weights.shape[3] // folding.simd


def _count_queue(counts: Counts, words: int, width: int, family: Family) -> None:
    counts.add("fifo", ram_cells(width, words, family), ram_flip_flops(width, words, family))
    counts.add("fifo", *_twice(3 * words.bit_length()))


def _count_recurrent(
    counts: Counts, stage: RecurrentStage, folding: Folding, family: Family, bits: StageBits
) -> None:
    cell, own, pe = stage.cell, recurrent_bits(stage), folding.pe
    block = folding.buffer == "block"
    memories = [
        (own.operand + own.memory, cell.units),
        *[(own.gate, cell.units)] * (cell.gates - 1),
        (stage.input.range.width, cell.outputs),
        (own.total, cell.outputs),
    ]
    for width, depth in memories:
        counts.brams += memory_blocks(width, depth, family) if block else 0
        cells = 0.0 if block else ram_cells(width, depth, family)
        counts.add("ring", cells, width if block else ram_flip_flops(width, depth, family))
        counts.add("fifo", *_twice(6 * depth.bit_length()))
    logic, hard = element_cells(stage, family, folding.multiplier == "dsp")
    # its datapath is one long pipeline with few registers in each of its stages
    counts.add("function", logic, logic / 2)
    counts.dsps += hard
    counts.brams += element_memories(stage, family)
    if folding.multiplier == "dsp":
        counts.dsps += pe * bits.multipliers(family)
        counts.add("hard", pe, pe * bits.product)
    else:
        counts.add("gate", pe * bits.element * bits.weight)
        counts.add("plane", *_twice(pe * (bits.weight - 1) * (bits.element + 1)))
    words = cell.units * cell.outputs // pe
    _count_rom(counts, "weight", pe * bits.weight, words, folding.weights, family)
    constants = own.parameter * cell.outputs
    storage: Storage = "block" if constants > PARAMETER_LOGIC_BITS else "logic"
    if constants:
        _count_rom(counts, "parameter", own.parameter, cell.outputs, storage, family)
    initial = own.operand + own.memory
    _count_rom(counts, "parameter", initial, cell.units, "logic", family)
    counts.add("total", *_twice(pe * bits.total))
    counts.add("hold", *_twice(max(pe - 1, 0) * bits.total))
    room = cell.units if stage.last else 2 * cell.units
    _count_queue(counts, room, bits.result, family)


def _count_elements(
    counts: Counts, stage: Stage, folding: Folding, family: Family, bits: StageBits
) -> None:
    if len(stage.sources) > 1:  # what waits for both streams, and the fork that gave them
        counts.add("stage", 3, 2)
    if isinstance(stage, SumStage):
        for factor in stage.factors:  # of 1 costs nothing, others a sum for each set bit
            digits = max(bin(abs(factor)).count("1") - 1, 0)
            counts.add("join", folding.pe * digits * bits.total, 0)
        counts.add("join", *_twice(folding.pe * bits.total))
    elif isinstance(stage, ProductStage):
        if folding.multiplier == "dsp":
            counts.dsps += folding.pe * bits.multipliers(family)
            counts.add("join", *_twice(folding.pe * bits.product))
        else:
            counts.add("join", *_twice(folding.pe * bits.element**2))


def _count_rom(
    counts: Counts, feature: str, width: int, depth: int, storage: Storage, family: Family
) -> None:
    counts.add(feature, *_twice(max(depth - 1, 1).bit_length()))
    if storage == "block":
        counts.brams += memory_blocks(width, depth, family)
        counts.add(feature, block_cells(width, depth, family))
    else:
        counts.add(feature, rom_cells(width, depth, family), width)


def _tree(terms: int, width: int) -> int:
    """Bits of all sums of a tree of terms of `width` bits."""
    bits = 0
    while terms > 1:
        width += 1
        bits += terms // 2 * width
        terms = ceil(terms / 2)
    return bits


def _sums(trees: int, terms: int, width: int) -> tuple[int, int]:
    """Bits of the sums of such trees, and of registers behind every `LEVELS` additions."""
    kept, left, level = 0, terms, 0
    while left > 1:
        left, level = ceil(left / 2), level + 1
        kept += left * (width + level) if level % LEVELS == 0 else 0
    return trees * _tree(terms, width), trees * kept


def _twice(count: float) -> tuple[float, float]:
    """The same number of logic cells and of flip-flops."""
    return count, count
