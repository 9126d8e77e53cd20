"""The quantized model as float operators between QONNX quantizers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common

from actc.ir.context import Context
from actc.ir.dialect import DOMAIN, add_bodies
from actc.ir.formats import annotate, narrow_parameters_of, parameters_of
from actc.ir.graph import (
    add_constant,
    channel_vector,
    constant,
    is_given,
    is_op,
    only_user,
    rank,
    remove_dead,
    replace_node,
)
from actc.ir.sites import Site
from actc.numerics.quantization import QuantizationParameters
from actc.numerics.weights import QuantizedWeights, bias_codes
from actc.targets.onnx.norms import standard_norms
from actc.targets.onnx.qonnx_nodes import DOMAIN as QONNX
from actc.targets.onnx.qonnx_nodes import MOVES, Quantizers
from actc.targets.onnx.qonnx_ties import between_ties, half_step
from actc.targets.onnx.spelling import expand_silu, respell

Array = np.ndarray[Any, Any]

IR_VERSION = 10
LINEAR = ("Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN")
"""Operators that take a value in its narrow format, where it has one."""


@dataclass(frozen=True, slots=True)
class Written:
    """A QONNX model.

    Attributes:
        proto: the model; QONNX operators in the domain qonnx.custom_op.general.
        rounded: float value of the quantized model -> value of `proto` that holds its
            codes as real numbers, and their format.
        zero_points: quantizers that have a zero point.
        clips: quantizers that have a Clip in front.
    """

    proto: onnx.ModelProto
    rounded: dict[str, tuple[str, QuantizationParameters]]
    zero_points: int
    clips: int


def write_qonnx(model: ir.Model, context: Context) -> Written:
    """The quantized model with a QONNX quantizer wherever golden rounds to codes.

    Args:
        model: the float model with formats on its values (behind pass `quantize`); not
            changed.
        context: of golden: ``facts["golden"]`` says which values it holds as codes,
            ``facts["weights"]`` what the weights are.
    """
    result = ir.from_proto(ir.to_proto(model))
    result.ir_version = IR_VERSION
    clamps = _clamps(result, context.sites)
    _write_functions(result, context.sites)
    _copy_formats(model, result)
    writer = _Writer(result.graph, context, clamps)
    writer.write()
    remove_dead(result.graph)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(result)
    result.opset_imports.pop(DOMAIN, None)
    result.opset_imports[QONNX] = 1
    result.graph.name = "qonnx"
    result.metadata_props.clear()
    for value in [*result.graph.inputs, *(v for node in result.graph for v in node.outputs)]:
        value.metadata_props.clear()
    for node in result.graph:
        node.metadata_props.clear()
    make = writer.make
    return Written(ir.to_proto(result), writer.rounded, make.zero_points, make.clips)


def _clamps(model: ir.Model, sites: Mapping[str, Site]) -> dict[str, str]:
    """Input and output of each activation that is a clamp of codes, by name."""
    found = {}
    for node in model.graph:
        site = sites.get(node.metadata_props.get("actc.site", ""))
        if site is not None and site.form == "clamp" and is_op(node, "Activation", domain=DOMAIN):
            assert node.inputs[0] is not None
            found[str(node.inputs[0].name)] = str(node.outputs[0].name)
    return found


def _write_functions(model: ir.Model, sites: Mapping[str, Site]) -> None:
    """Standard operators for everything of the domain actc but FakeQuantize."""
    for node in list(model.graph):
        site = sites.get(node.metadata_props.get("actc.site", ""))
        if site is not None and site.approximation is not None and "pwl" in site.details:
            _put_pieces(model, node, site.details["pwl"])
    standard_norms(model.graph)
    respell(model)
    expand_silu(model.graph, set())
    kept = [node for node in model.graph if is_op(node, "FakeQuantize", domain=DOMAIN)]
    for node in kept:  # no body: it stays through the inlining
        node.domain = QONNX
    add_bodies(model)
    common.InlinePass()(model)
    for node in model.graph:
        if is_op(node, "FakeQuantize", domain=QONNX):
            node.domain = DOMAIN


def _copy_formats(source: ir.Model, target: ir.Model) -> None:
    """The formats of values of the same name, which inlining loses."""
    formats = {v.name: v.metadata_props for node in source.graph for v in node.outputs}
    for node in target.graph:
        for value in node.outputs:
            value.metadata_props.update(formats.get(value.name, {}))


def _put_pieces(model: ir.Model, node: ir.Node, form: Any) -> None:
    """actc::PiecewiseLinear for an activation."""
    breakpoints = form.breakpoints if len(form.breakpoints) else np.zeros(1)
    pieces = len(breakpoints) + 1
    arrays = (breakpoints, np.resize(form.slopes, pieces), np.resize(form.intercepts, pieces))
    constants = [
        add_constant(model.graph, f"{node.name}_{what}", array.astype(np.float32))
        for what, array in zip(("breakpoints", "slopes", "intercepts"), arrays, strict=True)
    ]
    new = ir.node("PiecewiseLinear", [node.inputs[0], *constants], domain=DOMAIN, name=node.name)
    replace_node(node, [new], new.outputs[0])


class _Writer:
    """Puts quantizers into a float graph of standard operators."""

    def __init__(self, graph: ir.Graph, context: Context, clamps: dict[str, str]) -> None:
        self.make = Quantizers(graph)
        self.rounded: dict[str, tuple[str, QuantizationParameters]] = {}
        self._graph, self._clamps = graph, clamps
        self._weights: Mapping[str, QuantizedWeights] = context.facts.get("weights", {})
        self._given = context.facts.get("given", {})
        held = context.facts.get("golden", {})
        self._formats: dict[str, QuantizationParameters] = {k: p for k, (_, p) in held.items()}

    def write(self) -> None:
        """Rewrite the graph."""
        for node in list(self._graph):
            if str(node.name) in self._weights and is_op(node, "Conv", "MatMul"):
                self._linear(node, self._weights[str(node.name)])
        for value in list(self._graph.initializers.values()):
            if str(value.name) in self._formats and value.uses():
                self._constant(value, self._formats[str(value.name)])
        values = [*self._graph.inputs, *(v for node in self._graph for v in node.outputs)]
        for value in values:
            if is_given(value):
                self._given_quantizer(value)
            elif str(value.name) in self._formats:
                self._activation(value, self._formats[str(value.name)])

    def _linear(self, node: ir.Node, held: QuantizedWeights) -> None:
        """The integer weights and the bias of a layer, as golden has them."""
        weights, source = constant(node.inputs[1]), node.inputs[0]
        assert weights is not None
        assert source is not None
        shape = (-1, *([1] * (weights.ndim - 1))) if is_op(node, "Conv") else (1, -1)
        quantizers = self.make.weights(held, shape, f"{node.name}_weights")
        self._graph.insert_before(node, quantizers)
        node.replace_input_with(1, quantizers[-1].outputs[0])
        if str(node.name) in self._given:
            return
        parameters = narrow_parameters_of(source) or parameters_of(source)
        assert parameters is not None
        self._bias(node, held, parameters.scale)

    def _bias(self, node: ir.Node, held: QuantizedWeights, x_scale: float) -> None:
        """A whole number of steps of the sum, and half a step where sums can be ties."""
        last, place, bias = _bias_of(node, len(held.scales))
        steps = bias_codes(bias + held.correction, held.scales, x_scale).astype(np.float64)
        output, unit = last.outputs[0], held.scales * x_scale
        own = self._rounds_to(output)
        if own is not None:
            steps = steps + half_step(unit / own.scale)
        if not np.any(steps) and place is None:
            return
        array = (steps * unit).astype(np.float32)
        value = add_constant(self._graph, f"{node.name}_bias", array)
        if place is not None:
            last.replace_input_with(place, value)
        elif is_op(node, "Conv"):
            node.resize_inputs(3)
            node.replace_input_with(2, value)
        else:
            self._add(output, value)

    def _rounds_to(self, value: ir.Value) -> QuantizationParameters | None:
        """The format that golden rounds a sum to, if that is all that happens to it."""
        return None if value.is_graph_output() else self._formats.get(str(value.name))

    def _add(self, value: ir.Value, term: ir.Value) -> ir.Value:
        """Put an Add behind a value; it takes over the name."""
        name = str(value.name)
        uses = [(use.node, use.idx) for use in value.uses()]
        node = ir.node("Add", [value, term], name=f"{name}_add")
        result = node.outputs[0]
        result.type, result.shape = value.type, value.shape
        result.metadata_props.update(value.metadata_props)
        value.name, result.name = f"{name}_before", name
        value.metadata_props.clear()
        producer = value.producer()
        assert producer is not None
        self._graph.insert_after(producer, node)
        for user, index in uses:
            user.replace_input_with(index, result)
        if value.is_graph_output():
            self._graph.outputs[list(self._graph.outputs).index(value)] = result
        return result

    def _constant(self, value: ir.Value, parameters: QuantizationParameters) -> None:
        """A constant that golden holds as codes."""
        uses = [(use.node, use.idx) for use in value.uses()]
        nodes = self.make.quantize(value, parameters, f"{value.name}_codes")
        self._graph.insert_before(self._graph[0], nodes)
        result = nodes[-1].outputs[0]
        result.type, result.shape = value.type, value.shape
        annotate(result, parameters)
        for user, index in uses:
            user.replace_input_with(index, result)

    def _given_quantizer(self, value: ir.Value) -> None:
        """A quantizer of the model itself."""
        parameters, node = parameters_of(value), value.producer()
        assert parameters is not None
        assert node is not None
        source, name = node.inputs[0], str(value.name)
        assert source is not None
        bipolar = _sign_source(source, parameters)
        if bipolar is not None:
            scale = np.array(parameters.scale, np.float32)
            held = add_constant(self._graph, f"{name}_scale", scale)
            nodes = [ir.node("BipolarQuant", [bipolar, held], domain=QONNX, name=node.name)]
        else:
            nodes = self.make.quantize(source, parameters, f"{name}_codes")
        nodes[-1].name = node.name
        replace_node(node, nodes, nodes[-1].outputs[0])
        self.rounded[name] = name, parameters

    def _activation(self, value: ir.Value, parameters: QuantizationParameters) -> None:
        """A value that golden holds as codes."""
        name, uses = str(value.name), [(use.node, use.idx) for use in value.uses()]
        clamp = self._clamps.get(name)
        if clamp in self._formats and only_user(value) is not None:
            return  # the clamp's own quantizer rounds as well, and saturates where it does
        if self._is_rounded(value, parameters):
            self.rounded[name] = name, parameters
            return
        narrow = narrow_parameters_of(value)
        takers = [u for u in uses if narrow is not None and is_op(u[0], *LINEAR) and u[1] < 2]
        others = [u for u in uses if u not in takers]
        if value.producer() is not None:
            value = self._off_ties(value, parameters)
        output = value.is_graph_output()
        wide = self._insert(value, parameters, others, f"{name}_codes", output)
        if narrow is not None and takers:
            copied = is_op(wide.producer(), "Quant", domain=QONNX) and _copied(value)
            self._insert(wide if copied else value, narrow, takers, f"{name}_narrow", False)

    def _is_rounded(self, value: ir.Value, parameters: QuantizationParameters) -> bool:
        """Whether a value has its format from what it is made of."""
        producer = value.producer()
        if producer is None or not is_op(producer, *MOVES):
            return False
        sources = [v for v in producer.inputs if v is not None and v.dtype == ir.DataType.FLOAT]
        return all(parameters_of(v) == parameters and _is_codes(v) for v in sources)

    def _off_ties(self, value: ir.Value, parameters: QuantizationParameters) -> ir.Value:
        """Half a step onto sums that could be ties, as golden's rounding decides them."""
        step = between_ties(value, parameters)
        if step is None:
            return value
        held = add_constant(self._graph, f"{value.name}_half", np.array(step, np.float32))
        return self._add(value, held)

    def _insert(
        self,
        value: ir.Value,
        parameters: QuantizationParameters,
        takers: list[tuple[ir.Node, int]],
        name: str,
        output: bool,
    ) -> ir.Value:
        own = str(value.name)
        nodes = self.make.quantize(value, parameters, name)
        result, producer = nodes[-1].outputs[0], value.producer()
        if producer is None:
            self._graph.insert_before(self._graph[0], nodes)
        else:
            self._graph.insert_after(producer, nodes)
        result.type, result.shape = value.type, value.shape
        annotate(result, parameters)
        for node, index in takers:
            node.replace_input_with(index, result)
        if output:
            self._graph.outputs[list(self._graph.outputs).index(value)] = result
            value.name, result.name = f"{own}_real", own
        self.rounded.setdefault(own, (str(result.name), parameters))
        return result


