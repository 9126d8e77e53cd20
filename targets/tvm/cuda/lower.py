"""From a model to the kernel plan that the target `cuda` runs. Pure Python."""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError
from actc.targets.tvm.cuda.half import Stored, halved, overflowing_weights
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
from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.kernels.spec import ConvSpec
from actc.targets.tvm.kernels.strided import (
    Concat,
    Copy,
    Elementwise,
    Embed,
    LayerNorm,
    MaxPool,
    Reduce,
    Softmax,
)
from actc.targets.tvm.lower import examine
from actc.targets.tvm.plan import Buffer, Call, KernelPlan

SUPPORTED: frozenset[type] = frozenset(
    {
        BatchMatMul, BinaryConv, Concat, ConvSpec, Elementwise, Embed, FloatConv, FloatLayerNorm,
        FloatMatMul, FloatPool, FloatReduce, FloatSoftmax, Generic, InstanceSteps, LayerNorm,
        MaskedSoftmax, MaxPool, Pack, Reduce, Softmax, Stored, Unpack,
    }
)  # fmt: skip
"""Types of kernels; `source.BUILDERS` has a function for each."""


def examined(
    model: ir.Model, precision: str, wide: frozenset[str] = frozenset()
) -> tuple[KernelPlan, list[Diagnostic]]:
    """The kernel plan, and all reasons why this target cannot run it.

    Args:
        model: golden (int8) or approximated model.
        precision: "int8", "float32" or "float16".
        wide: with "float16", buffers that stay float32.
    """
    plan, found = examine(model, "float32" if precision == "float16" else precision)
    calls = tuple(_own_copy(plan, call) for call in plan.calls)
    plan = KernelPlan(plan.inputs, plan.outputs, plan.buffers, plan.constants, calls)
    lacking = [
        _refusal(call.node, f"{_title(call.kernel)} has no kernel for GPUs")
        for call in calls
        if type(call.kernel) not in SUPPORTED
    ]
    if precision == "float16" and not found:
        lacking += overflowing_weights(plan)
        plan = halved(plan, wide)
    return plan, [*found, *lacking]


def kernel_plan(model: ir.Model, precision: str, wide: frozenset[str] = frozenset()) -> KernelPlan:
    """The kernel plan of a golden (int8) or approximated (float32, float16) model.

    Raises:
        ModelError: the model cannot be lowered; all reasons at once.
    """
    plan, found = examined(model, precision, wide)
    if found:
        raise ModelError(found)
    return plan


def _own_copy(plan: KernelPlan, call: Call) -> Call:
    """A generic copy of a buffer as an elementwise one."""
    kernel, out = call.kernel, plan.buffers[call.output]
    if not isinstance(kernel, Generic) or kernel.op != "Identity":
        return call
    if call.inputs[0] not in plan.buffers:
        return call
    x, size = plan.buffers[call.inputs[0]], _flat(out).size
    if (x.dtype, x.batch, _flat(x).size) != (out.dtype, out.batch, size):
        return call
    return replace(call, kernel=Elementwise(out.batch, (size,), (_flat(x),), _flat(out), Copy()))


def _flat(buffer: Buffer) -> Operand:
    return Operand(buffer.dtype, buffer.shape or (1,), True, (1,))


def _title(kernel: object) -> str:
    return str(getattr(kernel, "op", type(kernel).__name__))


def _refusal(node: str, reason: str) -> Diagnostic:
    return Diagnostic(
        "ACT0470",
        reason,
        place=Place(node=node),
        help="`--target cpu` or `--target onnx` runs it",
    )
