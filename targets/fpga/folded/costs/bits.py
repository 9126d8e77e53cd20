"""Widths of a stage's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from actc.targets.fpga.families import Family
from actc.targets.fpga.folded.costs.recurrent import recurrent_bits, recurrent_weight_bits
from actc.targets.fpga.folded.hardware.datapath import code_of
from actc.targets.fpga.folded.program import (
    MatrixStage,
    ProductStage,
    RecurrentStage,
    Stage,
    SumStage,
)
from actc.targets.fpga.hdl import Range

HARD_BITS = {"ecp5": 4, "ice40": 11, "gowin": 8}
"""By family: bits of a product, with the signs of its factors, from which on yosys takes a hard
multiplier for it; a factor of one bit never does."""


@dataclass(frozen=True, slots=True)
class StageBits:
    """Bits of a stage's numbers.

    Attributes:
        element: of the input, with what stands in the padding.
        signed: whether these have a sign.
        weight: of a weight, as it is stored; 0 where all are the same.
        based: whether a sum of the inputs is added for what weights have in common.
        total: of an accumulator, or of what stands in front of the functions.
        result: of the output.
    """

    element: int
    signed: bool
    weight: int
    based: bool
    total: int
    result: int

    @property
    def product(self) -> int:
        """Bits of one product."""
        return self.element + self.weight

    def is_hard(self, family: Family) -> bool:
        """Whether its products can be those of hard multipliers."""
        first = self.element + (not self.signed)
        wide = first + self.weight >= HARD_BITS.get(family.name, 4)
        return wide and min(self.element, self.weight) > 1

    def multipliers(self, family: Family) -> int:
        """Hard multipliers of one product.

        Where only one factor has a sign, the other one takes a bit for it.
        """
        first, second = self.element + (not self.signed), self.weight
        m, n = family.dsp_inputs
        return min(-(-first // m) * -(-second // n), -(-second // m) * -(-first // n))


def engine_bits(stages: Sequence[MatrixStage], weight_bits: int | None = None) -> StageBits:
    """Widths of what stages share on an engine: enough for each of them.

    Args:
        weight_bits: as if no weight had more bits than this.
    """
    own = [stage_bits(stage, weight_bits) for stage in stages]
    element = reduce(
        Range.hull,
        (stage.input.range.hull(Range(stage.outside, stage.outside)) for stage in stages),
    )
    levels: set[int] = set()
    for stage in stages:
        levels |= set(np.unique(stage.weights).tolist())
    code = code_of(tuple(sorted(levels)))
    stored = 0 if code.range.single else code.width
    return StageBits(
        element.width,
        element.signed,
        stored if weight_bits is None else min(stored, weight_bits),
        bool(code.base),
        max(bits.total for bits in own),
        max(bits.result for bits in own),
    )


def stage_bits(stage: Stage, weight_bits: int | None = None) -> StageBits:
    """Widths of a stage.

    Args:
        weight_bits: as if no weight had more bits than this.
    """
    element, result = stage.input.range, stage.output.range.width
    if isinstance(stage, MatrixStage):
        element = element.hull(Range(stage.outside, stage.outside))
        code = code_of(tuple(np.unique(stage.weights).tolist()))
        total = max(found.width for found in stage.totals)
        stored = 0 if code.range.single else code.width
        fewer = max(stored - weight_bits, 0) if weight_bits is not None else 0
        return StageBits(
            element.width,
            element.signed,
            stored - fewer,
            bool(code.base),
            max(total - fewer, 1),
            result,
        )
    if isinstance(stage, RecurrentStage):
        own = recurrent_bits(stage)
        weight = recurrent_weight_bits(stage)
        return StageBits(own.operand, True, weight, False, own.total, result)
    total = element.width
    if isinstance(stage, SumStage):
        first, second = (element.high * abs(f) for f in stage.factors)
        total = max(element.width, int(first + second).bit_length() + 1)
    elif isinstance(stage, ProductStage):
        total = 2 * element.width
    return StageBits(element.width, element.signed, element.width, False, total, result)
