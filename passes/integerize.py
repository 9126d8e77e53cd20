"""Rewrite the quantized model as integers: golden.onnx."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError
from actc.ir.context import Context, context_of
from actc.ir.dialect import DOMAIN, GOLDEN_OPSET, OWN_BODIES, VERSION, add_bodies
from actc.ir.graph import remove_dead
from actc.passes.base import Pass
from actc.passes.control_flow import REASON
from actc.passes.embed import row_lookup
from actc.passes.integer import (
    arithmetic,
    attention,
    division,
    elementwise,
    extremes,
    linear,
    logarithm,
    magnitude,
    movement,
    normalization,
    order,
    pooling,
    recurrent,
    selection,
    states,
)
from actc.passes.integer.builder import Builder, NoIntegerForm
from actc.passes.integer.hints import GENERAL, hint
from actc.passes.integer.islands import FACTS, Islands, Refusal, computes
from actc.passes.integer.plain import copy_plain
from actc.passes.integer.reals import output_value
from actc.passes.integer.sharing import share_weights
from actc.passes.quantized import lowering as quantized
from actc.passes.quantized.instance_steps import instance_sign
from actc.passes.quantized.instances import SIGN
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
    ("", "Div"): division.divide,
    ("", "GlobalMaxPool"): extremes.global_max,
    ("", "LogSoftmax"): logarithm.log_softmax,
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
    (DOMAIN, SIGN): instance_sign,
    (DOMAIN, "Hypot"): magnitude.hypot,
    (DOMAIN, "LayerNorm"): normalization.layer_norm,
    (DOMAIN, "RmsNorm"): normalization.rms_norm,
    (DOMAIN, "MaskedSoftmax"): attention.masked_softmax,
    **{
        ("", op): movement.move
        for op in MOVEMENT
        - {"Concat", "MaxPool", "GlobalMaxPool", "ReduceMax", "ReduceMin", "Pad", "Expand", "Tile"}
    },
    ("", "Transpose"): quantized.transpose,
    **{("", op): selection.compare for op in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual")},
    ("", "And"): movement.index_step,
    ("", "Where"): selection.where,
}
"""Integer form of each float operator that has one."""
_MASK = "ACT0106"
"""The code that says: a mask among the scores ruins their format."""
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Integerize(Pass):
    """Rules:

    1. Every float operator becomes its integer form (`HANDLERS`).
    2. A graph input is quantized, a graph output dequantized; a linear operator's
       accumulator that is an output is dequantized directly, without rounding to
       eight bits first.
    3. Operators that have none are reported together; or, with `islands`, stay in float,
       neighbours as one island. An island reads accumulators and codes dequantized, and
       float inputs and other islands as they are; what it gives is quantized where an
       integer operator reads it.
    4. Nothing else between them is float, but for the one division of IntSoftmax.
    """

    name: ClassVar[str] = "integerize"

    power_of_two: bool = False
    islands: bool = False

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Replace the main graph by its integer form.

        Raises:
            ModelError: ACT0103 and others, every operator that has no integer form;
                ACT0344, with `islands`, no operator has one.
        """
        context = context_of(model)
        builder = Builder(model, context, power_of_two=self.power_of_two)
        lowering = _Lowering(builder, Islands(builder) if self.islands else None)
        inputs = [_input(builder, value) for value in model.graph.inputs]
        for value in model.graph.outputs:
            builder.fresh(str(value.name))  # nothing else may take it
        for node in model.graph:
            lowering.lower(node)
        made = {value: lowering.output(value) for value in model.graph.outputs}
        outputs = [made[value] for value in model.graph.outputs]
        if context.sink.errors:
            raise ModelError(context.sink.items)
        quantized.note_calibrated(model, context)
        graph = ir.Graph(
            inputs,
            [value for value in outputs if value is not None],
            nodes=builder.nodes,
            initializers=share_weights(builder.initializers),
            name="golden",
        )
        remove_dead(graph)
        has_islands = lowering.islands is not None and lowering.islands.finish(graph)
        if has_islands and not computes(graph):
            raise ModelError(_nothing(context))
        opset = model.opset_imports[""] if has_islands else GOLDEN_OPSET
        _replace(model, graph, max(opset, GOLDEN_OPSET))
        return ir.passes.PassResult(model, modified=True)


