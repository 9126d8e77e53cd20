"""The kernels of a plan as C functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actc.targets.c.form import Form
from actc.targets.c.kernels.attention import batch_matmul, masked_softmax, softmax
from actc.targets.c.kernels.binary import binary_conv, pack, unpack
from actc.targets.c.kernels.conv import conv
from actc.targets.c.kernels.elementwise import concat, elementwise
from actc.targets.c.kernels.instances import instance_steps
from actc.targets.c.kernels.reduce import embed, layer_norm, max_pool, reduce
from actc.targets.c.program import Program
from actc.targets.tvm.kernels.attention_spec import BatchMatMul, MaskedSoftmax
from actc.targets.tvm.kernels.binary_spec import BinaryConv, Pack, Unpack
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
from actc.targets.tvm.plan import Call

FORMS: dict[type, Callable[[Any, Call, Program], Form]] = {
    BatchMatMul: batch_matmul,
    BinaryConv: binary_conv,
    Concat: concat,
    ConvSpec: conv,
    Elementwise: elementwise,
    Embed: embed,
    InstanceSteps: instance_steps,
    LayerNorm: layer_norm,
    MaskedSoftmax: masked_softmax,
    MaxPool: max_pool,
    Pack: pack,
    Reduce: reduce,
    Softmax: softmax,
    Unpack: unpack,
}
"""How each kernel is written; takes the kernel, its call and the program."""


def form_of(call: Call, program: Program) -> Form:
    """The C function of a call."""
    return FORMS[type(call.kernel)](call.kernel, call, program)
