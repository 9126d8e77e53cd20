"""What the host must know of a network in hardware.

How inputs become the integers that the network takes, and its integers outputs (what
golden.onnx does in float at its boundary), how these lie on the wire, and which design
answers there. Names and meanings are those of `Network.interface()` of the compiler.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from actc.device.bits import Integers
from actc.device.frames import longest
from actc.device.logarithm import log_softmax
from actc.diagnostics import Diagnostic
from actc.errors import UsageError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class InputFormat:
    """How one bus of the hardware is fed.

    Attributes:
        bus: its name.
        input: the model's input that it is made of.
        dtype: numpy's name of the input's type.
        shape: of one sample, without the batch axis.
        width: bits of each element on the wire.
        signed: whether these are two's complement.
        low, high: the integers that occur.
        kind: "quantize": clip(rint(float32(x) / scale) + zero_point, low, high), as ONNX
            QuantizeLinear; "codes": x as it stands; "index": x where 0 <= x < high, else
            high; "flags": 0 or 1.
        scale, zero_point: of "quantize".
        axes: of a sample, in the order in which the wire runs through them, the last one
            fastest; empty: as they are.
    """

    bus: str
    input: str
    dtype: str
    shape: tuple[int, ...]
    width: int
    signed: bool
    low: int
    high: int
    kind: str
    scale: float = 1.0
    zero_point: int = 0
    axes: tuple[int, ...] = ()

    @property
    def elements(self) -> int:
        """Of one sample."""
        return prod(self.shape)

    def codes(self, values: Array) -> Integers:
        """The integers to send.

        Args:
            values: [samples, *shape].

        Returns:
            int64 [samples, elements], in the order of the wire.

        Raises:
            UsageError: ACT0595, integers are sent as they stand and some do not fit.
        """
        samples = np.asarray(values).reshape(len(values), *self.shape)
        if self.axes:
            samples = samples.transpose(0, *(axis + 1 for axis in self.axes))
        rows = samples.reshape(len(samples), self.elements)
        if self.kind == "quantize":
            with np.errstate(over="ignore", under="ignore"):
                steps = rows.astype(np.float32) / np.float32(self.scale)
            bounded = np.clip(steps, self.low - self.zero_point, self.high - self.zero_point)
            codes: Integers = np.rint(bounded).astype(np.int64) + self.zero_point
            return codes
        rows = rows.astype(np.int64)
        if self.kind == "index":
            return np.where((rows >= 0) & (rows < self.high), rows, self.high)
        if rows.size and (rows.min() < self.low or rows.max() > self.high):
            message = f"input '{self.input}' holds integers outside {self.low}..{self.high}"
            help_text = "the network has no way to read them"
            raise UsageError(Diagnostic("ACT0595", message, help=help_text))
        return rows


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """How one output of the model is computed from what a bus of the hardware holds, q.

    Attributes:
        bus: its name; several outputs may be made of one.
        output: of the model.
        dtype: numpy's name of the output's type.
        shape: of one sample, without the batch axis.
        width: bits of each element on the wire.
        signed: whether these are two's complement.
        kind: "codes": (q - zero_point) * scale in float32, as ONNX DequantizeLinear;
            "accumulator": (q * multiplier + offset - zero_point) * scale, integers first;
            "softmax": float32(float64(q) / float64(sum of q)); "scores": the same of
            table[max of q - q]; "log_softmax": (integers of IntLogSoftmax - zero_point) *
            scale; "integers": q.
        scale, offset: one number, or one per entry along `axis`.
        axis: of the tensor with its batch axis: of scales and offsets, or of the softmax.
        multiplier, zero_point: see kind.
        tables: "table" of "scores"; "table", "levels", "octaves" and "logarithms" of
            "log_softmax".
        axes: as of an :class:`InputFormat`.
    """

    bus: str
    output: str
    dtype: str
    shape: tuple[int, ...]
    width: int
    signed: bool
    kind: str
    scale: tuple[float, ...] = (1.0,)
    offset: tuple[int, ...] = (0,)
    axis: int = 1
    multiplier: int = 1
    zero_point: int = 0
    tables: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    axes: tuple[int, ...] = ()

    @property
    def elements(self) -> int:
        """Of one sample."""
        return prod(self.shape)

    def values(self, integers: Integers) -> Array:
        """The model's output, as golden.onnx gives it.

        Args:
            integers: int64 [samples, elements], in the order of the wire.

        Returns:
            `dtype` [samples, *shape].
        """
        q = self._in_place(integers)
        if self.kind == "integers":
            return q.astype(self.dtype)
        if self.kind == "softmax":
            return _shares(q, self.axis)
        if self.kind == "scores":
            return _shares(self._lookup("table", _below(q, self.axis)), self.axis)
        if self.kind == "log_softmax":
            q = log_softmax(q, self.tables, self.axis)
        elif self.kind == "accumulator":
            q = q * self.multiplier + self._along(np.array(self.offset, np.int64))
        scale = self._along(np.array(self.scale, np.float32))
        real: Array = (q - self.zero_point).astype(np.float32) * scale
        return real

    def _in_place(self, integers: Integers) -> Integers:
        """The tensor, [samples, *shape]."""
        if not self.axes:
            return integers.reshape(len(integers), *self.shape)
        wire = integers.reshape(len(integers), *(self.shape[axis] for axis in self.axes))
        places = (self.axes.index(axis) + 1 for axis in range(len(self.shape)))
        return np.asarray(wire.transpose(0, *places))

    def _along(self, numbers: Array) -> Array:
        """Numbers so that they broadcast along `axis` of [samples, *shape]."""
        rank = len(self.shape) + 1
        axis = self.axis % rank
        return numbers.reshape([-1 if place == axis else 1 for place in range(rank)])

    def _lookup(self, name: str, places: Integers) -> Integers:
        table = np.array(self.tables[name], np.int64)
        return np.asarray(table[np.minimum(places, len(table) - 1)])


def _below(q: Integers, axis: int) -> Integers:
    return np.asarray(q.max(axis=axis, keepdims=True) - q)


def _shares(e: Integers, axis: int) -> Array:
    total = e.sum(axis=axis, keepdims=True).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):  # only a wrong design gives zeros
        return np.asarray((e.astype(np.float64) / total).astype(np.float32))


@dataclass(frozen=True, slots=True)
class Simulation:
    """What simulates the whole design, pins included.

    Attributes:
        top: its module; the ports are those of `actc.targets.fpga.interfaces`.
        files: Verilog files, relative to the directory, without vendors' primitives.
        clock_module: the module that makes the clock, which the simulation replaces;
            "" where the pin is the clock.
    """

    top: str
    files: tuple[str, ...]
    clock_module: str = ""


@dataclass(frozen=True, slots=True)
class Interface:
    """Everything in interface.json.

    Attributes:
        name: of the network.
        kind: "uart", "spi" or "stream".
        build: 16 hexadecimal digits, which the board answers too.
        latency: clocks from inputs to outputs of the core; of one that takes its inputs word
            by word, from the first word to the last one of the outputs, or somewhat more.
        inputs: one per bus, in the order of the wire.
        outputs: in the order of the model.
        output_buses: in the order of the wire.
        clock_hz: of the core, None where it is not known.
        baud: bits per second of a UART.
        simulation: None where the design cannot be simulated.
        in_flight: requests that may be under way, where the board keeps them in a memory;
            None: it keeps one, so that the time between requests decides.
    """

    name: str
    kind: str
    build: str
    latency: int
    inputs: tuple[InputFormat, ...]
    outputs: tuple[OutputFormat, ...]
    output_buses: tuple[str, ...]
    clock_hz: float | None = None
    baud: int | None = None
    simulation: Simulation | None = None
    in_flight: int | None = None

    @property
    def wires(self) -> tuple[OutputFormat, ...]:
        """One of the outputs of each bus, in the order of the wire."""
        of_bus = {item.bus: item for item in self.outputs}
        return tuple(of_bus[name] for name in self.output_buses)

    @property
    def input_bits(self) -> int:
        """Bits of all inputs of one sample."""
        return sum(item.elements * item.width for item in self.inputs)

    @property
    def output_bits(self) -> int:
        """Bits of all outputs of one sample."""
        return sum(item.elements * item.width for item in self.wires)

    @property
    def longest_frame(self) -> int:
        """Bytes that a request, an answer or an identity takes on the wire, at most."""
        return longest(-(-max(self.input_bits, self.output_bits) // 8) + 16)
