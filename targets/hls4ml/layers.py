"""A network as layers that hls4ml builds: integers in, integers out, channels last.

Where a layer stands for one of hls4ml's own (Dense, Conv2D, DepthwiseConv2D, pooling, reshape)
hls4ml makes it; the others are :mod:`~actc.targets.hls4ml.extension`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range

Integers: TypeAlias = npt.NDArray[np.int64]
Attribute: TypeAlias = int | tuple[int, ...] | Integers


@dataclass(frozen=True, eq=False)
class HlsLayer:
    """One layer.

    Attributes:
        name: a C++ identifier, unique.
        op: operator of the dialect: "ActcDense".
        inputs: names of the layers, or of the network's input, that it reads.
        shape: of one sample of the result, channels last.
        result: range of every element of the result.
        attributes: integers, tuples of them, and constants (arrays).
        types: role -> range of what has a type of its own: "accum", "weight", "limits".
        scope: name of the layer of the model that it belongs to.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    result: Range
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    types: Mapping[str, Range] = field(default_factory=dict)
    scope: str = ""


@dataclass(frozen=True, eq=False)
class HlsFunction:
    """What layers one behind another have to compute together.

    Attributes:
        given: the layer that the first of them reads.
        made: the last of them.
        functions: of each channel, on all that can occur there; equal objects where equal.
    """

    given: str
    made: str
    functions: tuple[StepFunction, ...]


@dataclass(frozen=True, eq=False)
class HlsNetwork:
    """Layers between one input and one output.

    Attributes:
        name: of the project and its top function.
        input: name of the input.
        shape: of one sample of the input.
        range: of the input's elements.
        layers: in an order in which they can be computed; the last one is the output.
        functions: of the program's stages, which activation units were made of.
    """

    name: str
    input: str
    shape: tuple[int, ...]
    range: Range
    layers: tuple[HlsLayer, ...]
    functions: tuple[HlsFunction, ...] = ()

    @property
    def output(self) -> HlsLayer:
        """The layer whose result leaves."""
        return self.layers[-1]

    def range_of(self, name: str) -> Range:
        """The range of the elements that a layer, or the input, gives."""
        if name == self.input:
            return self.range
        return next(layer.result for layer in self.layers if layer.name == name)


def integer_type(range: Range, least: int = 1) -> str:
    """The type of hls4ml that holds a range: "ap_int<9>".

    Args:
        least: bits, at least.
    """
    sign = "" if range.signed else "u"
    return f"ap_{sign}int<{max(range.width, least)}>"


def hull_of(array: npt.NDArray[Any]) -> Range:
    """From the least to the largest integer of an array."""
    return Range(int(array.min()), int(array.max()))
