"""What stages share on an engine: products, the memory of weights, sums and turns."""

from __future__ import annotations

from collections.abc import Sequence

from actc.targets.fpga.families import Family
from actc.targets.fpga.folded.costs.area import Area, weighed
from actc.targets.fpga.folded.costs.bits import StageBits, engine_bits
from actc.targets.fpga.folded.costs.clocks import weight_words
from actc.targets.fpga.folded.costs.features import Counts, count_array, count_totals
from actc.targets.fpga.folded.folding import Folding
from actc.targets.fpga.folded.program import MatrixStage


def engine_area(
    stages: Sequence[MatrixStage],
    folding: Folding,
    family: Family,
    bits: StageBits | None = None,
) -> Area:
    """What an engine takes beside its stages.

    Args:
        folding: of its stages; where their windows lie does not matter.
        bits: of its numbers, where they are known already or are others.
    """
    known = engine_bits(stages) if bits is None else bits
    return weighed(engine_counts(stages, folding, family, known), family)


def engine_counts(
    stages: Sequence[MatrixStage], folding: Folding, family: Family, bits: StageBits
) -> Counts:
    """The counts of an engine."""
    counts = Counts()
    words = sum(weight_words(stage, folding) for stage in stages)
    number, address = len(stages), max(words - 1, 1).bit_length()
    count_array(counts, folding, words, family, bits)
    count_totals(counts, folding, bits)
    # turns, and a place in the weights for each stage
    counts.add("stage", 2, 1)
    counts.add("weight", number * address, number * address)
    # one word of several, and one place: a look-up table takes two of them
    counts.add("gate", (number - 1) * (folding.simd * bits.element + address), 0)
    return counts
