"""Stages of folded programs: what computes a stream from others, to the last bit.

A stream carries one tensor per sample, position by position: rows from the top, columns from
the left, and of each position all channels, the first first. A vector is one position.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.folded.recurrent.cells import Cell
from actc.targets.fpga.folded.rows import Row
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range

Integers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stream:
    """A tensor on its way: rows x columns positions of some channels.

    Attributes:
        rows, columns, channels: of one sample; a vector has one row and one column.
        range: of every element.
    """

    rows: int
    columns: int
    channels: int
    range: Range

    @property
    def size(self) -> int:
        """Elements of one sample."""
        return self.rows * self.columns * self.channels

    @property
    def positions(self) -> int:
        """Of one sample."""
        return self.rows * self.columns

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, channels."""
        return self.rows, self.columns, self.channels


@dataclass(frozen=True, slots=True)
class Window:
    """Which positions are read for one result; axes are (rows, columns).

    Attributes:
        kernel, strides, dilations: of both axes.
        before, after: padding in front of the first and behind the last position.
    """

    kernel: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    before: tuple[int, int] = (0, 0)
    after: tuple[int, int] = (0, 0)

    def positions(self, stream: Stream) -> tuple[int, int]:
        """Rows and columns of the result."""
        found = []
        for axis, extent in enumerate((stream.rows, stream.columns)):
            span = (self.kernel[axis] - 1) * self.dilations[axis] + 1
            padded = extent + self.before[axis] + self.after[axis]
            found.append((padded - span) // self.strides[axis] + 1)
        return found[0], found[1]


@dataclass(frozen=True, eq=False)
class Stage:
    """What computes a stream from others.

    Attributes:
        name: of the layer in the model, unique; a scope of the hardware.
        nodes: names of the golden nodes that it stands for.
        sources: numbers of what it reads: of an earlier stage, or -1 - k for entry k.
        input: the (first) stream that it reads, as it sees it: a flattened tensor is one
            position, whatever its producer made of it.
        output: what it gives.
    """

    name: str
    nodes: tuple[str, ...]
    sources: tuple[int, ...]
    input: Stream
    output: Stream

    def seen(self, place: int) -> Stream:
        """The stream that it reads from a source, as it sees it."""
        return self.input


@dataclass(frozen=True, eq=False)
class MatrixStage(Stage):
    """A convolution, matrix product, depthwise convolution or sum over a window.

    For each position and channel o of group g: ``total = sum of weights[o] * x`` over the
    window and the channels of the group, then ``functions[o](total)``.

    A binary stage has bits as inputs and weights of -1 and 1. It counts the inputs that agree
    with their weight, 1 with 1 and 0 with -1: ``total = counted * (how many agree)``, which is
    ``counted * (sum of weights[o] * x + how many weights are -1)``.

    Attributes:
        window: what is read.
        weights: int64 [outputs, kernel rows, kernel columns, channels of a group].
        groups: 1, or as many as divide inputs and outputs; depthwise: the input's channels.
        outside: the element that stands in the padding; what it counts where `counted` is 2.
        functions: of each output channel, over its total; constants such as the bias are in
            them. An accumulator that leaves as it is has functions of one step per integer
            only where few; see `plain`.
        plain: offsets of totals that leave as ``factor * total + offset`` (int64 [outputs]);
            then there are no functions.
        factor: a power of two.
        counted: of a binary stage, what an input that agrees counts: 1, or 2 where the padding
            is between both values and counts 1; of others 0.
        stages: of each function, the operators it is made of, in order (functions of
            :class:`~actc.targets.fpga.functions.Stage`): what comes first is often a
            staircase per channel, the rest one table for all.
    """

    window: Window = field(default_factory=Window)
    weights: Integers = field(default_factory=lambda: np.zeros((1, 1, 1, 1), np.int64))
    groups: int = 1
    outside: int = 0
    functions: tuple[StepFunction, ...] = ()
    plain: Integers | None = None
    stages: tuple[tuple[object, ...], ...] = ()
    factor: int = 1
    counted: int = 0

    @property
    def terms(self) -> int:
        """Products in each total."""
        return int(prod(self.weights.shape[1:]))

    @property
    def products(self) -> int:
        """Products per sample."""
        return self.output.positions * len(self.weights) * self.terms

    @property
    def totals(self) -> list[Range]:
        """The exact range of each channel's total."""
        if self.counted:
            return [Range(0, self.counted * self.terms)] * len(self.weights)
        flat = self.weights.reshape(len(self.weights), -1)
        # the padding is one of the codes in golden; here it is held to be one anyway
        codes = self.input.range.hull(Range(self.outside, self.outside))
        low = np.minimum(flat * codes.low, flat * codes.high).sum(axis=1)
        high = np.maximum(flat * codes.low, flat * codes.high).sum(axis=1)
        return [Range(int(a), int(b)) for a, b in zip(low, high, strict=True)]


@dataclass(frozen=True, eq=False)
class MaximumStage(Stage):
    """The largest element of a window, channel by channel; padding never wins.

    Attributes:
        window: what is read.
        functions: behind it, of each channel; empty: the element itself.
    """

    window: Window = field(default_factory=Window)
    functions: tuple[StepFunction, ...] = ()


@dataclass(frozen=True, eq=False)
class SumStage(Stage):
    """Two streams of one shape, element by element: ``f(a * factors[0] + b * factors[1])``.

    Attributes:
        factors: of both.
        functions: of the sum, one per channel; equal objects where equal.
    """

    factors: tuple[int, int] = (1, 1)
    functions: tuple[StepFunction, ...] = ()


@dataclass(frozen=True, eq=False)
class ProductStage(Stage):
    """Two streams of one shape, element by element: ``f((a - zeros[0]) * (b - zeros[1]))``.

    Attributes:
        zeros: of both.
        functions: of the product, one per channel.
    """

    zeros: tuple[int, int] = (0, 0)
    functions: tuple[StepFunction, ...] = ()


@dataclass(frozen=True, eq=False)
class MapStage(Stage):
    """A function of each element, where there is no stage in front of it to take it.

    Attributes:
        functions: one per channel.
    """

    functions: tuple[StepFunction, ...] = ()


@dataclass(frozen=True, eq=False)
class RecurrentStage(Stage):
    """A recurrent layer; the positions of its input are its steps.

    Attributes:
        cell: what a step computes.
        last: whether only the last state leaves, or the state behind each step.
        functions: of each unit, over its state; empty: the state itself.
    """

    cell: Cell = field(kw_only=True)
    last: bool = True
    functions: tuple[StepFunction, ...] = ()

    @property
    def products(self) -> int:
        """Products of the matrix per sample."""
        return self.input.positions * int(self.cell.r.size)


@dataclass(frozen=True, eq=False)
class RowStage(Stage):
    """A function of all channels of a position.

    Attributes:
        row: the function.
        functions: behind it, of each output; empty: the outputs themselves.
    """

    row: Row = field(kw_only=True)
    functions: tuple[StepFunction, ...] = ()


@dataclass(frozen=True, eq=False)
class ConcatStage(Stage):
    """Streams of equally many positions, joined: the channels of the first, then of the next.

    Attributes:
        inputs: what is read, of each source; `input` is the first of them.
        functions: behind it, of each channel; empty: the elements themselves.
    """

    inputs: tuple[Stream, ...] = ()
    functions: tuple[StepFunction, ...] = ()

    def seen(self, place: int) -> Stream:
        """The stream of a source."""
        return self.inputs[place]


@dataclass(frozen=True, eq=False)
class RepeatStage(Stage):
    """Each position several times: enlarged to the nearest by whole factors.

    Attributes:
        factors: along rows and columns.
        functions: behind it, of each channel; empty: the elements themselves.
    """

    factors: tuple[int, int] = (1, 1)
    functions: tuple[StepFunction, ...] = ()
