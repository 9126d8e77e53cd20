"""The table of rules, and the kernel plan of a model. Pure Python."""

from __future__ import annotations

import onnx_ir as ir

from actc.diagnostics import Diagnostic
from actc.errors import ModelError
from actc.targets.tvm import rules_attention as attention
from actc.targets.tvm import rules_binary as binary
from actc.targets.tvm import rules_elementwise as pointwise
from actc.targets.tvm import rules_float as floats
from actc.targets.tvm import rules_function as functions
from actc.targets.tvm import rules_instances as instances
from actc.targets.tvm import rules_reduce as reductions
from actc.targets.tvm import rules_shape as shapes
from actc.targets.tvm.generic import fallback as generic
from actc.targets.tvm.generic.expand import write_out
from actc.targets.tvm.generic.fallback import has_kernel
from actc.targets.tvm.kernels.float_spec import SCALAR_OPERATORS
from actc.targets.tvm.plan import KernelPlan
from actc.targets.tvm.planner import Planner, Rule
from actc.targets.tvm.residual import fuse_residuals

_MOVES: dict[str, Rule] = {
    "::Concat": shapes.concat,
    "::Flatten": shapes.flatten,
    "::Identity": shapes.identity,
    "::Reshape": shapes.reshape,
    "::Slice": shapes.slice_,
    "::Split": shapes.split,
    "::Squeeze": shapes.squeeze,
    "::Transpose": shapes.transpose,
    "::Unsqueeze": shapes.unsqueeze,
}

INT8_RULES: dict[str, Rule] = {
    **_MOVES,
    "::Add": pointwise.add,
    "::And": attention.junction,
    "::Cast": attention.cast,
    "::DequantizeLinear": pointwise.dequantize_linear,
    "::Equal": attention.equal,
    "::Flatten": binary.flatten,
    "::MaxPool": binary.max_pool,
    "::Mul": pointwise.multiply,
    "::Not": attention.negation,
    "::Or": attention.junction,
    "::QuantizeLinear": pointwise.quantize_linear,
    "::ReduceMax": reductions.reduce_max,
    "::Reshape": binary.reshape,
    "actc::InstanceSteps": instances.instance_steps,
    "actc::ChannelTable": pointwise.channel_table,
    "actc::IntAdd": pointwise.int_add,
    "actc::IntBatchMatMul": attention.int_batch_matmul,
    "actc::IntConv": binary.int_conv,
    "actc::IntEmbed": reductions.int_embed,
    "actc::IntLayerNorm": reductions.int_layer_norm,
    "actc::IntMaskedSoftmax": attention.int_masked_softmax,
    "actc::IntMatMul": binary.int_matmul,
    "actc::IntMul": pointwise.int_mul,
    "actc::IntRmsNorm": reductions.int_rms_norm,
    "actc::IntReduceSum": reductions.int_reduce_sum,
    "actc::IntProbabilities": reductions.int_probabilities,
    "actc::IntSoftmax": reductions.int_softmax,
    "actc::Requantize": pointwise.requantize,
    "actc::Steps": binary.steps,
    "actc::Table": pointwise.table,
}

FLOAT32_RULES: dict[str, Rule] = {
    **{f"::{op}": functions.elementwise for op in SCALAR_OPERATORS},
    **_MOVES,
    "::AveragePool": floats.pool,
    "::Conv": floats.conv,
    "::GlobalAveragePool": floats.reduce,
    "::GlobalMaxPool": floats.reduce,
    "::LayerNormalization": floats.layer_normalization,
    "::LogSoftmax": floats.softmax,
    "::MatMul": floats.matmul,
    "::MaxPool": floats.pool,
    "::ReduceMax": floats.reduce,
    "::ReduceMean": floats.reduce,
    "::ReduceMin": floats.reduce,
    "::ReduceSum": floats.reduce,
    "::Softmax": floats.softmax,
    "actc::Activation": functions.elementwise,
    "actc::LayerNorm": floats.normalization,
    "actc::MaskedSoftmax": attention.masked_softmax,
    "actc::PiecewiseLinear": functions.elementwise,
    "actc::QuantizedTable": functions.quantized_table,
    "actc::RmsNorm": floats.normalization,
}

RULES: dict[str, dict[str, Rule]] = {"int8": INT8_RULES, "float32": FLOAT32_RULES}
"""Precision -> rules."""


def examine(model: ir.Model, precision: str) -> tuple[KernelPlan, list[Diagnostic]]:
    """The kernel plan and all reasons why it is not complete."""
    rules, bits = RULES[precision], binary.TAKES_BITS
    if precision == "float32":
        return _examine_float(model)
    planner = Planner(model, rules, shapes.copy_out, binary.unpack, bits)
    plan = planner.plan()
    return plan, planner.diagnostics


def _examine_float(model: ir.Model) -> tuple[KernelPlan, list[Diagnostic]]:
    """As `examine`; functions are written out where their node has no kernel."""
    while True:
        planner = Planner(model, FLOAT32_RULES, generic.finish, fallback=generic.lower)
        plan = planner.plan()
        nodes = list(model.graph) if planner.refused else []
        lacking = [i for i, n in enumerate(nodes) if n in planner.refused and not has_kernel(n)]
        written = write_out(model, lacking) if lacking else None
        if written is None:
            return plan, planner.diagnostics
        model = written


def kernel_plan(model: ir.Model, precision: str) -> KernelPlan:
    """The kernel plan of a golden (int8) or approximated (float32) model, for CPUs.

    Raises:
        ModelError: the model cannot be lowered; all reasons at once.
    """
    plan, diagnostics = examine(model, precision)
    if diagnostics:
        raise ModelError(diagnostics)
    return fuse_residuals(plan)
