"""The quantized model as float operators between QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common
from onnx import inliner

from actc.ir.dialect import DOMAIN, add_bodies
from actc.ir.formats import annotate, annotate_narrow, parameters_of
from actc.ir.graph import add_constant, constant, is_op, remove_dead, replace_node
from actc.numerics.quantization import QuantizationParameters
from actc.targets.onnx.barrier import keep_apart
from actc.targets.onnx.capability import CLAMPS, byte_format, can_run_on_codes, hard_swish_codes
from actc.targets.onnx.channels_last import pool_channels_last, quantize_channels_last
from actc.targets.onnx.gemm import join_bias
from actc.targets.onnx.given import is_given, layers_on_codes, write_operands, write_pairs
from actc.targets.onnx.masks import add_masks
from actc.targets.onnx.norms import standard_norms
from actc.targets.onnx.placement import Placement, place
from actc.targets.onnx.pooling import pool_means
from actc.targets.onnx.spelling import expand_silu, respell
from actc.targets.onnx.weights import Chosen, write_weights

IR_VERSION = 10


def quantize_dequantize(
    model: ir.Model, chosen: Chosen | None = None, everywhere: bool = False
) -> onnx.ModelProto:
    """The QDQ variant of a quantized model, of standard operators only.

    Args:
        model: the float model with formats on its values (behind pass `quantize`);
            not changed.
        chosen: weights that pass `weights` chose, by node.
        everywhere: quantize every tensor that has a format. Otherwise an operator runs
            on integers only where onnxruntime is faster so; the others stay float, with
            int8 weights.

    The quantizers of a model that came quantized are written as they are, and it gets no
    others. Functions are inlined.
    """
    result, able = _prepared(model, everywhere)
    if is_given(result):
        _write_as_given(result, chosen or {})
    else:
        codes = able if everywhere else place(result, able).codes
        _Writer(result.graph, codes, everywhere).write(chosen or {})
    remove_dead(result.graph)
    add_bodies(result)
    proto = inliner.inline_local_functions(ir.to_proto(result))
    keep = [entry for entry in proto.opset_import if entry.domain != DOMAIN]
    del proto.opset_import[:]
    proto.opset_import.extend(keep)
    return proto


def _write_as_given(model: ir.Model, chosen: Chosen) -> None:
    """The pairs of a model that came quantized, and its integer weights."""
    codes = layers_on_codes(model.graph, chosen)
    write_pairs(model.graph)
    for node in list(model.graph):
        if is_op(node, "Conv", "MatMul", "Gemm"):
            write_weights(model.graph, node, node in codes, chosen)
    expand_silu(model.graph, set())
    standard_norms(model.graph)
    add_bodies(model)
    common.InlinePass()(model)
    write_operands(model.graph)


def placement_of(model: ir.Model) -> Placement:
    """What :func:`quantize_dequantize` chooses for a model, and the modelled times."""
    return place(*_prepared(model, False))


def _prepared(model: ir.Model, exact: bool) -> tuple[ir.Model, frozenset[ir.Node]]:
    """A copy in onnxruntime's favourite spelling, and the operators that can run on codes."""
    result = ir.from_proto(ir.to_proto(model))
    result.ir_version = IR_VERSION
    join_bias(result.graph)
    pool_means(result.graph)
    add_masks(result.graph)
    respell(result)
    return result, frozenset(node for node in result.graph if can_run_on_codes(node, exact))


