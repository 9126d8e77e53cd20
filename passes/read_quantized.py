"""Read a model that is quantized already: QDQ and QCDQ.

QONNX and the QOperator format come so too: `load` spells them in QDQ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as common

from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError
from actc.ir.context import Context, context_of
from actc.ir.dialect import DOMAIN, VERSION
from actc.ir.formats import annotate
from actc.ir.graph import add_constant, is_op, name_nodes, remove_dead, replace_node
from actc.numerics.weights import QuantizedWeights
from actc.passes.base import Pass
from actc.passes.inference import infer_shapes
from actc.passes.input_grids import keep_grids
from actc.passes.quantized.batch_norms import spell_batch_norms
from actc.passes.quantized.instances import keep_instances
from actc.passes.quantized.integers import (
    Integers,
    NotRead,
    integers_of,
    quantizer_constants,
)
from actc.passes.quantized.pairs import given_format
from actc.passes.quantized.pools import sink_pools
from actc.passes.quantized.transposes import sink_transposes
from actc.passes.sign_graph import read_signs
from actc.passes.sign_norms import turn_weights
from actc.passes.sign_rounded import report_rounded

PAIRS = ("QuantizeLinear", "DequantizeLinear")
_REASONS = {
    "ConvInteger": "gives integer sums without a scale",
    "DynamicQuantizeLinear": "takes its scale from each input",
    "MatMulInteger": "gives integer sums without a scale",
    "QLinearConv": "computes on integers",
    "QLinearMatMul": "computes on integers",
}
COMPUTING = frozenset(_REASONS)
"""Operators that compute on integers themselves: not read here. (`load` spells those of the
QOperator format in QDQ.)"""
_LAYERS = ("Conv", "Gemm", "MatMul")
_ROUNDED_AGAIN = ("ConvTranspose", "GRU", "LSTM", "RNN")


def is_quantized(model: ir.Model) -> bool:
    """Whether somebody quantized the model."""
    return any(is_op(node, *PAIRS, *COMPUTING) for node in model.graph)


@dataclass(frozen=True, slots=True)
class ReadQuantized(Pass):
    """Rules:

    1. A constant behind DequantizeLinear (also: QuantizeLinear of a constant, Clip,
       Transpose) becomes its real numbers. Where it is the weights of a Conv, Gemm or
       MatMul its integers and scales go to ``facts["given"]``, by node, and stay. Those
       with a scale per block, and of ConvTranspose and recurrent layers, are rounded
       again (ACT0113).
    2. DequantizeLinear of an integer input becomes arithmetic.
    3. QuantizeLinear and DequantizeLinear, perhaps with Clip between, are left to
       `quantizers`, which makes formats of them.
    4. A Transpose between a layer and its quantizer goes behind the quantizer.
    5. So does a MaxPool, in channels that fall with a change of sign on either side.
    6. A BatchNormalization in front of a quantizer of few codes is spelled out.
    7. In a binary network a sign with a threshold of the sample's own becomes one
       actc::InstanceSign, and an input whose data lie on a grid has the format of the
       grid.
    8. Whatever else is quantized is refused, all nodes at once: operators that compute
       on integers (ACT0110), and pairs of a kind that is not read (ACT0111).

    A float model stays as it is, but for signs and steps, which get quantizers first
    (`actc.passes.sign_graph`).
    """

    name: ClassVar[str] = "read_quantized"
    preserves: ClassVar[str] = "function"

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rules.

        Raises:
            ModelError: ACT0110, ACT0111, something is not read.
        """
        binary = read_signs(model)
        if not (binary or is_quantized(model)):
            return ir.passes.PassResult(model, modified=False)
        if model.functions:
            common.InlinePass()(model)
        context = context_of(model)
        common.RemoveInitializersFromInputsPass()(model)
        name_nodes(model.graph)
        common.NameFixPass()(model)
        problems = list(_problems(model, context))
        if problems:
            raise ModelError(problems)
        given = context.facts.setdefault("given", {})
        for node in list(model.graph):
            if is_op(node, "DequantizeLinear", "Transpose"):
                _read_constant(model.graph, node, given, context)
        for node in list(model.graph):
            if is_op(node, "DequantizeLinear") and node.inputs[0] in set(model.graph.inputs):
                _spell_out(model.graph, node)
        sink_transposes(model.graph)
        if binary:
            keep_instances(model, context)
            turn_weights(model.graph, given)
        infer_shapes(model)
        sink_pools(model.graph)
        spell_batch_norms(model.graph)
        if binary:
            report_rounded(model.graph, context, keep_grids(model.graph, context))
        remove_dead(model.graph)
        return ir.passes.PassResult(model, modified=True)


