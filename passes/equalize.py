"""Move magnitude between the channels of a tensor and the weights that read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir

from actc.calibrate.channels import Channels, collect_channels
from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.ir.context import context_of
from actc.ir.dialect import DOMAIN, add_bodies
from actc.ir.graph import add_constant, constant, is_op, only_user, rank, remove_dead, unique_name
from actc.passes.base import Pass
from actc.passes.integer.linear import linear_bias

Array = np.ndarray[Any, Any]

HOMOGENEOUS = ("Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool")
"""Operators f with f(s x) = s f(x) for every s > 0, channel by channel."""
_EXPONENTS = np.linspace(0, 1, 21)


@dataclass(frozen=True, slots=True)
class Equalize(Pass):
    """Rules, for a tensor x whose readers all are Conv or MatMul by constants:

    1. Where x is what a LayerNorm gives, channel j is divided by s_j in gamma and beta,
       and the readers' weights are multiplied by it (Xiao et al., "SmoothQuant", ICML
       2023). Readers of another kind get a LayerNorm of their own, unchanged.
    2. Where x comes from a Conv or MatMul through positively homogeneous operators
       (ReLU, LeakyReLU, pooling), its weights and bias are divided instead (Nagel et al.,
       "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV
       2019).
    3. ``s_j = max|x_j|^a / max|w_j|^(1-a)``, with the exponent a, or no change, for which
       the rounding errors of x (one scale) and of the weights (one scale per output)
       together are predicted to disturb the readers least.
    """

    name: ClassVar[str] = "equalize"
    preserves: ClassVar[str] = "function"

    activation_bits: int = 8
    weight_bits: int = 8
    samples: int = 512
    batch: int = 16

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Scale what can be scaled; the function stays.

        Raises:
            UsageError: ACT0222, there is no data.
        """
        dataset = context_of(model).dataset
        if dataset is None:
            raise UsageError(
                Diagnostic("ACT0222", "equalization needs data", help="pass --data DATA.npz")
            )
        joints = [joint for node in model.graph for joint in _joints(node)]
        if not joints:
            return ir.passes.PassResult(model, modified=False)
        if self.samples:
            dataset = dataset.take(self.samples)
        add_bodies(model)
        axes = {str(joint.value.name): joint.axis for joint in joints}
        seen = collect_channels(ir.to_proto(model), axes, dataset, self.batch)
        changed = False
        for joint in joints:
            factors = self._factors(joint, seen[str(joint.value.name)])
            if factors is not None:
                _apply(model.graph, joint, factors)
                changed = True
        remove_dead(model.graph)
        return ir.passes.PassResult(model, modified=changed)

    def _factors(self, joint: _Joint, seen: Channels) -> Array | None:
        """The s_j of least predicted error, None for no change."""
        readers = [_by_input(node) for node in joint.readers]
        largest = np.maximum(np.abs(seen.low), np.abs(seen.high))
        reach = np.max([np.abs(weights).max(axis=(1, 2)) for weights, _ in readers], axis=0)
        used = (largest > 0) & (reach > 0)
        best, least = None, self._noise(readers, seen, np.ones(len(largest)))
        for exponent in _EXPONENTS:
            factors = np.ones(len(largest))
            factors[used] = largest[used] ** exponent / reach[used] ** (1 - exponent)
            noise = self._noise(readers, seen, factors)
            if noise < least:
                best, least = factors, noise
        return best

    def _noise(self, readers: list[tuple[Array, Array]], seen: Channels, factors: Array) -> float:
        """Predicted mean square error of the readers' outputs, summed over the outputs.

        A rounding error is taken as uniform over its step and independent of all others.
        """
        high = max(float((seen.high / factors).max()), 0.0)
        low = min(float((seen.low / factors).min()), 0.0)
        x_step = (high - low) / (2**self.activation_bits - 1)
        power, total = seen.power / factors**2, 0.0
        for weights, joined in readers:
            scaled = weights * factors[:, None, None]
            steps = np.abs(scaled).max(axis=(0, 2)) / (2 ** (self.weight_bits - 1) - 1)
            total += x_step**2 * float((scaled**2).sum())
            total += weights.shape[2] * float((steps**2 * (power @ joined)).sum())
        return total / 12


@dataclass(frozen=True, eq=False, slots=True)
class _Joint:
    """A tensor between what makes it and the linear operators that read it.

    Attributes:
        value: the tensor.
        axis: its axis of channels.
        maker: the LayerNorm, Conv or MatMul that its magnitude comes from.
        bias: the Add with the bias of a MatMul.
        readers: Conv and MatMul nodes.
    """

    value: ir.Value
    axis: int
    maker: ir.Node
    bias: ir.Node | None
    readers: tuple[ir.Node, ...]


def _joints(maker: ir.Node) -> list[_Joint]:
    """The joint that starts at a node: none or one."""
    if is_op(maker, "LayerNorm", domain=DOMAIN):
        found = _behind_norm(maker)
    elif is_op(maker, "Conv", "MatMul") and _weights(maker) is not None:
        found = _behind_linear(maker)
    else:
        found = None
    return [] if found is None else [found]


def _behind_norm(norm: ir.Node) -> _Joint | None:
    value, axis = norm.outputs[0], norm.attributes["axis"].as_int()
    parameters = [constant(v) for v in norm.inputs[1:3]]
    readers = [use.node for use in value.uses() if _reads(use.node, value, axis)]
    if not readers or any(p is None for p in parameters):
        return None
    return _Joint(value, axis, norm, None, tuple(dict.fromkeys(readers)))


