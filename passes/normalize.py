"""Bring a model into the form that the later passes expect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir
import onnx_ir.passes.common as common

from actc.ir.context import context_of
from actc.ir.dialect import DOMAIN
from actc.ir.graph import name_nodes, remove_dead
from actc.passes.base import Pass
from actc.passes.control_flow import ControlFlow
from actc.passes.decompose import decompose
from actc.passes.embed import embeddings, fold_into_rows
from actc.passes.fold import fold_constants
from actc.passes.inference import infer_shapes
from actc.passes.linear import fold_affine, fold_batch_norm, gemm_to_matmul, lift_over_squeeze
from actc.passes.moves import merge_moves
from actc.passes.padding import resolve_auto_pad
from actc.passes.quantized.instances import FACTS as INSTANCES
from actc.passes.shapes import freeze_shape_arithmetic, name_batch_axis
from actc.passes.tidy import drop_no_ops
from actc.passes.transposed import conv_transpose_to_conv


@dataclass(frozen=True, slots=True)
class Normalize(Pass):
    """Rules, in this order:

    1. Model-local functions are inlined, but for those that `read_quantized` made.
    2. Constants become initializers; nodes with constant inputs are evaluated.
    3. Shapes are inferred; arithmetic on shapes becomes constants.
    4. Control flow whose course is known is written out: an If on a constant, a Loop
       or Scan of a known number of steps, at most 64, also one inside another.
    5. Operators that do nothing are removed (Identity, Dropout, full Slice...).
    6. Padding, and what moves elements in a fixed way, is written out as slices,
       concatenations and transpositions; chains of Reshape and Transpose that permute
       axes become one Transpose; Gemm becomes MatMul and Add.
    7. BatchNormalization is folded into the Conv or MatMul before it, or
       becomes Mul and Add per channel.
    8. Additions and factors per channel behind a Conv or MatMul (also behind a
       Squeeze or Unsqueeze of one) move into its weights and bias. Then a
       ConvTranspose becomes a Conv per phase, interleaved.
    9. One-hot codes times a matrix become a row lookup (Gather), which takes in
       what is added to or multiplied with its rows.
    10. Nodes and values get unique names; dead ones go.
    """

    name: ClassVar[str] = "normalize"
    preserves: ClassVar[str] = "function"

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rules."""
        kept = context_of(model).facts.get(INSTANCES, {})
        common.InlinePass(lambda f: f.domain != DOMAIN or f.overload not in kept)(model)
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
        common.RemoveInitializersFromInputsPass()(model)
        name_nodes(model.graph)
        common.NameFixPass()(model)
        fold_constants(model)
        infer_shapes(model)
        freeze_shape_arithmetic(model)
        _write_out_control_flow(model)
        drop_no_ops(model)
        resolve_auto_pad(model)
        decompose(model)
        infer_shapes(model)
        merge_moves(model)
        gemm_to_matmul(model)
        fold_batch_norm(model)
        lift_over_squeeze(model)
        fold_affine(model)
        conv_transpose_to_conv(model)
        infer_shapes(model)
        embeddings(model)
        fold_into_rows(model)
        fold_constants(model)
        remove_dead(model.graph)
        common.NameFixPass()(model)
        infer_shapes(model)
        name_batch_axis(model)
        return ir.passes.PassResult(model, modified=True)


def _write_out_control_flow(model: ir.Model) -> None:
    """Rule 4, and rules 2 and 3 for what was inside."""
    control_flow = ControlFlow(model)
    while control_flow.write_out():
        remove_dead(model.graph)
        common.NameFixPass()(model)
        fold_constants(model)
        infer_shapes(model)
        freeze_shape_arithmetic(model)
    control_flow.note()
