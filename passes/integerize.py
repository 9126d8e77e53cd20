"""Rewrite the quantized model as integers: golden.onnx."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from actc.errors import ModelError
from actc.ir.context import context_of
from actc.ir.dialect import DOMAIN, GOLDEN_OPSET, VERSION, add_bodies
from actc.ir.graph import remove_dead
from actc.passes.base import Pass
from actc.passes.embed import row_lookup
from actc.passes.integer import (
    arithmetic,
    attention,
    elementwise,
    extremes,
    linear,
    magnitude,
    movement,
    normalization,
    order,
    pooling,
    recurrent,
    states,
)
from actc.passes.integer.builder import Builder, NoIntegerForm
from actc.passes.integer.plain import copy_plain
from actc.passes.quantized import lowering as quantized
from actc.passes.recurrent import GATES
from actc.passes.widths import MOVEMENT

Handler = Callable[[Builder, ir.Node], None]

HANDLERS: dict[tuple[str, str], Handler] = {
    ("", "Add"): quantized.add,
    ("", "ArgMax"): order.arg_max,
    ("", "ArgMin"): order.arg_max,
    ("", "AveragePool"): pooling.average_pool,
    ("", "Concat"): movement.concat,
    ("", "Conv"): linear.conv,
    ("", "Gather"): movement.gather,
    ("", "GlobalAveragePool"): pooling.global_average,
    ("", "Cast"): arithmetic.cast,
    ("", "Div"): arithmetic.divide,
    ("", "GlobalMaxPool"): extremes.global_max,
    ("", "Max"): extremes.maximum,
    ("", "Min"): extremes.minimum,
    ("", "Pad"): pooling.pad,
    ("", "ReduceMin"): extremes.reduce_min,
    ("", "ReduceSum"): pooling.reduce_sum,
    ("", "MatMul"): attention.matmul,
    ("", "MaxPool"): pooling.max_pool,
    ("", "Mul"): elementwise.multiply,
    ("", "ReduceMax"): extremes.reduce_max,
    ("", "ReduceMean"): pooling.reduce_mean,
    ("", "Softmax"): attention.softmax,
    ("", "Sub"): quantized.subtract,
    ("", "TopK"): order.top_k,
    **{("", op): recurrent.recurrent for op in GATES},
    (DOMAIN, "Activation"): quantized.activation,
    (DOMAIN, "FakeQuantize"): quantized.fake_quantize,
    (DOMAIN, "Hypot"): magnitude.hypot,
    (DOMAIN, "LayerNorm"): normalization.layer_norm,
    (DOMAIN, "MaskedSoftmax"): attention.masked_softmax,
    **{
        ("", op): movement.move
        for op in MOVEMENT
        - {"Concat", "MaxPool", "GlobalMaxPool", "ReduceMax", "ReduceMin", "Pad", "Expand", "Tile"}
    },
    ("", "Transpose"): quantized.transpose,
    **{("", op): movement.index_step for op in ("GreaterOrEqual", "Less", "And", "Where")},
}
"""Integer form of each float operator that has one."""


@dataclass(frozen=True, slots=True)
class Integerize(Pass):
    """Rules:

    1. Every float operator becomes its integer form (`HANDLERS`); all operators
       that have none are reported together.
    2. A graph input is quantized, a graph output dequantized; a linear operator's
       accumulator that is an output is dequantized directly, without rounding to
       eight bits first.
    3. Nothing between them is float, but for the one division of IntSoftmax.
    """

    name: ClassVar[str] = "integerize"

    power_of_two: bool = False

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Replace the main graph by its integer form.

        Raises:
            ModelError: with every operator that has no integer form.
        """
        context = context_of(model)
        builder = Builder(model, context, power_of_two=self.power_of_two)
        inputs = [_input(builder, value) for value in model.graph.inputs]
        for value in model.graph.outputs:
            builder.fresh(str(value.name))  # nothing else may take it
        for node in model.graph:
            if node in builder.on_shapes:
                _lower_shapes(builder, node)
            else:
                _lower(builder, node)
        made = {value: _output(builder, value) for value in model.graph.outputs}
        outputs = [made[value] for value in model.graph.outputs]
        if context.sink.errors:
            raise ModelError(context.sink.items)
        quantized.note_calibrated(model, context)
        graph = ir.Graph(
            inputs,
            [value for value in outputs if value is not None],
            nodes=builder.nodes,
            initializers=builder.initializers,
            opset_imports={"": GOLDEN_OPSET, DOMAIN: VERSION},
            name="golden",
        )
        remove_dead(graph)
        model.graph = graph
        model.functions.clear()
        model.opset_imports.clear()
        model.opset_imports.update({"": GOLDEN_OPSET, DOMAIN: VERSION})
        add_bodies(model)
        return ir.passes.PassResult(model, modified=True)


def _input(builder: Builder, value: ir.Value) -> ir.Value:
    golden = ir.Value(name=builder.fresh(str(value.name)), type=value.type, shape=value.shape)
    builder.set_plain(value, golden)
    return golden


def _lower_shapes(builder: Builder, node: ir.Node) -> None:
    """Arithmetic on shapes where it has an integer form; else what needs its results says so."""
    try:
        if not copy_plain(builder, node) and row_lookup(node.outputs[0]) is not None:
            movement.gather(builder, node)
    except NoIntegerForm:
        return


def _lower(builder: Builder, node: ir.Node) -> None:
    handler = HANDLERS.get((node.domain, node.op_type))
    try:
        if copy_plain(builder, node):
            return
        if handler is None:
            raise NoIntegerForm("")
        handler(builder, node)
        states.follow(builder, node)
    except NoIntegerForm as problem:
        builder.refuse(node, problem)
    except ModelError as problem:
        builder.fail(node, problem)
    else:
        builder.pass_on_refusal(node)


def _output(builder: Builder, value: ir.Value) -> ir.Value | None:
    """The float output of the golden graph, under the model's own name."""
    try:
        result = _dequantized(builder, value)
    except NoIntegerForm as problem:
        builder.fail_output(value, problem)
        return None
    result.name = value.name
    return result


def _dequantized(builder: Builder, value: ir.Value) -> ir.Value:
    plain = builder.plain(value)
    if plain is not None:
        return plain
    name, accumulator = f"{value.name}.out", builder.accumulator(value)
    if accumulator is not None and accumulator.residual is not None:
        accumulator = quantized.with_residual(builder, value, accumulator)
    if (
        accumulator is not None
        and accumulator.scale.ndim < 2
        and accumulator.value.dtype == ir.DataType.INT32
    ):
        per_channel = accumulator.scale.ndim == 1
        scale = builder.constant(f"{name}.scale", accumulator.scale.astype(np.float32))
        return builder.emit(
            "DequantizeLinear",
            [accumulator.value, scale],
            value,
            ir.DataType.FLOAT,
            name=name,
            attributes={"axis": accumulator.axis} if per_channel else {},
            domain="",
        )
    codes = builder.codes(value)
    return builder.emit(
        "DequantizeLinear",
        [codes.value, *builder.parameter_constants(name, codes.parameters)],
        value,
        ir.DataType.FLOAT,
        name=name,
        domain="",
    )