def _behind_linear(linear: ir.Node) -> _Joint | None:
    value, bias = linear.outputs[0], None
    axis = (rank(value) or 0) - 1 if linear.op_type == "MatMul" else 1
    if linear.op_type == "Conv" and len(linear.inputs) > 2 and constant(linear.inputs[2]) is None:
        return None
    user = only_user(value)
    if user is not None and is_op(user, "Add") and linear_bias(user) is not None:
        value, bias = user.outputs[0], user
    while (user := only_user(value)) is not None and is_op(user, *HOMOGENEOUS):
        if user.op_type.endswith("Pool") and axis != 1:
            return None
        if any(output.uses() for output in user.outputs[1:]):
            return None
        value = user.outputs[0]
    users = [use.node for use in value.uses()]
    if not users or value.is_graph_output() or not all(_reads(n, value, axis) for n in users):
        return None
    return _Joint(value, axis, linear, bias, tuple(dict.fromkeys(users)))


def _reads(node: ir.Node, value: ir.Value, axis: int) -> bool:
    """Whether `node` multiplies the channels of `value` by constants and does nothing else."""
    if not is_op(node, "Conv", "MatMul") or node.inputs[0] is not value or _weights(node) is None:
        return False
    value_rank = rank(value) or 0
    return axis % max(value_rank, 1) == (value_rank - 1 if node.op_type == "MatMul" else 1)


def _weights(node: ir.Node) -> Array | None:
    weights = constant(node.inputs[1])
    if weights is None or (node.op_type == "MatMul" and weights.ndim != 2):
        return None
    return weights


def _group(node: ir.Node) -> int:
    return node.attributes["group"].as_int() if "group" in node.attributes else 1


def _by_input(node: ir.Node) -> tuple[Array, Array]:
    """Weights as [input channels, outputs, taps], and which channels reach which outputs.

    Returns:
        float64 [C, O, T], zero where a channel does not reach an output, and [C, O] of
        zeros and ones.
    """
    weights = _weights(node)
    assert weights is not None
    weights = weights.astype(np.float64)
    if node.op_type == "MatMul":
        return weights[:, :, None], np.ones(weights.shape)
    groups, (outputs, channels) = _group(node), weights.shape[:2]
    spread = np.zeros((channels * groups, outputs, int(np.prod(weights.shape[2:]))))
    joined = np.zeros(spread.shape[:2])
    for group in range(groups):
        rows = slice(group * outputs // groups, (group + 1) * outputs // groups)
        columns = slice(group * channels, (group + 1) * channels)
        part = weights[rows].reshape(-1, channels, spread.shape[2])
        spread[columns, rows] = np.swapaxes(part, 0, 1)
        joined[columns, rows] = 1
    return spread, joined


def _apply(graph: ir.Graph, joint: _Joint, factors: Array) -> None:
    """Divide the channels of the joint's value, and multiply the readers' weights."""
    maker = joint.maker
    if maker.op_type == "LayerNorm":
        _scale_norm(graph, joint, factors)
    elif maker.op_type == "MatMul":
        _scale(graph, maker, 1, 1 / factors)
        if joint.bias is not None:
            position = 1 if constant(joint.bias.inputs[1]) is not None else 0
            _scale(graph, joint.bias, position, 1 / factors)
    else:
        weights = _weights(maker)
        assert weights is not None
        _scale(graph, maker, 1, 1 / factors.reshape(-1, *([1] * (weights.ndim - 1))))
        if len(maker.inputs) > 2:
            _scale(graph, maker, 2, 1 / factors)
    for node in joint.readers:
        _scale(graph, node, 1, _reader_factors(node, factors))


def _reader_factors(node: ir.Node, factors: Array) -> Array:
    """The factors in the shape in which they multiply a reader's weights."""
    if node.op_type == "MatMul":
        return factors[:, None]
    weights = _weights(node)
    assert weights is not None
    per_group = factors.reshape(_group(node), -1)
    rows = np.repeat(per_group, len(weights) // _group(node), axis=0)
    return np.asarray(rows.reshape(*rows.shape, *([1] * (weights.ndim - 2))))


def _scale_norm(graph: ir.Graph, joint: _Joint, factors: Array) -> None:
    """Scale a LayerNorm; a copy of it, when its value has readers of other kinds."""
    norm, value = joint.maker, joint.value
    shape = [1] * (rank(value) or 0)
    shape[joint.axis] = -1
    if value.is_graph_output() or {use.node for use in value.uses()} != set(joint.readers):
        name = unique_name(graph, f"{value.name}_scaled")
        copy = ir.node("LayerNorm", norm.inputs, norm.attributes, domain=DOMAIN, name=name)
        copy.outputs[0].name = name
        copy.outputs[0].type, copy.outputs[0].shape = value.type, value.shape
        graph.insert_after(norm, copy)
        for node in joint.readers:
            node.replace_input_with(0, copy.outputs[0])
        norm = copy
    for position in (1, 2):
        _scale(graph, norm, position, 1 / factors.reshape(shape))


def _scale(graph: ir.Graph, node: ir.Node, position: int, factors: Array) -> None:
    """Multiply a constant input, which others may share, by something broadcast-ready."""
    old = node.inputs[position]
    array = constant(old)
    assert old is not None
    assert array is not None
    scaled = (array.astype(np.float64) * factors).astype(array.dtype)
    node.replace_input_with(position, add_constant(graph, f"{old.name}_scaled", scaled))
