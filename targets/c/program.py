"""What the C code computes: the kernel plan of one sample, without what only moves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.targets.c.ports import Port, cut_input, cut_output, dequantizers, quantizers
from actc.targets.tvm import rules_binary as binary
from actc.targets.tvm import rules_shape as shapes
from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.kernels.spec import channel_block
from actc.targets.tvm.kernels.strided import Copy, Elementwise
from actc.targets.tvm.lower import INT8_RULES
from actc.targets.tvm.plan import Call, KernelPlan
from actc.targets.tvm.planner import Planner

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Storage:
    """An activation of one sample.

    Attributes:
        dtype: numpy's name of the element type; float32 lies in memory as its bits.
        count: elements.
    """

    dtype: str
    count: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.count * (1 if self.dtype == "bool" else np.dtype(self.dtype).itemsize)


@dataclass(eq=False)
class Program:
    """Kernel calls over activations, constants and what the caller gives and takes.

    Attributes:
        inputs, outputs: what the caller gives and takes.
        buffers: all activations, those of the caller included.
        constants: name -> array.
        calls: in the planner's order.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    buffers: dict[str, Storage]
    constants: Mapping[str, Array]
    calls: list[Call] = field(default_factory=list)

    @property
    def given(self) -> frozenset[str]:
        """Buffers in the caller's memory."""
        return frozenset(port.buffer for port in (*self.inputs, *self.outputs))


def examine(model: ir.Model) -> tuple[KernelPlan, list[Diagnostic]]:
    """The kernel plan of a golden model for one sample, and why it is not complete."""
    with channel_block(1):
        planner = Planner(model, INT8_RULES, shapes.copy_out, binary.unpack, binary.TAKES_BITS)
        plan = planner.plan()
    found = list(planner.diagnostics)
    if not found:
        found = [d for d in map(_unknown, plan.calls) if d is not None]
    return plan, found


def _unknown(call: Call) -> Diagnostic | None:
    """Why a kernel has no C form."""
    from actc.targets.c.kernels import FORMS  # which needs this module's types

    if type(call.kernel) in FORMS:
        return None
    what = type(call.kernel).__name__
    return Diagnostic(
        "ACT0472",
        f"a kernel of the kind {what} has no form in integer C",
        place=Place(node=call.node),
        help="`--target cpu` runs it; or leave this part out of the model",
    )


def program_of(plan: KernelPlan) -> Program:
    """The program of a kernel plan: quantizers and dequantizers left to the caller.

    Args:
        plan: complete, made by :func:`examine`.
    """
    calls = list(plan.calls)
    inputs = []
    for name, buffer in plan.inputs.items():
        quantizer = quantizers(name, calls)
        if quantizer is not None:
            calls = [cut_input(call, name) for call in calls]
        dtype = buffer.dtype if quantizer is None else "uint8"
        inputs.append(Port(name, name, dtype, buffer.shape, quantizer))
    outputs: list[Port] = []
    for name, source in plan.outputs.items():
        if source in {port.buffer for port in outputs}:
            plan, source, more = _copied(plan, source, name)
            calls.append(more)
        buffer = plan.buffers[source]
        port = Port(name, source, buffer.dtype, buffer.shape, None)
        found = dequantizers(source, calls, plan)
        if found is not None:
            calls, port = cut_output(calls, port, found)
        outputs.append(port)
    buffers = {
        name: Storage(buffer.dtype, int(np.prod(buffer.shape, dtype=np.int64)))
        for name, buffer in plan.buffers.items()
    }
    for port in (*inputs, *outputs):
        buffers[port.buffer] = replace(buffers[port.buffer], dtype=port.dtype)
    program = Program(tuple(inputs), tuple(outputs), buffers, plan.constants, calls)
    _drop_moves(program)
    return program


def _copied(plan: KernelPlan, source: str, name: str) -> tuple[KernelPlan, str, Call]:
    """The plan with another copy of an output that two names have, its buffer and the call."""
    buffer, copy = plan.buffers[source], f"{name}.copy"
    walk = Operand(buffer.dtype, buffer.shape, True, (1,))
    kernel = Elementwise(buffer.batch, (walk.size,), (walk,), walk, Copy())
    more = replace(plan, buffers={**plan.buffers, copy: buffer})
    return more, copy, Call(kernel, (source,), copy, name)


def _drop_moves(program: Program) -> None:
    """Leave out copies that change nothing: their result is another name of their input."""
    kept: list[Call] = []
    for index, call in enumerate(program.calls):
        if not _moves_nothing(call, program) or not _join(program, kept, index, call):
            kept.append(call)
    program.calls = kept


def _moves_nothing(call: Call, program: Program) -> bool:
    kernel = call.kernel
    if not isinstance(kernel, Elementwise) or not isinstance(kernel.operation, Copy):
        return False
    if kernel.requantize is not None or kernel.table != "none" or not kernel.inputs[0].batched:
        return False
    source, result = program.buffers[call.inputs[0]], program.buffers[call.output]
    same = kernel.inputs[0].strides == kernel.out.strides
    whole = kernel.inputs[0].offset == kernel.out.offset == 0 and source == result
    return same and whole and dense(kernel.dims, kernel.out) == result.count


def dense(dims: tuple[int, ...], operand: Operand) -> int:
    """Elements that a nest touches if these are the first of the buffer, each once; else 0."""
    count = 1
    for extent, stride in sorted(zip(dims, operand.strides, strict=True), key=lambda d: d[1]):
        if extent > 1 and stride != count:
            return 0
        count *= extent
    return count if operand.offset == 0 else 0


def _join(program: Program, before: list[Call], index: int, call: Call) -> bool:
    """Let the result of a copy be its input; whether that is possible."""
    source, result = call.inputs[0], call.output
    rest = program.calls[index + 1 :]
    if result not in program.given:  # readers take the input itself
        program.calls[index + 1 :] = [renamed(one, result, source) for one in rest]
        return True
    if source in program.given:
        return False
    program.calls[index + 1 :] = [renamed(one, source, result) for one in rest]
    before[:] = [renamed(one, source, result) for one in before]
    return True


def renamed(call: Call, old: str, new: str) -> Call:
    """The call with a buffer of another name."""
    inputs = tuple(new if name == old else name for name in call.inputs)
    return replace(call, inputs=inputs, output=new if call.output == old else call.output)
