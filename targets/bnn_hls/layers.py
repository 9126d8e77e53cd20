"""Layers of a network as this target computes them: what each word bit stands for, fixed exactly.

A layer is a stage of a :class:`~actc.targets.fpga.folded.program.FoldedProgram` whose streams carry
codes, and whose sums of products are counts of bits where both factors have two values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.folded.program import Stream, Window
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range

Integers: TypeAlias = npt.NDArray[np.int64]
Product: TypeAlias = Literal["xnor", "masked xnor", "and", "centred xnor", "signs", "integers"]

POPCOUNTS: tuple[Product, ...] = ("xnor", "masked xnor", "and", "centred xnor")
"""Products whose sums are counts of bits."""


@dataclass(frozen=True, slots=True)
class Code:
    """What a stream carries: k in `range`, for the value ``low + step * k``."""

    range: Range
    low: int = 0
    step: int = 1

    @property
    def bits(self) -> int:
        """Of each element."""
        return self.range.width

    @property
    def signed(self) -> bool:
        """Whether these are two's complement."""
        return self.range.signed

    @property
    def values(self) -> Range:
        """The least and the largest value."""
        return Range(self.low + self.step * self.range.low, self.low + self.step * self.range.high)

    def of(self, values: Integers) -> Integers:
        """k of values."""
        return np.asarray((values - self.low) // self.step)

    def holds(self, value: int) -> bool:
        """Whether a value has a code."""
        k, rest = divmod(value - self.low, self.step)
        return rest == 0 and self.range.low <= k <= self.range.high


@dataclass(frozen=True, slots=True)
class Port:
    """A stream as a layer sees it: positions of some channels."""

    rows: int
    columns: int
    channels: int
    code: Code

    @classmethod
    def of(cls, stream: Stream, code: Code) -> Port:
        """The port of a stream."""
        return cls(stream.rows, stream.columns, stream.channels, code)

    @property
    def positions(self) -> int:
        """Of one sample."""
        return self.rows * self.columns

    @property
    def size(self) -> int:
        """Elements of one sample."""
        return self.positions * self.channels


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer.

    Attributes:
        name: of the layer in the model.
        nodes: golden's nodes that it stands for.
        sources: numbers of what it reads: of an earlier layer, or -1 - k for entry k.
        inputs: of each source, as the layer sees it.
        output: what it gives.
        functions: of each channel, from the total to the code that leaves; empty: the total
            itself, as :attr:`plain` says.
        totals: range of the totals of all channels.
    """

    name: str
    nodes: tuple[str, ...]
    sources: tuple[int, ...]
    inputs: tuple[Port, ...]
    output: Port
    functions: tuple[StepFunction, ...]
    totals: Range

    @property
    def input(self) -> Port:
        """The (first) input."""
        return self.inputs[0]


@dataclass(frozen=True, eq=False)
class MatrixLayer(Layer):
    """A convolution or matrix product, of all channels or channel by channel.

    ``factor * total + offsets[o]`` is the stage's own total of channel o.

    Attributes:
        window: what is read.
        product: what totals are made of.
        weights: int64 [outputs, kernel rows, kernel columns, channels]; channels is 1 where each
            channel reads its own one only.
        outside: the code that stands in the padding; none for "centred xnor".
        factor, offsets: see above; offsets int64 [outputs].
        plain: whether that leaves, and there are no functions.
    """

    window: Window
    product: Product
    weights: Integers
    outside: int
    factor: int
    offsets: Integers
    plain: bool

    @property
    def depthwise(self) -> bool:
        """Whether each channel reads its own one only."""
        return bool(self.weights.shape[3] == 1 < self.input.channels)

    @property
    def taps(self) -> int:
        """Positions of the window."""
        return int(np.prod(self.window.kernel))

    @property
    def terms(self) -> int:
        """Products in each total."""
        return int(np.prod(self.weights.shape[1:]))

    @property
    def products(self) -> int:
        """Products per sample."""
        return self.output.positions * int(self.weights.size)

    @property
    def weight_bits(self) -> int:
        """Of each weight."""
        if self.product == "integers":
            return Range.of(map(int, (self.weights.min(), self.weights.max()))).width
        return 2 if self.product == "masked xnor" else 1

    @property
    def windowed(self) -> bool:
        """Whether results read more than their own position."""
        return bool(self.window != Window())


@dataclass(frozen=True, eq=False)
class MaximumLayer(Layer):
    """The largest code of a window, channel by channel; of bits, their OR."""

    window: Window


@dataclass(frozen=True, eq=False)
class SumLayer(Layer):
    """``factors[0] * a + factors[1] * b`` of codes, element by element."""

    factors: tuple[int, int]


@dataclass(frozen=True, eq=False)
class ProductLayer(Layer):
    """``(steps[0] * a + offsets[0]) * (steps[1] * b + offsets[1])`` of codes."""

    steps: tuple[int, int]
    offsets: tuple[int, int]


@dataclass(frozen=True, eq=False)
class MapLayer(Layer):
    """A function of each element."""


@dataclass(frozen=True, eq=False)
class Network:
    """Layers between one entry and one exit.

    Attributes:
        name: an identifier.
        entry: what the host gives.
        layers: in order.
        exit: number of the layer that the host takes.
    """

    name: str
    entry: Port
    layers: tuple[Layer, ...]
    exit: int

    @property
    def output(self) -> Port:
        """What the host takes."""
        return self.layers[self.exit].output

    def readers(self, number: int) -> list[tuple[int, int]]:
        """Layers and places of their sources that read a source."""
        return [
            (place, at)
            for place, layer in enumerate(self.layers)
            for at, source in enumerate(layer.sources)
            if source == number
        ]
