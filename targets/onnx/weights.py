"""Integer weights of linear operators in a QDQ model."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import add_constant, constant, is_op, only_user, unique_name
from actc.numerics.weights import QuantizedWeights, bias_codes, quantize_weights
from actc.targets.onnx.capability import byte_format

Array = np.ndarray[Any, Any]
Chosen = Mapping[str, QuantizedWeights]


def write_weights(graph: ir.Graph, node: ir.Node, codes: bool, chosen: Chosen) -> None:
    """Hold the weights of Conv, Gemm or MatMul as int8 with one scale per output channel.

    Args:
        codes: whether the operator runs on codes. If so, weights and bias stand behind
            DequantizeLinear, as the integer kernels want them. If not, weights are
            written as Cast and Mul, which onnxruntime computes once when it loads the
            model; a DequantizeLinear it would compute in each call.
        chosen: what pass `weights` chose, by node; other weights are rounded to nearest.
    """
    weight = constant(node.inputs[1])
    if weight is None or (weight.ndim != 2 and not is_op(node, "Conv")):
        return
    axis = 0 if is_op(node, "Conv") else 1
    rows = np.moveaxis(weight, axis, 0)
    given = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    source = byte_format(node.inputs[0])
    x_scale = source.scale if codes and source is not None else 1.0
    bias = np.zeros(len(rows)) if given is None else given.reshape(-1).astype(np.float64)
    found = chosen.get(str(node.name))
    if found is None:
        quantized, _, scales = quantize_weights(rows, bias if codes else 0 * bias, x_scale)
    else:
        quantized, scales, bias = found.codes, found.scales, bias + found.correction
    name = str(node.name or node.outputs[0].name)
    held = np.ascontiguousarray(np.moveaxis(quantized, 0, axis))
    if codes:
        weights = _dequantized(graph, node, f"{name}_w", held, scales, axis)
    else:
        weights = _product(graph, node, f"{name}_w", held, scales)
    node.replace_input_with(1, weights)
    if not np.any(bias):
        _without_bias(node, given)
    elif is_op(node, "MatMul"):
        _add_behind(graph, node, bias)
    elif codes:
        held = bias_codes(bias, scales, x_scale)
        _set_bias(node, _dequantized(graph, node, f"{name}_b", held, scales * x_scale, 0))
    else:
        _set_bias(node, add_constant(graph, f"{name}_b", bias.astype(np.float32)))


def _without_bias(node: ir.Node, given: Array | None) -> None:
    """A bias of zeros may have no integer form at these scales; none is as good."""
    if given is not None:
        node.resize_inputs(2)


def _set_bias(node: ir.Node, bias: ir.Value) -> None:
    if len(node.inputs) < 3:
        node.resize_inputs(3)
    node.replace_input_with(2, bias)


def _add_behind(graph: ir.Graph, node: ir.Node, bias: Array) -> None:
    """Add the correction of the bias to the Add behind a MatMul, or to a new one."""
    output, user = node.outputs[0], only_user(node.outputs[0])
    if is_op(user, "Add") and user is not None:
        for index, value in enumerate(user.inputs):
            terms = constant(value)
            if terms is not None and terms.shape[-1:] == bias.shape:
                total = (terms + bias).astype(np.float32)
                user.replace_input_with(index, add_constant(graph, f"{node.name}_b", total))
                return
    constants = add_constant(graph, f"{node.name}_b", bias.astype(np.float32))
    uses = list(output.uses())
    addition = ir.node("Add", [output, constants], name=_unused(graph, f"{node.name}_bias"))
    result = addition.outputs[0]
    result.name = unique_name(graph, f"{node.name}_biased")
    result.type, result.shape = output.type, output.shape
    result.metadata_props.update(output.metadata_props)
    output.metadata_props.clear()
    graph.insert_after(node, addition)
    for use in uses:
        use.node.replace_input_with(use.idx, result)
    if output.is_graph_output():
        graph.outputs[list(graph.outputs).index(output)] = result
        output.name, result.name = result.name, output.name


def _unused(graph: ir.Graph, base: str) -> str:
    """`base`, or `base_2`, `base_3`...: a name that no node has; onnxruntime wants one for each."""
    taken = {node.name for node in graph}
    names = itertools.chain([base], (f"{base}_{count}" for count in itertools.count(2)))
    return next(name for name in names if name not in taken)


def _dequantized(
    graph: ir.Graph, node: ir.Node, name: str, held: Array, scales: Array, axis: int
) -> ir.Value:
    constants = [
        add_constant(graph, f"{name}_int{held.dtype.itemsize * 8}", held),
        add_constant(graph, f"{name}_scale", scales.astype(np.float32)),
        # QGemm is chosen only where the zero point of the weights is written out.
        add_constant(graph, f"{name}_zero_point", np.zeros(len(scales), held.dtype)),
    ]
    new = ir.node("DequantizeLinear", constants, {"axis": axis}, name=_unused(graph, f"{name}_dq"))
    new.outputs[0].name = unique_name(graph, f"{name}_dq")
    graph.insert_before(node, new)
    return new.outputs[0]


def _product(graph: ir.Graph, node: ir.Node, name: str, held: Array, scales: Array) -> ir.Value:
    shape = (-1, *([1] * (held.ndim - 1))) if is_op(node, "Conv") else (-1,)
    codes = add_constant(graph, f"{name}_int8", held)
    scale = add_constant(graph, f"{name}_scale", scales.astype(np.float32).reshape(shape))
    to_float = {"to": ir.DataType.FLOAT}
    cast = ir.node("Cast", [codes], to_float, name=_unused(graph, f"{name}_float"))
    product = ir.node("Mul", [cast.outputs[0], scale], name=_unused(graph, f"{name}_mul"))
    for part in (cast, product):
        part.outputs[0].name = unique_name(graph, str(part.name))
    graph.insert_before(node, [cast, product])
    return product.outputs[0]