@dataclass(frozen=True, slots=True)
class Quantizers(Pass):
    """Rules:

    1. QuantizeLinear, Clips and DequantizeLinear become one actc::FakeQuantize, whose
       result has the model's own format: unsigned codes, the same real numbers.
    2. Two of the same value and format become one.

    A float model stays as it is.
    """

    name: ClassVar[str] = "quantizers"
    preserves: ClassVar[str] = "function"

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Replace every pair.

        Raises:
            ModelError: ACT0111, a pair of a kind that is not read.
        """
        made: dict[Any, ir.Value] = {}
        problems = []
        for node in list(model.graph):
            if is_op(node, "DequantizeLinear"):
                try:
                    _join(model, node, made)
                except NotRead as problem:
                    problems.append(_not_read(context_of(model), node, problem))
        if problems:
            raise ModelError(problems)
        remove_dead(model.graph)
        return ir.passes.PassResult(model, modified=bool(made))


def _problems(model: ir.Model, context: Context) -> Iterator[Diagnostic]:
    inputs = set(model.graph.inputs)
    for node in model.graph:
        if is_op(node, *COMPUTING):
            yield _computes(context, node)
        elif is_op(node, "DequantizeLinear"):
            try:
                _check(node, inputs)
            except NotRead as problem:
                yield _not_read(context, node, problem)
        elif is_op(node, "QuantizeLinear") and node.outputs[0].is_graph_output():
            yield _not_read(
                context,
                node,
                NotRead("its codes are an output", "let DequantizeLinear be the last operator"),
            )


def _computes(context: Context, node: ir.Node) -> Diagnostic:
    return Diagnostic(
        "ACT0110",
        f"operator {node.op_type} {_REASONS[node.op_type]}, which actc does not read",
        place=Place(context.file, str(node.name), node.op_type),
        help="quantize the model statically, with calibration data (QDQ or QOperator format), or "
        "give actc the float model",
    )


def _not_read(context: Context, node: ir.Node, problem: NotRead) -> Diagnostic:
    return Diagnostic(
        "ACT0111",
        f"quantizer '{node.name}' is of a kind that is not read: {problem}",
        place=Place(context.file, str(node.name), node.op_type),
        help=problem.help,
    )


def _check(node: ir.Node, inputs: set[ir.Value]) -> None:
    """Whether a DequantizeLinear is read.

    Raises:
        NotRead: it is not.
    """
    found = integers_of(node.outputs[0])
    if found is not None:
        for use in _layer_uses(node.outputs[0]):
            _rows(use, integers_of(use.inputs[1]))
        return
    if given_format(node) is not None:
        return
    source = node.inputs[0]
    if source in inputs:
        quantizer_constants(node)
        return
    producer = None if source is None else source.producer()
    kind = "something else" if producer is None else f"operator {producer.op_type}"
    raise NotRead(
        f"{kind} computes its codes",
        "export the model in the QDQ format, with float operators between the quantizers",
    )


def _layer_uses(value: ir.Value) -> list[ir.Node]:
    """The layers whose weights `value` is, perhaps transposed."""
    found = []
    for use in value.uses():
        if is_op(use.node, *_LAYERS) and use.idx == 1:
            found.append(use.node)
        elif is_op(use.node, "Transpose"):
            found += _layer_uses(use.node.outputs[0])
    return found


def _rows(layer: ir.Node, integers: Integers | None) -> QuantizedWeights | None:
    """The weights of a layer, output channels first; None where they are no rows of one layer."""
    assert integers is not None
    if integers.blocks:
        return None
    if layer.op_type == "Conv":
        return integers.weights()
    if integers.codes.ndim != 2:
        return None
    if layer.op_type == "MatMul":
        return integers.transposed([1, 0]).weights()
    if _flag(layer, "transA"):
        return None
    rows = integers if _flag(layer, "transB") else integers.transposed([1, 0])
    alpha = layer.attributes["alpha"].as_float() if "alpha" in layer.attributes else 1.0
    weights = rows.weights()
    return weights.scaled(np.full(len(weights.scales), alpha)) if alpha > 0 else None


def _flag(node: ir.Node, name: str) -> bool:
    return name in node.attributes and node.attributes[name].as_int() != 0


def _read_constant(
    graph: ir.Graph, node: ir.Node, given: dict[str, QuantizedWeights], context: Context
) -> None:
    """Rule 1."""
    value = node.outputs[0]
    integers = integers_of(value)
    if integers is None:
        return
    for use in value.uses():
        if is_op(use.node, *_LAYERS) and use.idx == 1:
            rows = _rows(use.node, integers)
            if rows is not None:
                given[str(use.node.name)] = rows
            elif integers.blocks:
                context.sink.add(_rounded_again(context, use.node))
        if is_op(use.node, *_ROUNDED_AGAIN) and use.idx in (1, 2):
            context.sink.add(_rounded_again(context, use.node))
    if all(is_op(use.node, "Transpose") for use in value.uses()) and value.uses():
        return  # the constant is what the Transpose gives
    real = integers.real().reshape(integers.codes.shape)
    number = add_constant(graph, f"{value.name}_real", real)
    ir.convenience.replace_all_uses_with(value, number, replace_graph_outputs=False)


def _rounded_again(context: Context, node: ir.Node) -> Diagnostic:
    return Diagnostic(
        "ACT0113",
        f"the integer weights of '{node.name}' are rounded again",
        severity="warning",
        place=Place(context.file, str(node.name), node.op_type),
        help="its results may differ slightly from the model's own",
    )


def _spell_out(graph: ir.Graph, node: ir.Node) -> None:
    """Rule 2: (float(x) - zero) * scale."""
    scale, zero = quantizer_constants(node)
    name = str(node.name)
    cast = ir.node("Cast", [node.inputs[0]], {"to": int(ir.DataType.FLOAT)}, name=f"{name}_cast")
    terms = [
        add_constant(graph, f"{name}_{what}", np.array(array.item(), np.float32))
        for what, array in (("zero", zero), ("scale", scale))
    ]
    moved = ir.node("Sub", [cast.outputs[0], terms[0]], name=f"{name}_sub")
    scaled = ir.node("Mul", [moved.outputs[0], terms[1]], name=f"{name}_mul")
    for part in (cast, moved):
        part.outputs[0].name = part.name
    replace_node(node, [cast, moved, scaled], scaled.outputs[0])


def _join(model: ir.Model, node: ir.Node, made: dict[Any, ir.Value]) -> None:
    """Rule 1 and 2 of `quantizers`."""
    found = given_format(node)
    if found is None:
        return
    quantize, parameters = found
    source, output = quantize.inputs[0], node.outputs[0]
    key = (source, parameters)
    if key in made and not output.is_graph_output():
        ir.convenience.replace_all_uses_with(output, made[key], replace_graph_outputs=False)
        return
    name = str(node.name)
    numbers = {
        "scale": parameters.scale,
        "low": parameters.low - parameters.zero_point,
        "high": parameters.high - parameters.zero_point,
    }
    constants = [
        add_constant(model.graph, f"{name}_{what}", np.array(number, np.float32))
        for what, number in numbers.items()
    ]
    fake = ir.node("FakeQuantize", [source, *constants], domain=DOMAIN, name=name)
    replace_node(node, [fake], fake.outputs[0])
    annotate(fake.outputs[0], parameters)
    made[key] = fake.outputs[0]
    model.opset_imports[DOMAIN] = VERSION
