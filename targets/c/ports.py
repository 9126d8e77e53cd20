"""What the caller of the C code gives and takes: codes, with the numbers that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.kernels.strided import Copy, Dequantize, Elementwise, Quantize
from actc.targets.tvm.plan import Call, KernelPlan

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Quantizer:
    """real = scale * (code - zero), for all codes of an input."""

    scale: float
    zero: int


@dataclass(frozen=True, eq=False)
class Dequantizer:
    """real = scale * (code - zero), where a scale may belong to a channel.

    Attributes:
        kernel: the loops, from codes in the order of the output to float32.
        scale: float32, walked through as `kernel` says.
        zero: zero point.
    """

    kernel: Elementwise
    scale: Array
    zero: int


@dataclass(frozen=True, eq=False)
class Port:
    """An input or output of the model.

    Attributes:
        name: in the model.
        buffer: of one sample.
        dtype: numpy's name of the elements' type in memory.
        shape: of one sample.
        quantizer: of an input whose codes the caller gives.
        dequantizer: of an output whose codes the caller takes.
    """

    name: str
    buffer: str
    dtype: str
    shape: tuple[int, ...]
    quantizer: Quantizer | None
    dequantizer: Dequantizer | None = None

    @property
    def real(self) -> bool:
        """Whether the model has float32 here."""
        coded = self.quantizer is not None or self.dequantizer is not None
        return coded or self.dtype == "float32"

    @property
    def count(self) -> int:
        """Elements of one sample."""
        return int(np.prod(self.shape, dtype=np.int64))


def quantizers(name: str, calls: Sequence[Call]) -> Quantizer | None:
    """The one quantizer that all readers of a float32 input apply to it; None: they differ."""
    found = {_quantizer(call, name) for call in calls if name in call.inputs}
    return found.pop() if len(found) == 1 else None


def _quantizer(call: Call, name: str) -> Quantizer | None:
    kernel = call.kernel
    if not isinstance(kernel, Elementwise) or call.inputs.count(name) != 1:
        return None
    if not isinstance(kernel.operation, Quantize) or call.inputs[0] != name:
        return None
    return Quantizer(float(np.float32(kernel.operation.scale)), kernel.operation.zero)


def cut_input(call: Call, name: str) -> Call:
    """The call on codes, where it quantizes an input."""
    kernel = call.kernel
    if name not in call.inputs or not isinstance(kernel, Elementwise):
        return call
    codes = replace(kernel.inputs[0], dtype="uint8")
    inputs = (codes, *kernel.inputs[1:])
    return replace(call, kernel=replace(kernel, operation=Copy(), inputs=inputs))


def dequantizers(name: str, calls: Sequence[Call], plan: KernelPlan) -> Dequantizer | None:
    """The dequantizer that writes an output, if nobody else reads it."""
    writers = [call for call in calls if call.output == name]
    readers = [call for call in calls if name in call.inputs]
    if len(writers) != 1 or readers or list(plan.outputs.values()).count(name) != 1:
        return None
    (call,) = writers
    kernel = call.kernel
    if not isinstance(kernel, Elementwise) or not isinstance(kernel.operation, Dequantize):
        return None
    if call.inputs[1] not in plan.constants:
        return None
    codes = Operand(kernel.inputs[0].dtype, kernel.out.shape, True, kernel.out.strides)
    walk = replace(kernel, inputs=(codes, *kernel.inputs[1:]))
    return Dequantizer(walk, plan.constants[call.inputs[1]], kernel.operation.zero)


def cut_output(calls: Sequence[Call], port: Port, found: Dequantizer) -> tuple[list[Call], Port]:
    """The calls with a copy of codes in place of the dequantizer, and the port of codes."""
    dtype = found.kernel.inputs[0].dtype
    cut = []
    for call in calls:
        kernel = call.kernel
        if call.output == port.buffer and isinstance(kernel, Elementwise):
            codes = replace(kernel.out, dtype=dtype)
            copied = replace(kernel, operation=Copy(), inputs=kernel.inputs[:1], out=codes)
            call = replace(call, kernel=copied, inputs=call.inputs[:1])
        cut.append(call)
    return cut, replace(port, dtype=dtype, dequantizer=found)
