"""Functions of totals as this target builds them: thresholds, counts of thresholds, tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from actc.targets.bnn_hls.layers import Integers, Layer, MatrixLayer
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range

Form: TypeAlias = Literal["same", "plain", "threshold", "count", "steps", "table", "search"]

MOST_COUNTED = 15
"""Thresholds that are compared side by side, at most."""
MOST_TABLED = 1 << 15
"""Entries of all tables of a layer, at most."""


@dataclass(frozen=True, eq=False)
class Function:
    """The functions of a layer's channels, in one form.

    Attributes:
        form: how they are computed.
        totals: what they take.
        bits: of results.
        rows: functions that differ: one, or one per channel.
        levels: results; int64 [rows, levels].
        limits: least total of each level but the first; int64 [rows, levels - 1]. What is above
            all totals is never reached.
        factor: of "plain", whose offsets are `levels`.
    """

    form: Form
    totals: Range
    bits: int
    rows: int
    levels: Integers
    limits: Integers
    factor: int = 1

    @cached_property
    def limit_range(self) -> Range:
        """Of limits, that of a threshold that is never reached included."""
        return self.totals.hull(Range.of(map(int, (self.limits.min(), self.limits.max()))))

    @property
    def memory_bits(self) -> int:
        """Of all constants."""
        if self.form == "threshold":
            return self.rows * (self.limit_range.width + 1)
        if self.form == "count":
            return int(self.rows * (self.limit_range.width * self.limits.shape[1] + self.bits))
        found = self.levels.size * self.bits
        return int(found + self.limits.size * (self.limit_range.width if self.limits.size else 0))

    @property
    def luts(self) -> float:
        """Look-up tables of one unit, without its constants; an estimate."""
        if self.form in ("same", "table"):
            return 0
        if self.form == "plain":
            return self.bits if self.factor == 1 else 4.0 * self.bits
        compared = self.limit_range.width / 2
        if self.form == "search":
            return (compared + self.limit_range.width) * self.depth
        count = int(self.limits.shape[1])
        return compared * count + (count if self.bits > 1 else 0)

    @property
    def depth(self) -> int:
        """Comparisons of a search, one behind the other."""
        return int(self.limits.shape[1]).bit_length()


def function_of(layer: Layer) -> Function:
    """The form of a layer's functions that takes least."""
    if isinstance(layer, MatrixLayer) and layer.plain:
        bits, rows = layer.output.code.bits, len(layer.offsets)
        none = np.zeros((rows, 0), np.int64)
        offsets = layer.offsets[:, None]
        return Function("plain", layer.totals, bits, rows, offsets, none, layer.factor)
    if not layer.functions:
        none = np.zeros((1, 0), np.int64)
        return Function("same", layer.totals, layer.output.code.bits, 1, none, none)
    shared = all(function is layer.functions[0] for function in layer.functions)
    functions = layer.functions[:1] if shared else layer.functions
    return _built(functions, layer.totals, layer.output.code.bits)


def _built(functions: Sequence[StepFunction], totals: Range, bits: int) -> Function:
    most = max(function.starts.size for function in functions) - 1
    if bits == 1 and most <= 1 and all(f.levels.min() >= 0 for f in functions):
        return _threshold(functions, totals)
    size = totals.high - totals.low + 1
    if most <= MOST_COUNTED:
        levels, limits = _padded(functions, totals, max(most, 1))
        # a level that is never reached may be anything: the next one, where they are counted
        counted = all(np.all(np.diff(function.levels) == 1) for function in functions)
        form: Form = "count" if counted else "steps"
        return Function(form, totals, bits, len(functions), levels, limits)
    if size * len(functions) <= MOST_TABLED:
        return _table(functions, totals, bits)
    levels, limits = _padded(functions, totals, (1 << most.bit_length()) - 1)
    return Function("search", totals, bits, len(functions), levels, limits)


def _threshold(functions: Sequence[StepFunction], totals: Range) -> Function:
    """Limits, and in `levels` whether results are inverted."""
    limits, inverted = [], []
    for function in functions:
        constant = function.starts.size == 1
        limits.append(totals.low if constant else int(function.starts[1]))
        # a constant is a limit that each total reaches
        inverted.append(1 - int(function.levels[-1]))
    shape = (len(functions), 1)
    levels, least = (np.array(values, np.int64).reshape(shape) for values in (inverted, limits))
    return Function("threshold", totals, 1, len(functions), levels, least)


def _padded(
    functions: Sequence[StepFunction], totals: Range, count: int
) -> tuple[Integers, Integers]:
    """Levels [functions, count + 1] and limits [functions, count]."""
    levels = np.zeros((len(functions), count + 1), np.int64)
    limits = np.full((len(functions), count), totals.high + 1, np.int64)
    for row, function in enumerate(functions):
        own = function.starts.size
        levels[row, :own] = function.levels
        levels[row, own:] = function.levels[-1]
        limits[row, : own - 1] = function.starts[1:]
    return levels, limits


def _table(functions: Sequence[StepFunction], totals: Range, bits: int) -> Function:
    every = np.arange(totals.low, totals.high + 1)
    levels = np.stack([function.evaluate(every) for function in functions])
    none = np.zeros((len(functions), 0), np.int64)
    return Function("table", totals, bits, len(functions), levels, none)
