"""What the rules build with: tensors of wires, and the hardware behind their elements."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from actc.ir.graph import constant
from actc.targets.fpga.functions import Stage, StepFunction, composite, without_bias
from actc.targets.fpga.functions.stages import in_stages
from actc.targets.fpga.hdl import Graph, Range, Wire
from actc.targets.fpga.network.elements import Element, Elements, Layer, Tensor, Unit, array_of
from actc.targets.fpga.network.options import NetworkOptions
from actc.targets.fpga.network.template import Template

Array = npt.NDArray[Any]


_NARROW, _WIDE = 8, 13
"""Bits of inputs and of values of what is always a table."""


class Unsupported(Exception):
    """A node that cannot be unrolled.

    Args:
        reason: one sentence without a final period.
        help: what the user can do.
        code: diagnostic code.
    """

    def __init__(self, reason: str, help: str = "", code: str = "ACT0550") -> None:
        super().__init__(reason)
        self.reason, self.help, self.code = reason, help, code


class Builder:
    """The network so far.

    Attributes:
        graph: where its wires are.
        options: how it is built.
        tensors: what stands for the values of the model.
        layers: in the order in which they begin.
        layer: to which the node belongs that is being built.
        done: nodes that were built together with one in front of them.
        units: functions that were built.
        leaving: values that the host reads.
    """

    def __init__(self, options: NetworkOptions) -> None:
        self.graph = Graph()
        self.options = options
        self.tensors: dict[ir.Value, Tensor] = {}
        self.layers: list[Layer] = []
        self.layer = Layer("", "", [])
        self.done: set[ir.Node] = set()
        self.units: list[Unit] = []
        self.leaving: frozenset[ir.Value] = frozenset()
        self._templates: dict[Hashable, Template] = {}
        self._built: dict[tuple[int, int], Element] = {}
        self._functions: dict[Hashable, tuple[StepFunction, tuple[Stage, ...]]] = {}

    def begin(self, name: str, head: str, node: str) -> Layer:
        """A new layer; of equal names the later ones get a number."""
        taken = {layer.name for layer in self.layers}
        unique, number = name, 1
        while unique in taken:
            number += 1
            unique = f"{name}_{number}"
        self.layers.append(Layer(unique, head, [node]))
        return self.layers[-1]

    def constant(self, node: ir.Node, index: int, what: str) -> Array:
        """A constant input.

        Raises:
            Unsupported: it is not constant.
        """
        array = self.optional(node, index)
        if array is None:
            raise Unsupported(f"{what} is not a constant", "fold constants first")
        return array

    def optional(self, node: ir.Node, index: int) -> Array | None:
        """A constant input, None where it is missing or no constant."""
        return constant(node.inputs[index]) if index < len(node.inputs) else None

    def scalar(self, node: ir.Node, index: int, what: str) -> int:
        """A constant input of one element."""
        return int(self.constant(node, index, what).reshape(-1)[0])

    def tensor(self, node: ir.Node, index: int = 0) -> Tensor:
        """A variable input."""
        value = node.inputs[index] if index < len(node.inputs) else None
        found = None if value is None else self.tensors.get(value)
        if found is None:
            raise Unsupported(f"input {index} is not computed from the network's inputs")
        return found

    def operand(self, node: ir.Node, index: int, rank: int) -> Tensor:
        """An input that may be constant; a constant of `rank` axes has the batch in front."""
        array = self.optional(node, index)
        if array is None:
            return self.tensor(node, index)
        if array.ndim > rank or (array.ndim == rank and array.shape[0] != 1):
            raise Unsupported("a constant differs between samples")
        return self.constants(array[0] if array.ndim == rank else array)

    def constants(self, array: Array) -> Tensor:
        """Integers as elements."""
        elements = (Element(self.graph.constant(int(value))) for value in array.reshape(-1))
        return Tensor(array_of(elements, array.shape), self.layer)

    def set(self, value: ir.Value, elements: Elements) -> None:
        """What stands for a value; built at once where several operators read it."""
        tensor = Tensor(elements, self.layer)
        if len(value.uses()) > 1:
            tensor = self.settled(tensor)
        self.tensors[value] = tensor
        self.layer.shape = tensor.shape

    def count(self, weights: Array, times: int) -> None:
        """Add a matrix that is multiplied so many times to the layer."""
        used = int(np.count_nonzero(weights))
        self.layer.weights += used
        self.layer.multiplications += used * times

    def settled(self, tensor: Tensor) -> Tensor:
        """The same with every function built."""
        found = [self.settle(element) for element in tensor.elements.reshape(-1)]
        return Tensor(array_of(found, tensor.shape), tensor.layer)

    def wires(self, tensor: Tensor) -> Elements:
        """Wires that hold the values themselves."""
        settled = self.settled(tensor)
        with self.graph.scope(tensor.layer.name):
            found = [self.wire(element) for element in settled.elements.reshape(-1)]
        return array_of(found, tensor.shape)

    def wire(self, element: Element) -> Wire:
        """One wire that holds the value itself."""
        function = element.function
        if function is not None and (element.wire.index, id(function)) not in self._built:
            with self.graph.scope(element.scope):
                return self._function(element.wire, function, element.stages)
        element = self.settle(element)
        return element.wire * element.factor + element.offset

    def number(self, element: Element) -> int:
        """The value of a settled element whose wire is constant."""
        assert element.wire.value is not None  # asked for constants only
        return element.factor * element.wire.value + element.offset

    def settle(self, element: Element) -> Element:
        """The same with its function built."""
        function = element.function
        if function is None:
            return element
        key = element.wire.index, id(function)
        if key not in self._built:
            with self.graph.scope(element.scope):
                self._built[key] = self._spaced(element.wire, function, element.stages)
        return self._built[key]

    def _spaced(self, wire: Wire, function: StepFunction, stages: tuple[Stage, ...]) -> Element:
        """Evenly spaced values are built as 0, 1, 2... where that takes fewer bits."""
        offset = function.hull.low
        factor = int(np.gcd.reduce(function.levels - offset))
        relabelled = (function.levels - offset) // max(factor, 1)
        if factor == 0 or Range.of(relabelled.tolist()).width == function.hull.width:
            return Element(self._function(wire, function, stages))
        spaced = StepFunction(function.range, function.starts, relabelled)

        def label(range: Range) -> StepFunction:
            values = np.arange(range.low, range.high + 1)
            return StepFunction.of(range, (values - offset) // factor)

        return Element(self._function(wire, spaced, (*stages, label)), None, (), factor, offset)

    def _function(self, wire: Wire, function: StepFunction, stages: tuple[Stage, ...]) -> Wire:
        if len(function.levels) == 1:
            return self.graph.constant(int(function.levels[0]))
        if _is_identity(function):
            return wire
        if is_plain_table(function):
            found = self._shaped(wire, function, lambda inputs: plain_table(inputs, function))
            self.units.append(Unit(wire, found, wire, function, function, ()))
            return found
        # a template does not see what its wire is made of: the bias is taken over in front
        start, own = without_bias(wire, stages)
        shape = in_stages(start.range, own)
        found = self._shaped(
            start, shape, lambda inputs: composite(inputs, own, self.options.functions)
        )
        self.units.append(Unit(start, found, wire, function, shape, tuple(own)))
        return found

    def _shaped(self, wire: Wire, function: StepFunction, build: Callable[[Wire], Wire]) -> Wire:
        """`build` of the wire, once for all wires with the same range and function."""
        key = "function", function.key
        return self.template(key, [wire], lambda given: [build(given[0])], [function.hull])[0]

    def template(
        self,
        key: Hashable,
        wires: Sequence[Wire],
        build: Callable[[list[Wire]], Sequence[Wire]],
        results: Sequence[Range],
    ) -> list[Wire]:
        """`build` of `wires`, carried out once for each key and ranges.

        Args:
            key: says all about `build` but the wires.
            results: ranges of what it gives, from which a rehearsal goes on.
        """
        ranges = tuple(wire.range for wire in wires)
        full = (key, ranges)
        if full not in self._templates:
            self._templates[full] = Template.record(ranges, build)
        return self._templates[full].apply(self.graph, wires)

    def extended(self, tensor: Tensor, stages: Iterable[tuple[Hashable, Stage]]) -> Elements:
        """Every element with one more function behind its own.

        Args:
            stages: for each element a key, equal for equal functions, and the function.
        """
        pairs = list(zip(tensor.elements.reshape(-1), stages, strict=True))
        wanted: dict[tuple[int, int], set[Hashable]] = {}
        for element, (key, _) in pairs:
            wanted.setdefault((element.wire.index, id(element.function)), set()).add(key)
        found = []
        for element, (key, stage) in pairs:
            # several functions of one code: the code is built once
            shared = len(wanted[element.wire.index, id(element.function)]) > 1
            source = self.settle(element) if shared else element
            found.append(self._then(source, key, stage))
        return array_of(found, tensor.shape)

    def shared(self, function: StepFunction) -> StepFunction:
        """The first function equal to this one, which keeps elements of it together."""
        return self._functions.setdefault(function.key, (function, ()))[0]

    def _then(self, element: Element, key: Hashable, stage: Stage) -> Element:
        inner = element.function
        full = (element.wire.range, id(inner), element.factor, element.offset, key)
        if full not in self._functions:
            self._functions[full] = _composed(element, stage)
        return self.pending(element.wire, *self._functions[full])

    def pending(
        self, wire: Wire, function: StepFunction, stages: tuple[Stage, ...] = ()
    ) -> Element:
        """A function that is built in the present layer once it is needed.

        Args:
            stages: what makes it up; none: the function is one stage.
        """
        return Element(wire, function, stages or (function.cut,), scope=self.layer.name)


def is_plain_table(function: StepFunction) -> bool:
    """Whether few inputs give wide values: a table then, as searches go through all values."""
    span = function.hull.plus(-function.hull.low)
    return function.range.width <= _NARROW and span.width > _WIDE


def plain_table(wire: Wire, function: StepFunction) -> Wire:
    """A table addressed by the bits of a wire, with its sign as the first of them."""
    codes = np.arange(1 << wire.width)
    values = codes - ((codes >> (wire.width - 1)) << wire.width) if wire.signed else codes
    inside = np.clip(values, wire.range.low, wire.range.high)
    entries = [int(level) for level in function.evaluate(inside)]
    found = wire.graph.lookup(wire.bits(0, wire.width), entries)
    return found.narrow(function.hull, "all entries")


class Rehearsal(Builder):
    """Runs the rules without searching for hardware: unknown wires of the right ranges."""

    def template(
        self,
        key: Hashable,
        wires: Sequence[Wire],
        build: Callable[[list[Wire]], Sequence[Wire]],
        results: Sequence[Range],
    ) -> list[Wire]:
        """Wires with the ranges of `results` and no meaning."""
        return [self._unknown(range) for range in results]

    def _unknown(self, range: Range) -> Wire:
        if range.single:
            return self.graph.constant(range.low)
        return self.graph.input(f"unknown_{len(self.graph.wires)}", range)


def _composed(element: Element, stage: Stage) -> tuple[StepFunction, tuple[Stage, ...]]:
    """A function of an element as one of its wire, and the stages of that."""
    outer = stage(element.range)
    if element.plain:
        return outer, (stage,)
    if element.function is not None:
        return element.function.then(outer), (*element.stages, stage)
    wire = element.wire.range
    codes = element.factor * np.arange(wire.low, wire.high + 1) + element.offset
    function = StepFunction.of(wire, outer.evaluate(codes))
    return function, (function.cut,)


def _is_identity(function: StepFunction) -> bool:
    count = function.range.high - function.range.low + 1
    return len(function.starts) == count and np.array_equal(function.starts, function.levels)
