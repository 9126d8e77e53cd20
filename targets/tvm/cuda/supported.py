"""Which kernels of a plan the target `cuda` has. Pure Python."""

from __future__ import annotations

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

SUPPORTED: frozenset[type] = frozenset(
    {
        BatchMatMul, BinaryConv, Concat, ConvSpec, Elementwise, Embed, FloatConv, FloatLayerNorm,
        FloatMatMul, FloatPool, FloatReduce, FloatSoftmax, InstanceSteps, LayerNorm, MaskedSoftmax,
        MaxPool, Pack, Reduce, Softmax, Unpack,
    }
)  # fmt: skip
"""Types of kernels; `source.BUILDERS` has a function for each."""
