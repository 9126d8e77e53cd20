"""Area of stages and converters: counts times coefficients that were fitted to yosys.

``tools/folded_costs.py`` measures stages and fits the coefficients.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from math import ceil

from actc.targets.fpga.families import Family
from actc.targets.fpga.folded.costs.bits import StageBits, stage_bits
from actc.targets.fpga.folded.costs.features import (
    FEATURES,
    Counts,
    FunctionCost,
    converter_counts,
    fifo_counts,
    stage_counts,
)
from actc.targets.fpga.folded.folding import Folding
from actc.targets.fpga.folded.program import Stage

__all__ = ["RESOURCES", "Area", "FunctionCost", "converter_area", "fifo_area", "stage_area"]

RESOURCES = ("luts", "ffs", "brams", "dsps")
"""What is counted, in the order of :class:`Area`."""
Coefficients = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Area:
    """Of a device: what is taken, or what there is.

    Attributes:
        luts: logic cells, the sites of look-up tables.
        ffs, brams, dsps: flip-flops, block memories, hard multipliers.
    """

    luts: int = 0
    ffs: int = 0
    brams: int = 0
    dsps: int = 0

    def __add__(self, other: Area) -> Area:
        return Area(*(a + b for a, b in zip(self, other, strict=True)))

    def __iter__(self) -> Iterator[int]:
        return iter((self.luts, self.ffs, self.brams, self.dsps))

    def within(self, budget: Area) -> bool:
        """Whether no resource is taken more often than there."""
        return all(a <= b for a, b in zip(self, budget, strict=True))


def stage_area(
    stage: Stage,
    folding: Folding,
    family: Family,
    function: FunctionCost = FunctionCost(),  # noqa: B008 (frozen)
    bits: StageBits | None = None,
) -> Area:
    """What a stage takes with its window, FIFO and function unit.

    Args:
        function: what its function unit takes.
        bits: of its numbers, where they are known already or are others.
    """
    known = stage_bits(stage) if bits is None else bits
    return weighed(stage_counts(stage, folding, family, function, known), family)


def converter_area(source: int, reader: int, width: int, family: Family) -> Area:
    """What stands between words of two numbers of elements of `width` bits."""
    if source == reader:
        return Area()
    return weighed(converter_counts(source, reader, width), family)


def fifo_area(elements: int, word: int, width: int, family: Family) -> Area:
    """A FIFO of so many elements, in words of `word`."""
    return weighed(fifo_counts(elements, word, width, family), family)


def weighed(counts: Counts, family: Family, coefficients: Coefficients | None = None) -> Area:
    """The area of counts.

    Args:
        coefficients: "cells" and "ffs" by feature; None: those of the family.
    """
    weights = known_coefficients()[family.name] if coefficients is None else coefficients
    cells = sum(weights["cells"][name] * amount for name, amount in counts.cells.items())
    ffs = sum(weights["ffs"][name] * amount for name, amount in counts.ffs.items())
    return Area(ceil(cells), ceil(ffs), counts.brams, counts.dsps)


@functools.cache
def known_coefficients() -> Mapping[str, Coefficients]:
    """By family, "cells" or "ffs", and feature."""
    package = "actc.targets.fpga.folded.costs"
    text = resources.files(package).joinpath("coefficients.json").read_text("utf-8")
    found: Mapping[str, Coefficients] = json.loads(text)["families"]
    if any(set(row) != set(FEATURES) for family in found.values() for row in family.values()):
        raise ValueError("coefficients.json has other features than the model")
    return found