def _input(builder: Builder, value: ir.Value) -> ir.Value:
    golden = ir.Value(name=builder.fresh(str(value.name)), type=value.type, shape=value.shape)
    builder.set_plain(value, golden)
    return golden


def _replace(model: ir.Model, graph: ir.Graph, opset: int) -> None:
    """Make `graph` the graph of `model`; of its functions, those of kept activations stay."""
    graph.opset_imports.update({"": opset, DOMAIN: VERSION})
    model.graph = graph
    own = [(DOMAIN, name) for name in OWN_BODIES]
    for key in [key for key in model.functions if key[:2] not in own]:
        del model.functions[key]
    model.opset_imports.clear()
    model.opset_imports.update({"": opset, DOMAIN: VERSION})
    add_bodies(model)


def _nothing(context: Context) -> Diagnostic:
    rows = [row for island in context.facts[FACTS].values() for row in island["nodes"]]
    shown = tuple(f"{row['op']} '{row['node']}': {row['reason']}" for row in rows[:_SHOWN])
    more = (f"and {len(rows) - _SHOWN} more",) if len(rows) > _SHOWN else ()
    return Diagnostic(
        "ACT0344",
        "no operator of the model has an integer form: all would stay in float",
        place=Place(context.file),
        notes=shown + more,
        help=rows[0]["help"] or GENERAL,
    )


def without_form(graph: ir.Graph) -> list[str]:
    """Names of the nodes that will stay in float by their kind alone."""
    return [str(n.name) for n in graph if (n.domain, n.op_type) not in HANDLERS]


class _Lowering:
    """Brings the nodes of a model into the golden graph one by one."""

    def __init__(self, builder: Builder, islands: Islands | None) -> None:
        self._builder = builder
        self.islands = islands

    def lower(self, node: ir.Node) -> None:
        """The integer form of `node`, or what stands in its place."""
        builder = self._builder
        if node in builder.on_shapes:
            _lower_shapes(builder, node)
            return
        if self.islands is not None and self.islands.move(node):
            return
        handler = HANDLERS.get((node.domain, node.op_type))
        try:
            if copy_plain(builder, node):
                return
            if handler is None:
                raise NoIntegerForm(node.metadata_props.get(REASON, ""))
            handler(builder, node)
            states.follow(builder, node)
        except NoIntegerForm as problem:
            if not self._keep(node, Refusal(str(problem), problem.help or hint(node.op_type))):
                builder.refuse(node, problem)
        except ModelError as problem:
            first = problem.diagnostics[0]
            ruined = first.code == _MASK
            if not self._keep(node, Refusal(first.message, first.help, ruined)):
                builder.fail(node, problem)
        else:
            builder.pass_on_refusal(node)

    def _keep(self, node: ir.Node, refusal: Refusal) -> bool:
        """Keep `node` in float where the target has islands; whether it could be."""
        if self.islands is None:
            return False
        try:
            self.islands.keep(node, refusal)
        except NoIntegerForm:
            return False
        return True

    def output(self, value: ir.Value) -> ir.Value | None:
        """The float output of the golden graph, under the model's own name."""
        builder = self._builder
        try:
            result = output_value(builder, value)
        except NoIntegerForm as problem:
            if self.islands is None or value.producer() is None:
                builder.fail_output(value, problem)
                return None
            result = self.islands.value(value)
        result.name = value.name
        rank = builder.context.facts.get("ranks", {}).get(str(value.name))
        if result.shape is None and rank is not None:  # ONNX infers none behind some operators
            result.shape = ir.Shape([None] * rank)
        return result


def _lower_shapes(builder: Builder, node: ir.Node) -> None:
    """Arithmetic on shapes where it has an integer form; else what needs its results says so."""
    try:
        if not copy_plain(builder, node) and row_lookup(node.outputs[0]) is not None:
            movement.gather(builder, node)
    except NoIntegerForm:
        return
