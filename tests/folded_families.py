"""Families of functions for folded stages, of every kind that training and quantization leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.functions import Requantization, Stage, StepFunction, table_stage
from actc.targets.fpga.functions.stages import in_stages
from actc.targets.fpga.hdl import Range

Integers = npt.NDArray[np.int64]
Family = tuple[list[StepFunction], list[tuple[Stage, ...]]]
"""Functions of channels, and the stages of each."""

SILU = np.round(np.arange(-100, 156) / (1 + np.exp(-np.arange(-100, 156) / 20.0))) + 6


def some_range(rng: np.random.Generator, size: int) -> Range:
    low, high = sorted(rng.integers(-size, size, 2).tolist())
    return Range(low, high)


def composed(range: Range, stages: tuple[Stage, ...]) -> tuple[StepFunction, tuple[Stage, ...]]:
    return in_stages(range, stages), stages


def family(pairs: Sequence[tuple[StepFunction, tuple[Stage, ...]]]) -> Family:
    return [function for function, _ in pairs], [stages for _, stages in pairs]


def requantized(
    rng: np.random.Generator, channels: int, high: int, tables: Sequence[Integers], size: int
) -> Family:
    """A scale, a bias and a range of totals for each channel; then one of the tables."""
    pairs = []
    for _ in range(channels):
        scale = Requantization(
            int(high / size * 2**20 * rng.uniform(0.3, 3)), 20, int(rng.integers(high)), 0, high
        )
        own, bias = some_range(rng, size), int(rng.integers(-size // 4, size // 4))
        first = scale(own.plus(bias)).moved(-bias)
        table = table_stage(tables[int(rng.integers(len(tables)))])
        pairs.append(composed(own, (first.cut, table)))
    return family(pairs)


def one_table(rng: np.random.Generator) -> Family:
    return requantized(rng, 5, 255, [SILU.astype(np.int64)], 3000)


def several_tables(rng: np.random.Generator) -> Family:
    return requantized(rng, 6, 63, [rng.integers(-90, 90, 64) for _ in range(3)], 1500)


def few_bits(rng: np.random.Generator) -> Family:
    """Thresholds of two bits, some channels falling, some without all levels."""
    pairs = []
    for _ in range(6):
        own = some_range(rng, 200)
        starts = np.unique(np.append(rng.integers(own.low, own.high + 1, 3), own.low))
        levels = np.arange(len(starts))
        levels = levels if rng.random() < 0.5 else 3 - levels
        pairs.append((StepFunction.from_runs(own, starts, levels), ()))
    return family(pairs)


def own_levels(rng: np.random.Generator) -> Family:
    """Few steps, of any levels."""
    pairs = []
    for _ in range(7):
        own = some_range(rng, 200)
        starts = np.unique(np.append(rng.integers(own.low, own.high + 1, 6), own.low))
        pairs.append((StepFunction.from_runs(own, starts, rng.integers(-9, 9, len(starts))), ()))
    return family(pairs)


def one_scale(rng: np.random.Generator) -> Family:
    """One requantization and activation for all, behind biases."""
    scale, table = Requantization(50_001, 20, 90, 0, 255), table_stage(SILU.astype(np.int64))
    pairs = []
    for _ in range(6):
        own, bias = some_range(rng, 4000), int(rng.integers(-999, 999))
        pairs.append(composed(own, (scale(own.plus(bias)).moved(-bias).cut, table)))
    return family(pairs)


def kinked(rng: np.random.Generator) -> Family:
    """Two slopes in each channel; some fall."""
    pairs = []
    for _ in range(4):
        own = some_range(rng, 2000)
        x = np.arange(own.low, own.high + 1)
        left, right = rng.uniform(0.01, 0.1, 2)
        y = np.floor(np.where(x > 0, x * right, x * left) + rng.random()).astype(np.int64)
        pairs.append((StepFunction.of(own, y * int(rng.choice([-1, 1]))), ()))
    return family(pairs)


def kinked_codes(rng: np.random.Generator) -> Family:
    """A leaky slope for each channel, behind its scale: more tables than are worth it."""
    x = np.arange(256) - 128
    slopes = rng.uniform(0.02, 0.6, 8)
    tables = [np.floor(np.where(x > 0, x, x * slope) + 0.5).astype(np.int64) for slope in slopes]
    return requantized(rng, 8, 255, tables, 2500)


def any_functions(rng: np.random.Generator) -> Family:
    pairs = []
    for _ in range(3):
        own = some_range(rng, 60)
        values = rng.integers(-30, 30, own.high - own.low + 1)
        pairs.append((StepFunction.of(own, values), ()))
    return family(pairs)


def equal_functions(rng: np.random.Generator) -> Family:
    """The same of all totals that two channels have."""
    scale = Requantization(70_000, 20, 3, -128, 127)
    return family([composed(some_range(rng, 900), (scale,)) for _ in range(4)])


def shared_table(rng: np.random.Generator) -> Family:
    """One function of codes, as behind a sum of two streams."""
    steps = StepFunction.of(Range(0, 255), SILU.astype(np.int64))
    return family([(steps, (steps.cut,)) for _ in range(3)])


def single_values(rng: np.random.Generator) -> Family:
    """Totals that cannot vary beside one that does."""
    pairs = [(StepFunction.of(Range(at, at), [at % 5]), ()) for at in (-3, 0, 8)]
    return family([*pairs, (StepFunction.of(Range(0, 40), np.arange(41) // 3 % 7), ())])


FAMILIES: list[Callable[[np.random.Generator], Family]] = [
    one_table, several_tables, few_bits, own_levels, one_scale, kinked, kinked_codes,
    any_functions, equal_functions, shared_table, single_values,
]  # fmt: skip
