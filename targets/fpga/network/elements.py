"""Elements of tensors: wires, and functions of them that are not built yet.

Golden writes a function of an accumulator in several operators (Requantize, then a
table, then another one). Each only extends the function of the element; hardware is built
where a wire is needed, once for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.functions import Stage, StepFunction
from actc.targets.fpga.hdl import Range, Wire

Elements: TypeAlias = npt.NDArray[np.object_]
"""Elements of one sample: an array of :class:`Element`, without the batch axis."""


@dataclass(frozen=True, eq=False, slots=True)
class Element:
    """``offset + factor * function(wire)``.

    Attributes:
        wire: what it is computed from.
        function: still to be built; None: the wire itself.
        stages: the operators that make up the function, in order.
        factor, offset: of a wire that stands for evenly spaced values.
        scope: layer in which the function is built.
    """

    wire: Wire
    function: StepFunction | None = None
    stages: tuple[Stage, ...] = ()
    factor: int = 1
    offset: int = 0
    scope: str = ""

    @property
    def plain(self) -> bool:
        """Whether it is its wire."""
        return self.function is None and self.factor == 1 and self.offset == 0

    @property
    def range(self) -> Range:
        """From its least to its largest value."""
        inner = self.wire.range if self.function is None else self.function.hull
        factor = Range(self.factor, self.factor)
        return (inner * factor).plus(self.offset)


@dataclass(frozen=True, eq=False, slots=True)
class Unit:
    """An integer function as it is built.

    Attributes:
        start: what the hardware reads.
        end: the hardware, equal to ``function(whole)``.
        whole: `start` and the constants that were added to it; often `start` itself.
        function: from golden.
        shape: the same as a function of `start`.
        stages: what makes it up, as functions of `start`; none: a table in any case.
    """

    start: Wire
    end: Wire
    whole: Wire
    function: StepFunction
    shape: StepFunction
    stages: tuple[Stage, ...]


@dataclass(eq=False, slots=True)
class Layer:
    """Operators of the model that become one module: a head and the functions behind it.

    Attributes:
        name: scope of its wires in the graph.
        head: operator type of the first node.
        nodes: names of the golden nodes, in order.
        shape: of its result, without the batch axis.
        multiplications: products with weights that are not zero, or of two variables.
        weights: weights that are not zero.
    """

    name: str
    head: str
    nodes: list[str]
    shape: tuple[int, ...] = ()
    multiplications: int = 0
    weights: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Tensor:
    """The elements of a value of the model.

    Attributes:
        elements: of one sample.
        layer: where their hardware is built.
    """

    elements: Elements
    layer: Layer

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return self.elements.shape


def array_of(elements: Iterable[Any], shape: tuple[int, ...]) -> Elements:
    """An object array, whatever the elements are."""
    made = np.empty(shape, object)
    flat = made.reshape(-1)
    for index, element in enumerate(elements):
        flat[index] = element
    return made
