"""The table of rules, and the kernel plan of a model. Pure Python."""

from __future__ import annotations

import onnx_ir as ir

from actc.diagnostics import Diagnostic
from actc.errors import ModelError
from actc.targets.tvm import rules_conv as convs
from actc.targets.tvm import rules_elementwise as pointwise
from actc.targets.tvm import rules_reduce as reductions
from actc.targets.tvm import rules_shape as shapes
from actc.targets.tvm.plan import KernelPlan
from actc.targets.tvm.planner import Planner, Rule

INT8_RULES: dict[str, Rule] = {
    "::Concat": shapes.concat,
    "::DequantizeLinear": pointwise.dequantize_linear,
    "::Flatten": shapes.flatten,
    "::Identity": shapes.identity,
    "::MaxPool": shapes.max_pool,
    "::QuantizeLinear": pointwise.quantize_linear,
    "::ReduceMax": reductions.reduce_max,
    "::Reshape": shapes.reshape,
    "::Slice": shapes.slice_,
    "::Split": shapes.split,
    "::Squeeze": shapes.squeeze,
    "::Transpose": shapes.transpose,
    "::Unsqueeze": shapes.unsqueeze,
    "actc::ChannelTable": pointwise.channel_table,
    "actc::IntAdd": pointwise.int_add,
    "actc::IntConv": convs.int_conv,
    "actc::IntEmbed": reductions.int_embed,
    "actc::IntLayerNorm": reductions.int_layer_norm,
    "actc::IntMatMul": convs.int_matmul,
    "actc::IntMul": pointwise.int_mul,
    "actc::IntReduceSum": reductions.int_reduce_sum,
    "actc::IntSoftmax": reductions.int_softmax,
    "actc::Requantize": pointwise.requantize,
    "actc::Table": pointwise.table,
}

RULES: dict[str, dict[str, Rule]] = {"int8": INT8_RULES}
"""Precision -> rules."""


def examine(model: ir.Model, precision: str) -> tuple[KernelPlan, list[Diagnostic]]:
    """The kernel plan and all reasons why it is not complete."""
    planner = Planner(model, RULES[precision], shapes.copy_out)
    plan = planner.plan()
    return plan, planner.diagnostics


def kernel_plan(model: ir.Model, precision: str) -> KernelPlan:
    """The kernel plan of a golden (int8) or approximated (float32) model.

    Raises:
        ModelError: the model cannot be lowered; all reasons at once.
    """
    plan, diagnostics = examine(model, precision)
    if diagnostics:
        raise ModelError(diagnostics)
    return plan
