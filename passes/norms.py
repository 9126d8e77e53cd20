"""Write normalizations over several axes, and vector norms, as simpler operators."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.graph import constant, dims, is_op
from actc.passes.rewriter import Rewriter
from actc.passes.rms_norm import flatten_rms_normalization

Array = np.ndarray[Any, Any]


def flatten_normalizations(model: ir.Model) -> None:
    """Instance, group and layer normalization over several axes -> over one axis, reshaped.

    InstanceNormalization (Ulyanov et al., 2016) normalizes each channel of a sample,
    GroupNormalization (Wu and He, 2018) each group of channels, LayerNormalization (Ba
    et al., 2016) the axes from `axis` on: with those axes made one, all are
    actc::LayerNorm along it.
    """
    for node in list(model.graph):
        shape = dims(node.inputs[0]) if node.inputs else None
        if shape is None or len(shape) < 2 or any(o.uses() for o in node.outputs[1:]):
            continue
        if is_op(node, "RMSNormalization"):
            flatten_rms_normalization(model, node)
            continue
        if any(extent is None for extent in shape[1:]):
            continue
        known = [shape[0] or -1, *(extent or 0 for extent in shape[1:])]
        if is_op(node, "InstanceNormalization"):
            _instance(model, node, known)
        elif is_op(node, "GroupNormalization"):
            _group(model, node, known)
        elif is_op(node, "LayerNormalization"):
            _layer(model, node, known)


def _instance(model: ir.Model, node: ir.Node, shape: list[int]) -> None:
    gamma, beta = constant(node.inputs[1]), constant(node.inputs[2])
    if gamma is None or beta is None:
        return
    rewriter = Rewriter(model.graph, node)
    folded = [shape[0], shape[1], int(np.prod(shape[2:]))]
    parameters = gamma.reshape(1, -1, 1), beta.reshape(1, -1, 1)
    normal = _normalize(rewriter, node, folded, *parameters)
    rewriter.finish(_reshape(rewriter, normal, shape))


def _group(model: ir.Model, node: ir.Node, shape: list[int]) -> None:
    gamma, beta = constant(node.inputs[1]), constant(node.inputs[2])
    groups = node.attributes["num_groups"].as_int()
    if gamma is None or beta is None or gamma.size != shape[1]:
        return
    rewriter = Rewriter(model.graph, node)
    folded = [shape[0], groups, int(np.prod(shape[1:])) // groups]
    ones = np.ones((1, 1, 1), np.float32)
    normal = _reshape(rewriter, _normalize(rewriter, node, folded, ones, 0 * ones), shape)
    per_channel = [1, -1] + [1] * (len(shape) - 2)
    factor = rewriter.constant("factor", gamma.reshape(per_channel))
    offset = rewriter.constant("offset", beta.reshape(per_channel))
    scaled = rewriter.emit("Mul", [normal, factor])
    _shaped(scaled, shape)
    moved = rewriter.emit("Add", [scaled, offset])
    _shaped(moved, shape)  # ONNX infers no shape for the operator that it stands for
    rewriter.finish(moved)


def _layer(model: ir.Model, node: ir.Node, shape: list[int]) -> None:
    gamma = constant(node.inputs[1])
    beta = constant(node.inputs[2]) if len(node.inputs) > 2 else np.zeros(1, np.float32)
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else -1
    axis %= len(shape)
    if gamma is None or beta is None or axis in (0, len(shape) - 1):
        return  # the last axis alone is a layer normalization as it stands
    extents = shape[axis:]
    rewriter = Rewriter(model.graph, node)
    folded = [*shape[:axis], int(np.prod(extents))]
    before = [1] * axis
    wide = [np.broadcast_to(array, extents).reshape(*before, -1) for array in (gamma, beta)]
    normal = _normalize(rewriter, node, folded, wide[0], wide[1])
    rewriter.finish(_reshape(rewriter, normal, shape))


def _normalize(
    rewriter: Rewriter, node: ir.Node, shape: list[int], gamma: Array, beta: Array
) -> ir.Value:
    """actc::LayerNorm along the last axis of the input reshaped to `shape`."""
    epsilon = node.attributes["epsilon"].as_float() if "epsilon" in node.attributes else 1e-5
    source = node.inputs[0]
    assert source is not None
    inputs = [
        _reshape(rewriter, source, shape),
        rewriter.constant("gamma", np.ascontiguousarray(gamma, np.float32)),
        rewriter.constant("beta", np.ascontiguousarray(beta, np.float32)),
    ]
    attributes = {"axis": len(shape) - 1, "epsilon": epsilon}
    normal = rewriter.emit("LayerNorm", inputs, attributes, DOMAIN)
    _shaped(normal, shape)
    return normal


def _reshape(rewriter: Rewriter, value: ir.Value, shape: list[int]) -> ir.Value:
    moved = rewriter.emit("Reshape", [value, rewriter.integers("shape", shape)])
    _shaped(moved, shape)
    return moved


def _shaped(value: ir.Value, shape: list[int]) -> None:
    value.type = ir.TensorType(ir.DataType.FLOAT)
    value.shape = ir.Shape(["N" if shape[0] == -1 else shape[0], *shape[1:]])


def split_norms(model: ir.Model) -> None:
    """ReduceSumSquare, ReduceL1, ReduceL2 -> an elementwise function around ReduceSum."""
    for node in list(model.graph):
        if is_op(node, "ReduceL1", "ReduceL2", "ReduceSumSquare"):
            _split(model, node)
        elif is_op(node, "ReduceLogSumExp"):
            _by_log_softmax(model, node)


def _split(model: ir.Model, node: ir.Node) -> None:
    x = node.inputs[0]
    assert x is not None
    rewriter = Rewriter(model.graph, node)
    inner = [x] if node.op_type == "ReduceL1" else [x, x]
    terms = rewriter.emit("Abs" if node.op_type == "ReduceL1" else "Mul", inner)
    terms.type, terms.shape = x.type, x.shape
    total = rewriter.emit("ReduceSum", [terms, *node.inputs[1:]], dict(node.attributes))
    total.type, total.shape = node.outputs[0].type, node.outputs[0].shape
    root = node.op_type == "ReduceL2"
    rewriter.finish(rewriter.emit("Sqrt", [total]) if root else total)


def _by_log_softmax(model: ir.Model, node: ir.Node) -> None:
    """ReduceLogSumExp along one axis -> the first entry less its logarithmic softmax."""
    x, axes = node.inputs[0], constant(node.inputs[1]) if len(node.inputs) > 1 else None
    shape, output = dims(x), node.outputs[0]
    if x is None or shape is None or axes is None or axes.size != 1:
        return
    axis, rewriter = int(axes.reshape(())) % len(shape), Rewriter(model.graph, node)
    one = [1 if a == axis else "N" if s is None else s for a, s in enumerate(shape)]
    logarithms = rewriter.emit("LogSoftmax", [x], {"axis": axis})
    logarithms.type, logarithms.shape = x.type, x.shape
    bounds = {"starts": 0, "ends": 1, "axes": axis}
    firsts = []
    for value in (x, logarithms):
        ends = [rewriter.integers(key, [number]) for key, number in bounds.items()]
        first = rewriter.emit("Slice", [value, *ends])
        first.type, first.shape = x.type, ir.Shape(one)
        firsts.append(first)
    total = rewriter.emit("Sub", firsts)
    total.type, total.shape = x.type, ir.Shape(one)
    kept = "keepdims" not in node.attributes or node.attributes["keepdims"].as_int() != 0
    if not kept:
        total = rewriter.emit("Squeeze", [total, rewriter.integers("axes", [axis])])
        total.type, total.shape = output.type, output.shape
    rewriter.finish(total)