class _Writer:
    """Puts the conversions around the operators that run on codes."""

    def __init__(self, graph: ir.Graph, codes: Collection[ir.Node], everywhere: bool) -> None:
        self._graph, self._everywhere = graph, everywhere
        self._codes = set(codes)
        self._saturated: set[ir.Value] = set()
        self._quantized: dict[ir.Value, ir.Value] = {}

    def write(self, chosen: Chosen) -> None:
        """Rewrite the graph, with the weights that pass `weights` chose."""
        swishes = [node for node in self._graph if is_op(node, "HardSwish") and node in self._codes]
        for node in swishes:
            found, source = hard_swish_codes(node), node.inputs[0]
            assert found is not None
            assert source is not None
            own = parameters_of(source)
            wide = own is not None and own.bits > 8
            (annotate_narrow if wide else annotate)(source, found[0])
        for node in list(self._graph):
            if node.op_type in CLAMPS and node in self._codes:
                self._drop_clamp(node)
        for node in list(self._graph):
            if is_op(node, "Conv", "MatMul", "Gemm"):
                write_weights(self._graph, node, node in self._codes, chosen)
        for value in [*self._graph.inputs, *(v for n in list(self._graph) for v in n.outputs)]:
            self._pair(value)
        for node in swishes:
            self._hard_swish(node)
        if not self._everywhere:
            pool_channels_last(self._graph, self._quantized)
            quantize_channels_last(self._graph)
        expand_silu(self._graph, set(self._quantized))
        keep_apart(self._graph)

    def _drop_clamp(self, node: ir.Node) -> None:
        """Leave a clamp to the quantizer in front, which saturates where it does."""
        source, output = node.inputs[0], node.outputs[0]
        assert source is not None
        name = output.name
        ir.convenience.replace_all_uses_with(output, source, replace_graph_outputs=True)
        source.metadata_props.update(output.metadata_props)
        self._graph.remove(node, safe=True)
        output.name = None
        source.name = name
        self._saturated.add(source)

    def _pair(self, value: ir.Value) -> None:
        """Quantize and dequantize a value for those that read its codes."""
        own, byte = parameters_of(value), byte_format(value, exact=self._everywhere)
        users = [(use.node, use.idx) for use in value.uses()]
        takers = [use for use in users if use[0] in self._codes]
        others = [use for use in users if use[0] not in self._codes]
        if own is None or constant(value) is not None:
            return
        if byte is not None and self._gives_codes(value, byte == own, bool(takers)):
            self._insert(value, byte, users, value.is_graph_output())
        elif not self._everywhere:
            if byte is not None:
                self._insert(value, byte, takers)
        elif byte is None or byte == own:
            self._insert(value, own, users)
        else:
            self._insert(value, byte, takers, suffix="_narrow")
            self._insert(value, own, others)

    def _gives_codes(self, value: ir.Value, narrow: bool, taken: bool) -> bool:
        """Whether the producer's own result is codes of bytes.

        A matrix product's is only where something takes codes: else its accumulator
        becomes float directly, without rounding to a byte.
        """
        producer = value.producer()
        if value in self._saturated:
            return True
        if not is_op(producer, "MatMul", "Gemm"):
            return producer in self._codes
        return producer in self._codes and taken and (narrow or not self._everywhere)

    def _insert(
        self,
        value: ir.Value,
        parameters: QuantizationParameters,
        takers: list[tuple[ir.Node, int]],
        output: bool = False,
        suffix: str = "",
    ) -> None:
        if not takers and not output:
            return
        name = f"{value.name}{suffix}"
        zero_point = np.array(parameters.zero_point, parameters.dtype)
        scale = add_constant(self._graph, f"{name}_scale", np.array(parameters.scale, np.float32))
        zero = add_constant(self._graph, f"{name}_zero_point", zero_point)
        quantize = ir.node("QuantizeLinear", [value, scale, zero], name=f"{name}_q")
        codes = quantize.outputs[0]
        dequantize = ir.node("DequantizeLinear", [codes, scale, zero], name=f"{name}_dq")
        result = dequantize.outputs[0]
        codes.name, result.name = f"{name}_q", f"{name}_dq"
        producer = value.producer()
        if producer is None:
            self._graph.insert_before(self._graph[0], [quantize, dequantize])
        else:
            self._graph.insert_after(producer, [quantize, dequantize])
        for node, index in takers:
            node.replace_input_with(index, result)
        if output:
            self._graph.outputs[list(self._graph.outputs).index(value)] = result
            result.type, result.shape = value.type, value.shape
            value.name, result.name = f"{name}_real", name
        self._quantized[result] = codes

    def _hard_swish(self, node: ir.Node) -> None:
        """x * clip(x + 3, 0, 6) / 6 on codes: a Clip of bytes and one product."""
        source, name = node.inputs[0], str(node.name)
        assert source is not None
        dequantize = source.producer()
        assert dequantize is not None
        scale, zero = (constant(value) for value in dequantize.inputs[1:])
        assert scale is not None
        assert zero is not None
        steps = round(3 / float(scale))
        kink = int(zero) - steps
        arrays = (
            ("first", np.array(kink, np.uint8)),
            ("last", np.array(min(kink + 2 * steps, 255), np.uint8)),
            ("scale", np.array(1 / (2 * steps), np.float32)),
        )
        first, last, gate_scale = (
            add_constant(self._graph, f"{name}_{what}", array) for what, array in arrays
        )
        clip = ir.node("Clip", [self._quantized[source], first, last], name=f"{name}_clip")
        gate = ir.node(
            "DequantizeLinear", [clip.outputs[0], gate_scale, first], name=f"{name}_gate"
        )
        product = ir.node("Mul", [source, gate.outputs[0]], name=f"{name}_mul")
        for part in (clip, gate, product):
            part.outputs[0].name = part.name
        replace_node(node, [clip, gate, product], product.outputs[0])
