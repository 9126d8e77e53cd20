"""The kernel plan: which kernels run in which order on which buffers. Pure Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from actc.targets.tvm.generic.spec import Generic
from actc.targets.tvm.kernels.attention_spec import BatchMatMul, MaskedSoftmax
from actc.targets.tvm.kernels.binary_spec import BinaryConv, Pack, Unpack
from actc.targets.tvm.kernels.float_spec import (
    FloatConv,
    FloatLayerNorm,
    FloatMatMul,
    FloatPool,
    FloatReduce,
    FloatSoftmax,
)
from actc.targets.tvm.kernels.instance_spec import InstanceSteps
from actc.targets.tvm.kernels.spec import ConvSpec
from actc.targets.tvm.kernels.strided import (
    Concat,
    Elementwise,
    Embed,
    LayerNorm,
    MaxPool,
    Reduce,
    Softmax,
)

Array = np.ndarray[Any, Any]
Normalizations = LayerNorm | Softmax | MaskedSoftmax
BinaryKernel = BinaryConv | Pack | Unpack
IntKernel = (
    ConvSpec
    | BatchMatMul
    | Elementwise
    | Concat
    | Reduce
    | MaxPool
    | Normalizations
    | Embed
    | InstanceSteps
)
FloatKernel = FloatConv | FloatReduce | FloatPool | FloatSoftmax | FloatLayerNorm | FloatMatMul
Kernel = IntKernel | BinaryKernel | FloatKernel | Generic


@dataclass(frozen=True, slots=True)
class Buffer:
    """An activation in memory.

    Attributes:
        dtype: element type.
        batch: extent of the first axis, None when symbolic.
        shape: the other axes.
        scalar: whether it has no axis at all; then the batch is 1 and there are no others.
    """

    dtype: str
    batch: int | None
    shape: tuple[int, ...]
    scalar: bool = False

    @property
    def passed_as(self) -> str:
        """Element type of the tensor that a caller gives or gets: bits of bfloat16."""
        return "uint16" if self.dtype == "bfloat16" else self.dtype

    @property
    def extents(self) -> tuple[int | None, ...]:
        """All axes."""
        return () if self.scalar else (self.batch, *self.shape)


@dataclass(frozen=True, slots=True)
class Call:
    """One kernel call.

    Attributes:
        kernel: what is computed; equal values share one PrimFunc.
        inputs: names of buffers or constants, as the kernel's docstring orders them.
        output: name of the buffer that it writes.
        node: name of the model's node, for messages.
    """

    kernel: Kernel
    inputs: tuple[str, ...]
    output: str
    node: str


@dataclass(frozen=True, eq=False)
class KernelPlan:
    """Everything that code generation needs.

    Attributes:
        inputs: model input name -> buffer, in the model's order.
        outputs: model output name -> name of the buffer, in the model's order.
        buffers: all activations, inputs included.
        constants: name -> array. Weights are logical, the rest as the kernel reads it.
        calls: in execution order.
    """

    inputs: Mapping[str, Buffer]
    outputs: Mapping[str, str]
    buffers: Mapping[str, Buffer]
    constants: Mapping[str, Array]
    calls: tuple[Call, ...]

    def text(self) -> str:
        """The plan as text, one kernel call a line."""
        lines = [f"input  {name}: {_shape(buffer)}" for name, buffer in self.inputs.items()]
        for call in self.calls:
            kernel = call.kernel
            kind = str(getattr(kernel, "op", type(kernel).__name__))
            result = f"{call.output}: {_shape(self.buffers[call.output])}"
            lines.append(f"{kind:12} {result} <- {', '.join(call.inputs)}  # {call.node}")
        lines += [f"output {name} = {source}" for name, source in self.outputs.items()]
        return "".join(one_line(line) + "\n" for line in lines)


def one_line(text: str) -> str:
    """Text with names of a model in it, control characters and line breaks as escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _shape(buffer: Buffer) -> str:
    extents = ("n" if extent is None else str(extent) for extent in buffer.extents)
    return f"{buffer.dtype}[{', '.join(extents)}]"