def _is_codes(value: ir.Value) -> bool:
    """Whether a value came out of a quantizer, or was moved from there."""
    producer = value.producer()
    if is_op(producer, *MOVES) and producer is not None:
        return all(_is_codes(v) for v in producer.inputs if v is not None and parameters_of(v))
    return is_op(producer, "Quant", domain=QONNX)


def _copied(value: ir.Value) -> bool:
    """Whether golden makes narrow codes of a value from its wide ones."""
    producer = value.producer()
    kinds = (*LINEAR, "Add", "Sub", "Mul", "AveragePool", "GlobalAveragePool")
    return producer is not None and not is_op(producer, *kinds, "ReduceMean", "ReduceSum")


def _bias_of(node: ir.Node, channels: int) -> tuple[ir.Node, int | None, Array]:
    """The node that gives the sum of a layer, where its bias stands, and the bias [O]."""
    if is_op(node, "Conv"):
        bias = constant(node.inputs[2]) if len(node.inputs) > 2 else None
        return node, None if bias is None else 2, np.zeros(channels) if bias is None else bias
    user, value = only_user(node.outputs[0]), node.outputs[0]
    if is_op(user, "Add") and user is not None and rank(value) is not None:
        for place, term in enumerate(user.inputs):
            array = constant(term)
            count = rank(value) or 0
            if array is not None:
                vector = channel_vector(array, count, count - 1, channels)
                if vector is not None:
                    return user, place, vector
    return node, None, np.zeros(channels)


def _sign_source(value: ir.Value, p: QuantizationParameters) -> ir.Value | None:
    """What `value` is the sign of, where it is +scale from 0 on and -scale below.

    This is how a BipolarQuant is spelled when it is read: GreaterOrEqual, Cast, Mul, Sub,
    Mul.
    """
    if (p.zero_point - p.low, p.high - p.zero_point) != (1, 1):
        return None
    current: ir.Value | None = value
    for op, wanted in (("Mul", p.scale), ("Sub", 1.0), ("Mul", 2.0), ("Cast", None)):
        node = None if current is None else current.producer()
        if node is None or not is_op(node, op):
            return None
        if wanted is not None:
            array = constant(node.inputs[1])
            if array is None or array.size != 1 or float(array.item()) != np.float32(wanted):
                return None
        current = node.inputs[0]
    node = None if current is None else current.producer()
    if node is None or not is_op(node, "GreaterOrEqual"):
        return None
    zero = constant(node.inputs[1])
    return node.inputs[0] if zero is not None and not np.any(zero) else None
