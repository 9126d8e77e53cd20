"""Designs: graphs whose ports are tensors, and whose wires belong to layers.

A :class:`~actc.targets.fpga.hdl.module.Module` has one port per wire, as units do; a network
has hundreds. A design gathers them in buses, one per tensor, and is written as one Verilog
module per scope of its graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.hdl.evaluate import Values, evaluate
from actc.targets.fpga.hdl.graph import Graph, Wire
from actc.targets.fpga.hdl.module import Module, Output


@dataclass(frozen=True, slots=True)
class Bus:
    """The elements of a tensor, side by side in one port: element 0 in the lowest bits.

    Attributes:
        name: of the tensor in the model; sanitized where it is written.
        shape: of one sample, without the batch axis; elements in row-major order.
        wires: one per element.
        width: bits of each element.
        signed: whether elements are read as two's complement.

    Raises:
        ValueError: the shape has another number of elements, or a wire does not fit.
    """

    name: str
    shape: tuple[int, ...]
    wires: tuple[Wire, ...]
    width: int
    signed: bool

    def __post_init__(self) -> None:
        if prod(self.shape) != len(self.wires) or not self.wires:
            raise ValueError(f"{self.name} has {len(self.wires)} wires, not {self.shape}")
        for wire in self.wires:
            # an unsigned wire needs one bit more in a signed bus, unless it is zero
            positive = not wire.signed and wire.range.high > 0
            needed = wire.width + int(self.signed and positive)
            if needed > self.width or (wire.signed and not self.signed):
                raise ValueError(f"{self.name} has {self.width} bits, not {wire.range}")

    @property
    def bits(self) -> int:
        """Bits of the whole port."""
        return self.width * len(self.wires)


@dataclass(frozen=True, eq=False, slots=True)
class Span:
    """A part of a graph to be found again after registers were put into it.

    Attributes:
        start: a wire, which may be an input.
        end: a wire that depends on `start` and on nothing else.
    """

    start: Wire
    end: Wire


@dataclass(frozen=True, eq=False)
class Design:
    """A graph between tensors; with registers, a new sample is taken every clock.

    Attributes:
        name: of the top module; sanitized where it is written.
        inputs, outputs: in the order of the ports.
        comments: lines that introduce the written top module.
        spans: parts that are followed, of wires that the outputs need.

    Raises:
        ValueError: no output, buses of the same name, wires of different graphs, or an
            input that is read but no port.
    """

    name: str
    inputs: tuple[Bus, ...]
    outputs: tuple[Bus, ...]
    comments: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        if not self.outputs:
            raise ValueError("a design has outputs")
        names = [bus.name for bus in (*self.inputs, *self.outputs)]
        if len(set(names)) < len(names):
            raise ValueError(f"two ports of {self.name} have the same name")
        self.module()  # which checks the rest

    @property
    def graph(self) -> Graph:
        """Where its wires live."""
        return self.outputs[0].wires[0].graph

    def module(self) -> Module:
        """The same with one port per element: input wires keep their own names."""
        inputs = tuple(wire for bus in self.inputs for wire in bus.wires)
        outputs = tuple(
            Output(f"{number}:{element}", wire, bus.width)
            for number, bus in enumerate(self.outputs)
            for element, wire in enumerate(bus.wires)
        )
        return Module(self.name, inputs, outputs, self.comments)

    @property
    def latency(self) -> int | None:
        """Clocks from every input to every output; None where paths differ."""
        return self.module().latency

    def evaluate(self, inputs: Mapping[str, npt.ArrayLike]) -> dict[str, Values]:
        """Outputs for many samples.

        Args:
            inputs: name of each bus -> integers [samples, *shape]. In a design with
                registers the samples follow each other, one per clock.

        Returns:
            name of each output bus -> integers [samples, *shape]; with registers, what the
            outputs show in each clock.

        Raises:
            ValueError, InternalError: as :func:`~actc.targets.fpga.hdl.evaluate.evaluate`.
        """
        if set(inputs) != {bus.name for bus in self.inputs}:
            raise ValueError(f"{self.name} takes {[bus.name for bus in self.inputs]}")
        module = self.module()
        columns: dict[str, npt.ArrayLike] = {}
        for bus in self.inputs:
            given = np.asarray(inputs[bus.name])
            if given.shape[1:] != bus.shape:
                raise ValueError(f"{bus.name} takes samples of {bus.shape}, not {given.shape[1:]}")
            rows = given.reshape(len(given), len(bus.wires))
            for element, wire in enumerate(bus.wires):
                columns[wire.graph.hints[wire.index]] = rows[:, element]
        found = evaluate(module, columns)
        return {
            bus.name: np.stack(
                [found[f"{number}:{element}"] for element in range(len(bus.wires))], axis=1
            ).reshape(-1, *bus.shape)
            for number, bus in enumerate(self.outputs)
        }
