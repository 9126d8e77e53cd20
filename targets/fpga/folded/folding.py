"""How a stage is folded: what it computes at a time, and where its numbers lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Literal, TypeAlias

from actc.targets.fpga.folded.kernels import kernels_of, reads_of
from actc.targets.fpga.folded.program import (
    MatrixStage,
    MaximumStage,
    ProductStage,
    RecurrentStage,
    Stage,
    Stream,
)

Multiplier: TypeAlias = Literal["dsp", "logic"]
Storage: TypeAlias = Literal["block", "logic"]

STORAGES: tuple[Storage, ...] = ("block", "logic")
_MOST_RECURRENT = 16
"""Products of a recurrent layer at a time; what is behind takes one total a clock."""


@dataclass(frozen=True, slots=True)
class Folding:
    """Of one stage.

    Attributes:
        pe: output channels at a time; divides the outputs of a group, and the channels of a
            channelwise or elementwise stage.
        simd: channels of the input at a time; divides the channels of a group. Channelwise and
            elementwise stages have 1: their words hold `pe` channels.
        lanes: totals that the function unit takes per clock; divides `pe`, and all of them
            leave before the next are there.
        multiplier: what products are made of.
        weights: where the ROM of weights lies.
        buffer: where the window's RAM lies.
        engine: number of the engine, from 1 on, that computes the stage's totals by turns with
            those of other stages; 0: the stage has multipliers of its own.
        codebook: whether the ROM of weights holds indices of the layer's kernels
            (:mod:`~actc.targets.fpga.folded.kernels`), and a decoder gives their weights.
    """

    pe: int = 1
    simd: int = 1
    lanes: int = 1
    multiplier: Multiplier = "logic"
    weights: Storage = "logic"
    buffer: Storage = "logic"
    engine: int = 0
    codebook: bool = False


def divisors(number: int) -> tuple[int, ...]:
    """All of them, from 1 on."""
    small = [d for d in range(1, int(number**0.5) + 1) if number % d == 0]
    return tuple(sorted({*small, *(number // d for d in small)}))


def is_channelwise(stage: Stage) -> bool:
    """Whether each channel of the output is made of the same channel of the input alone.

    Then a word holds channels side by side, each with an accumulator of its own.
    """
    if isinstance(stage, MaximumStage):
        return True
    if not isinstance(stage, MatrixStage):
        return False
    channels = stage.input.channels
    return 1 < stage.groups == channels == len(stage.weights)


def is_elementwise(stage: Stage) -> bool:
    """Whether there is no window: sums, products and functions of elements."""
    return not isinstance(stage, (MatrixStage, MaximumStage, RecurrentStage))


def input_word(stage: Stage, folding: Folding) -> int:
    """Elements that the stage takes per clock from each source."""
    if isinstance(stage, RecurrentStage):
        return 1
    return folding.simd if _has_words_of_groups(stage) else folding.pe


def output_word(stage: Stage, folding: Folding) -> int:
    """Elements per word of what the stage gives."""
    return folding.pe if is_elementwise(stage) else folding.lanes


def entry_words(stream: Stream) -> tuple[int, ...]:
    """Elements per word that an entry may have."""
    return divisors(stream.channels)


def group_clocks(stage: Stage, folding: Folding) -> int:
    """Clocks of one position and one group of `pe` results."""
    if isinstance(stage, RecurrentStage):
        return stage.cell.units
    if isinstance(stage, MatrixStage):
        kernel, channels = prod(stage.weights.shape[1:3]), stage.weights.shape[3]
        return int(kernel * (channels // folding.simd))
    return prod(stage.window.kernel) if isinstance(stage, MaximumStage) else 1


def decoder_clocks(stage: Stage, folding: Folding) -> int:
    """Clocks that the words of a window wait for weights that are decoded."""
    if not folding.codebook or not isinstance(stage, MatrixStage):
        return 0
    return reads_of(stage, folding.pe, folding.simd).clocks


def foldings(stage: Stage) -> Iterator[Folding]:
    """All that a stage can have."""
    if is_elementwise(stage):
        kinds = multipliers(stage)
        for pe, multiplier in product(divisors(stage.output.channels), kinds):
            yield Folding(pe, 1, pe, multiplier)
        return
    for pe, simd in product(_pes(stage), _simds(stage)):
        clocks = group_clocks(stage, Folding(pe, simd))
        all_lanes = [lanes for lanes in divisors(pe) if pe // lanes <= clocks]
        if isinstance(stage, RecurrentStage):
            all_lanes = [1]
        for lanes, multiplier, weights, buffer, codebook in product(
            all_lanes, multipliers(stage), _storages(stage), STORAGES, _codebooks(stage)
        ):
            yield Folding(pe, simd, lanes, multiplier, weights, buffer, codebook=codebook)


def multipliers(stage: Stage) -> tuple[Multiplier, ...]:
    """What products of a stage can be made of; one where it makes none."""
    if isinstance(stage, (MatrixStage, ProductStage, RecurrentStage)):
        return "logic", "dsp"
    return ("logic",)


def problem_of(stage: Stage, folding: Folding) -> str:
    """Why a stage cannot be folded so; "" where it can."""
    if is_elementwise(stage):
        fits = stage.output.channels % folding.pe == 0
        same = folding.simd == 1 and folding.lanes == folding.pe
        return "" if fits and same else "elementwise stages have pe = lanes, a divisor, and simd 1"
    if folding.pe not in _pes(stage):
        return f"pe {folding.pe} is not one of {_pes(stage)}"
    if folding.simd not in _simds(stage):
        return f"simd {folding.simd} is not one of {_simds(stage)}"
    if isinstance(stage, RecurrentStage) and folding.lanes != 1:
        return "a recurrent layer has one lane"
    if folding.lanes < 1 or folding.pe % folding.lanes:
        return f"lanes {folding.lanes} do not divide pe {folding.pe}"
    if folding.codebook not in _codebooks(stage):
        return "its kernels are not so few that indices are fewer bits"
    clocks = group_clocks(stage, folding)
    if folding.pe // folding.lanes > clocks:
        return f"{folding.pe} totals through {folding.lanes} lanes take more than {clocks} clocks"
    return ""


def can_share(stage: Stage) -> bool:
    """Whether a stage can be on an engine: matrix products, but those that count bits."""
    return isinstance(stage, MatrixStage) and not is_channelwise(stage) and not stage.counted


def engine_members(foldings: Sequence[Folding]) -> dict[int, tuple[int, ...]]:
    """Number of each engine -> places of its stages, in order."""
    found: dict[int, list[int]] = {}
    for place, folding in enumerate(foldings):
        if folding.engine:
            found.setdefault(folding.engine, []).append(place)
    return {number: tuple(found[number]) for number in sorted(found)}


def engine_problem(stages: Sequence[Stage], foldings: Sequence[Folding]) -> str:
    """Why stages cannot share engines as their foldings say; "" where they can."""
    for number, members in engine_members(foldings).items():
        alone = [stages[place].name for place in members if not can_share(stages[place])]
        if alone:
            return f"{alone[0]} cannot be on an engine"
        if len(members) < 2:
            return f"engine {number} has one stage"
        if len({_on_engine(foldings[place]) for place in members}) > 1:
            return f"the stages of engine {number} differ in more than where their windows lie"
        for place in members:
            if problem := problem_of(stages[place], foldings[place]):
                return f"{stages[place].name}: {problem}"
    return ""


def _on_engine(folding: Folding) -> Folding:
    return replace(folding, buffer="logic")


def _has_words_of_groups(stage: Stage) -> bool:
    return isinstance(stage, MatrixStage) and not is_channelwise(stage)


def _pes(stage: Stage) -> tuple[int, ...]:
    if isinstance(stage, MatrixStage) and not is_channelwise(stage):
        return divisors(len(stage.weights) // stage.groups)
    if isinstance(stage, RecurrentStage):
        return tuple(pe for pe in divisors(stage.cell.units) if pe <= _MOST_RECURRENT)
    return divisors(stage.output.channels)


def _simds(stage: Stage) -> tuple[int, ...]:
    if isinstance(stage, MatrixStage) and not is_channelwise(stage):
        return divisors(stage.weights.shape[3])
    return (1,)


def _storages(stage: Stage) -> tuple[Storage, ...]:
    return STORAGES if isinstance(stage, (MatrixStage, RecurrentStage)) else ("logic",)


def _codebooks(stage: Stage) -> tuple[bool, ...]:
    """Whether weights can be indices of kernels; a channelwise stage has only a few weights."""
    if not isinstance(stage, MatrixStage) or is_channelwise(stage):
        return (False,)
    return (False,) if kernels_of(stage) is None else (False, True)
