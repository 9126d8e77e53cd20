"""Softmax and layer normalization of golden on pairs of forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.bounds import affine, layernorm, normalization
from actc.bounds.affine import SLACK
from actc.bounds.integers import ROUNDING, Golden, Integers
from actc.bounds.operators import NotEnclosed
from actc.ir.graph import constant, is_op

Array = np.ndarray[Any, Any]

NO_COUNTERPART = "its float counterpart is not known"
_FRACTION = 2.0**12
"""Of n inside IntLayerNorm."""


def _constant(node: ir.Node, position: int) -> Array:
    array = constant(node.inputs[position])
    if array is None:
        raise NotEnclosed("a parameter of it is not constant")
    return array.astype(np.float64)


def softmax(golden: Golden, node: ir.Node) -> None:
    """IntSoftmax."""
    x, axis = golden.after(node.inputs[0]), node.attributes["axis"].as_int()
    mates = golden.behind(node.outputs[0])
    tensor = golden.float_tensor(mates[0].name) if mates else None
    if tensor is None or not x.mates:
        raise NotEnclosed(NO_COUNTERPART)
    step = x.mates[-1].scale
    apart = affine.scaled(affine.total(x.golden, x.ideal, -1.0), step)
    found = normalization.softmax_difference(
        tensor.form, apart, x.shape, axis, _constant(node, 1), step
    )
    shares = {label: step * share / 2 for label, share in x.shares.items()}
    form = affine.promoted(golden.space, affine.total(tensor.form, found))
    golden.put(node.outputs[0], Integers(form, tensor.form, shares, x.shape), real=True)


def layer_norm(golden: Golden, node: ir.Node) -> None:
    """IntLayerNorm: gamma_q (4096 n' - [0, 1]) + beta_q beside (n gamma + beta) / unit."""
    x = golden.after(node.inputs[0])
    axis = layernorm.axis_of(x.shape, node.attributes["axis"].as_int())
    source, tensor, unit = _counterpart(golden, node)
    if not x.mates:
        raise NotEnclosed(NO_COUNTERPART)
    before = golden.float_tensor(x.mates[-1].name)
    assert before is not None
    step = x.mates[-1].scale
    delta = affine.scaled(affine.total(x.golden, x.ideal, -1.0), step)
    other = float(_constant(node, 3)) * (step / axis.count) ** 2
    epsilon = source.attributes["epsilon"].as_float()
    moved = layernorm.moved(golden.space, before.form, delta, axis, epsilon, other)
    given = [_constant(source, 1), _constant(source, 2), _constant(node, 1), _constant(node, 2)]
    gamma, beta, factor, offset = (np.broadcast_to(a, x.shape).reshape(-1) for a in given)
    error = layernorm.float_error(before.form, axis, moved.normal, gamma, beta)
    bias = offset - beta / unit - factor / 2
    form = affine.scaled(moved.form, _FRACTION * factor, bias)
    largest = moved.normal.largest
    off = np.abs(_FRACTION * factor - gamma / unit) * largest + np.abs(factor) / 2 + error / unit
    off += SLACK * (np.abs(factor) * _FRACTION * largest + np.abs(offset) + np.abs(factor))
    off += SLACK * (np.abs(gamma) * largest + np.abs(beta)) / unit
    ideal = affine.scaled(tensor, 1 / unit)
    found = affine.total(ideal, affine.loosened(form, off * (1 + SLACK)))
    shares = _shares(x, axis, step, _FRACTION * np.abs(factor) / moved.least, largest)
    golden.charge(shares, ROUNDING, off)
    found = affine.promoted(golden.space, found)
    golden.put(node.outputs[0], Integers(found, ideal, shares, x.shape))


def _counterpart(golden: Golden, node: ir.Node) -> tuple[ir.Node, affine.Form, float]:
    """The float LayerNorm, its result, and the real unit of golden's accumulator."""
    for mate in golden.behind(node.outputs[0]):
        value, tensor = golden.float_value(mate.name), golden.float_tensor(mate.name)
        producer = None if value is None else value.producer()
        if tensor is None or producer is None or not is_op(producer, "LayerNorm", domain="actc"):
            continue
        for use in node.outputs[0].uses():
            if use.node.op_type == "DequantizeLinear":
                return producer, tensor.form, float(_constant(use.node, 1).reshape(-1)[0])
            if use.node.op_type == "Requantize":
                factor = float(_constant(use.node, 1).reshape(-1)[0])
                shift = float(_constant(use.node, 2))
                return producer, tensor.form, mate.scale * factor / 2.0**shift
    raise NotEnclosed(NO_COUNTERPART)


def _shares(
    x: Integers, axis: layernorm.Axis, step: float, rate: Array, largest: Array
) -> dict[tuple[str, str], Array]:
    size = np.abs(axis.centering())
    found = {}
    for label, share in x.shares.items():
        apart = step * (size @ share)
        found[label] = rate * (apart + largest * axis.root_mean(apart**2))
    return found
