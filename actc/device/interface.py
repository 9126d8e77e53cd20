"""What the host must know of a network in hardware.

How real inputs become the integers that the network takes and its integers become real
outputs (what golden.onnx does in float at its boundary), how these lie on the wire, and
which design answers there.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from actc.device.bits import Integers
from actc.diagnostics import Diagnostic
from actc.errors import UsageError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class InputFormat:
    """How one input reaches the hardware.

    Attributes:
        name: of the model's input.
        dtype: numpy's name of what golden.onnx takes, "float32" or an integer type.
        shape: of one sample, without the batch axis.
        width: bits of each element on the wire.
        signed: whether these are two's complement.
        low, high: the integers that are sent; others are clipped to them.
        scale: integer = clip(round(float32(x) / scale) + zero_point), ties to even, as ONNX
            QuantizeLinear; None: the integers are sent as they stand.
        zero_point: the integer of real zero.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    width: int
    signed: bool
    low: int
    high: int
    scale: float | None = None
    zero_point: int = 0

    @property
    def elements(self) -> int:
        """Of one sample."""
        return prod(self.shape)

    def codes(self, values: Array) -> Integers:
        """The integers to send.

        Args:
            values: [samples, *shape].

        Returns:
            int64 [samples, elements].

        Raises:
            UsageError: ACT0595, integers are sent as they stand and some do not fit.
        """
        rows = np.asarray(values).reshape(len(values), self.elements)
        if self.scale is None:
            if rows.size and (rows.min() < self.low or rows.max() > self.high):
                message = f"input '{self.name}' holds integers outside {self.low}..{self.high}"
                raise UsageError(
                    Diagnostic("ACT0595", message, help="the network cannot read them")
                )
            return rows.astype(np.int64)
        with np.errstate(over="ignore", under="ignore"):
            steps = rows.astype(np.float32) / np.float32(self.scale)
        bounded = np.clip(steps, self.low - self.zero_point, self.high - self.zero_point)
        codes: Integers = np.rint(bounded).astype(np.int64) + self.zero_point
        return codes


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """How one output of the hardware becomes the model's.

    Attributes:
        name: of the model's output.
        dtype: numpy's name of what golden.onnx gives.
        shape: of one sample, without the batch axis.
        width: bits of each element on the wire.
        signed: whether these are two's complement.
        kind: "codes" and "accumulator": (integer - zero_point) * scale in float32, as ONNX
            DequantizeLinear; "softmax": table[max - integer] over its sum along `axis`, as
            IntSoftmax of the dialect; "index": the integers are the output.
        scale: one number, or one per entry along `axis`.
        zero_point: of "codes".
        axis: of one sample, along which scales or the softmax run.
        table: of "softmax", the exponentials of differences.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    width: int
    signed: bool
    kind: str
    scale: tuple[float, ...] = ()
    zero_point: int = 0
    axis: int = 0
    table: tuple[int, ...] = ()

    @property
    def elements(self) -> int:
        """Of one sample."""
        return prod(self.shape)

    def values(self, integers: Integers) -> Array:
        """The model's output, as golden.onnx gives it.

        Args:
            integers: int64 [samples, elements].

        Returns:
            `dtype` [samples, *shape].
        """
        rows = integers.reshape(len(integers), *self.shape)
        if self.kind == "index":
            return rows.astype(self.dtype)
        if self.kind == "softmax":
            along = self.axis + 1
            table = np.array(self.table, np.int64)
            e = table[np.minimum(rows.max(axis=along, keepdims=True) - rows, len(table) - 1)]
            total = e.sum(axis=along, keepdims=True).astype(np.float64)
            share: Array = (e.astype(np.float64) / total).astype(np.float32)
            return share
        scale = np.array(self.scale, np.float32)
        if scale.size > 1:
            scale = scale.reshape([-1 if a == self.axis else 1 for a in range(len(self.shape))])
        real: Array = (rows - self.zero_point).astype(np.float32) * scale
        return real


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
        latency: clocks from inputs to outputs of the core.
        inputs, outputs: in the order of the wire.
        clock_hz: of the core, None where it is not known.
        baud: bits per second of a UART.
        simulation: None where the design cannot be simulated.
    """

    name: str
    kind: str
    build: str
    latency: int
    inputs: tuple[InputFormat, ...]
    outputs: tuple[OutputFormat, ...]
    clock_hz: float | None = None
    baud: int | None = None
    simulation: Simulation | None = None

    @property
    def input_bits(self) -> int:
        """Bits of all inputs of one sample."""
        return sum(item.elements * item.width for item in self.inputs)

    @property
    def output_bits(self) -> int:
        """Bits of all outputs of one sample."""
        return sum(item.elements * item.width for item in self.outputs)
