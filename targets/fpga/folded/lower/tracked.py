"""Values of golden on their way into a folded program: where their elements are in a stream.

What only moves elements changes places, a function of one element waits until it is known
who reads it, and everything else begins a stage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from actc.targets.fpga.folded.program import MapStage, Stage, Stream
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.network.builder import Builder, Rehearsal, Unsupported
from actc.targets.fpga.network.elements import Element, Elements, Layer, Tensor
from actc.targets.fpga.network.options import NetworkOptions

Integers: TypeAlias = npt.NDArray[np.int64]
Path: TypeAlias = tuple[ir.Node, ...]
"""Nodes whose functions lie behind a stage, in order."""

CODE = "ACT0605"
"""Of models that cannot be folded."""


class Functions(Rehearsal):
    """Runs rules of unrolled networks for their functions: nothing is built.

    Its wires stand for the channels of streams.
    """

    def set(self, value: ir.Value, elements: Elements) -> None:
        """Keep the result of a rule."""
        self.tensors[value] = Tensor(elements, self.layer)

    def result(
        self, rule: Callable[[Builder, ir.Node], None], node: ir.Node, index: int, given: Elements
    ) -> Elements:
        """What a rule makes of a tensor that stands for one of its inputs."""
        value = node.inputs[index]
        assert value is not None  # the caller tracks it
        self.tensors = {value: Tensor(given, self.layer)}
        rule(self, node)
        return self.tensors[node.outputs[0]].elements


@dataclass(eq=False)
class Draft:
    """A stage, or an entry, whose functions are not chosen yet.

    Attributes:
        stage: without functions; of an entry the input is what the host gives.
        head: operator of the first node.
        nodes: names of golden nodes, without those of functions.
        sources: what it reads; none: it is an entry.
        constants: what golden's elements are more than the stage's, by channel.
        known: the elements of each channel behind the functions of a path; ``()``: as they
            are computed, with the constants.
    """

    stage: Stage
    head: str
    nodes: list[str]
    sources: tuple[Tracked, ...]
    constants: Integers
    known: dict[Path, tuple[Element, ...]] = field(default_factory=dict)

    @property
    def output(self) -> Stream:
        """The result; its range is not known yet."""
        return self.stage.output


@dataclass(frozen=True, eq=False)
class Tracked:
    """What stands for a value of golden.

    Attributes:
        draft: what computes it.
        index: of each element of a sample, its place in the stream.
        path: the functions behind the draft.
    """

    draft: Draft
    index: Integers
    path: Path = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return self.index.shape

    @property
    def elements(self) -> tuple[Element, ...]:
        """Of each channel of the draft."""
        return self.draft.known[self.path]

    @property
    def range(self) -> Range:
        """Of all elements."""
        return hull(element.range for element in self.elements)

    @property
    def size(self) -> int:
        """Elements of one sample."""
        return self.draft.output.size

    def as_vector(self) -> Stream:
        """The stream, seen as one position."""
        return Stream(1, 1, self.size, self.range)

    def as_map(self) -> Stream:
        """The stream, seen as positions of channels: axis 0 of the tensor are the channels.

        Raises:
            Unsupported: it has more than two axes of positions, or another order.
        """
        channels, *extents = self.shape or (0,)
        if len(extents) not in (1, 2):
            raise Unsupported(f"it has windows over {len(extents)} axes of samples, not 1 or 2")
        rows, columns = (1, *extents)[-2:]
        if not np.array_equal(self.index, map_index(rows, columns, channels).reshape(self.shape)):
            raise Unsupported("what it reads does not come position by position", REORDERED)
        return Stream(rows, columns, channels, self.range)


REORDERED = "a folded network has no memory that reorders a tensor; compile with --target cpu"


def map_index(rows: int, columns: int, channels: int) -> Integers:
    """Places in a stream of the elements [channels, rows, columns]."""
    places = np.arange(rows * columns * channels).reshape(rows, columns, channels)
    return np.moveaxis(places, -1, 0)


def hull(ranges: Iterable[Range]) -> Range:
    """The narrowest range that holds all."""
    found = list(ranges)
    return Range(min(range.low for range in found), max(range.high for range in found))


class Lowering:
    """A program in the making.

    Attributes:
        functions: finds functions of elements.
        values: what stands for the values of golden.
        drafts: in order, entries among them.
        done: nodes that became a stage together with one in front of them.
        batches: of values whose first axis is not that of the samples, the axis that is.
    """

    def __init__(self) -> None:
        self.functions = Functions(NetworkOptions())
        self.functions.layer = Layer("", "", [])
        self.values: dict[ir.Value, Tracked] = {}
        self.drafts: list[Draft] = []
        self.done: set[ir.Node] = set()
        self.batches: dict[ir.Value, int] = {}
        self._names: set[str] = set()

    def name(self, wanted: str) -> str:
        """A name that no other stage has."""
        unique, number = wanted, 1
        while unique in self._names:
            number += 1
            unique = f"{wanted}_{number}"
        self._names.add(unique)
        return unique

    def tracked(self, node: ir.Node, index: int = 0) -> Tracked:
        """A variable input.

        Raises:
            Unsupported: it is a constant.
        """
        value = node.inputs[index] if index < len(node.inputs) else None
        found = None if value is None else self.values.get(value)
        if found is None:
            raise Unsupported(f"input {index} is not computed from the network's inputs")
        return found

    def draft(
        self,
        stage: Stage,
        node: ir.Node | None,
        sources: Sequence[Tracked],
        totals: Sequence[Range],
        constants: Integers | None = None,
    ) -> Draft:
        """Begin a stage.

        Args:
            stage: without nodes, sources, functions, and the range of what it gives.
            node: of golden; None: an entry.
            totals: ranges of what it computes, by channel.
            constants: what golden adds to it.
        """
        if constants is None:
            constants = np.zeros(len(totals), np.int64)
        nodes = [] if node is None else [str(node.name)]
        head = "" if node is None else node.op_type
        made = Draft(stage, head, nodes, tuple(sources), constants)
        made.known[()] = tuple(
            Element(self.functions.graph.input(f"{stage.name}.{channel}", range.plus(int(offset))))
            for channel, (range, offset) in enumerate(zip(totals, constants, strict=True))
        )
        self.drafts.append(made)
        return made

    def mapped(self, x: Tracked, name: str, node: ir.Node) -> Tracked:
        """The same value behind a stage of its own, in which every element is a channel."""
        stream = x.as_vector()
        stage = MapStage(self.name(name), (), (), stream, stream)
        made = self.draft(stage, node, [x], [stream.range] * stream.channels)
        made.nodes.clear()  # the node is one of its functions
        return Tracked(made, x.index)

    def moved(self, node: ir.Node, x: Tracked, index: Integers) -> None:
        """The result of a node that only moves the elements of `x`."""
        x.draft.nodes.append(str(node.name))
        self.values[node.outputs[0]] = Tracked(x.draft, index, x.path)

    def extended(self, node: ir.Node, x: Tracked, elements: Iterable[Element]) -> None:
        """The result of a node that is a function of the elements of `x`."""
        path = (*x.path, node)
        x.draft.known[path] = tuple(elements)
        self.values[node.outputs[0]] = Tracked(x.draft, x.index, path)


def in_rows(stream: Stream, channels: int) -> Stream:
    """A stream as positions of so many channels, as it is if it has as many."""
    if stream.channels == channels:
        return stream
    return Stream(1, prod(stream.shape) // channels, channels, stream.range)
