"""Find normalizations and softmax, however they are written.

Like activations, they are found by what they compute: a closed sub-graph with
reductions is run on a few random tensors and compared with the definition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.elementwise import is_elementwise
from actc.ir.execute import ExecutionError, run_nodes
from actc.ir.graph import add_constant, constant, dims, is_op, remove_dead
from actc.passes.base import Pass
from actc.passes.bases import bases
from actc.passes.magnitude import magnitudes
from actc.passes.masks import mask_softmaxes
from actc.passes.norms import flatten_normalizations, split_norms
from actc.passes.rms_norm import fit_rms_norm, rms_norm

Array = np.ndarray[Any, Any]

_REDUCTIONS = (
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceSumSquare",
    "ReduceL2",
    "ReduceLogSumExp",
)
_MOVES = ("Reshape", "Expand", "Squeeze", "Unsqueeze")
_SCALES = (1.0, 0.1, 0.01, 3.0)
"""Sizes of the random tensors: small ones tell one epsilon from another."""
_OPEN = 5
"""Extent of the random tensors along an open axis but the batch."""
_STEPS_BACK = 3
_TOLERANCE = 2e-4


@dataclass(frozen=True, slots=True)
class Structure(Pass):
    """Rules:

    1. A closed sub-graph with reductions that computes softmax or its logarithm along
       one axis becomes Softmax or LogSoftmax; so does Log of a Softmax.
    2. One that computes (x - mean) / sqrt(variance + eps) * gamma + beta along one
       axis becomes actc::LayerNorm; so do LayerNormalization, GroupNormalization and
       InstanceNormalization, with the axes that they normalize made one. One that
       computes x / sqrt(mean(x^2) + eps) * gamma, or x divided by its length, becomes
       actc::RmsNorm, as RMSNormalization does.
    3. ReduceL1, ReduceL2 and ReduceSumSquare are split around their sum.
    4. sqrt(a^2 + b^2) becomes actc::Hypot.
    5. Softmax of masked scores becomes actc::MaskedSoftmax of the scores and a mask.
    6. Many functions of one number, side by side along a last axis, as splines have
       them, become elementwise functions of the number repeated.
    """

    name: ClassVar[str] = "structure"
    preserves: ClassVar[str] = "function"

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rules."""
        flatten_normalizations(model)
        _standard_layer_norms(model)
        for node in list(model.graph):
            if node.graph is None or not is_op(node, *_REDUCTIONS):
                continue
            if any(_try_source(model, source) for source in _sources(node)):
                remove_dead(model.graph)
        _log_softmaxes(model.graph)
        bases(model)  # behind normalizations, whose factors per channel look like bases
        split_norms(model)
        magnitudes(model)
        mask_softmaxes(model)
        remove_dead(model.graph)
        return ir.passes.PassResult(model, modified=True)


def _sources(reduction: ir.Node) -> list[ir.Value]:
    """What a reduction reads, and what that is computed from, elementwise: nearest first."""
    found: list[ir.Value] = []
    value = reduction.inputs[0]
    while value is not None and len(found) < _STEPS_BACK:
        found.append(value)
        node = value.producer()
        if node is None or not is_elementwise(node):
            break
        variable = {v for v in node.inputs if v is not None and constant(v) is None}
        value = variable.pop() if len(variable) == 1 else None
    return found


def _try_source(model: ir.Model, source: ir.Value) -> bool:
    """Look for a normalization of `source`; whether one was found and replaced."""
    shape = dims(source)
    if shape is None or len(shape) < 2 or source.dtype != ir.DataType.FLOAT:
        return False
    nodes, candidates = _closure(model.graph, source)
    x = _samples(shape) if candidates else np.empty(0)
    results = _results(model, nodes, candidates, source, x)
    numbers = _small_constants(nodes)
    return any(
        _replaced(model, source, value, axis, (x, y, numbers))
        for value, y in reversed(list(zip(candidates, results, strict=True)))
        for axis in range(1, len(shape))
        if y.shape == x.shape
    )


def _results(
    model: ir.Model,
    nodes: list[ir.Node],
    candidates: list[ir.Value],
    source: ir.Value,
    x: Array,
) -> list[Array]:
    """What `candidates` are for `x`, run in whole batches."""
    shape = dims(source) or ()
    batch = shape[0] or len(x) or 1
    try:
        parts = [
            run_nodes(model, nodes, {source: x[start : start + batch]}, candidates)
            for start in range(0, len(x), batch)
        ]
    except ExecutionError:
        if None not in shape[1:]:
            raise
        return [np.empty(0) for _ in candidates]  # open axes here need not fit together
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def _replaced(
    model: ir.Model,
    source: ir.Value,
    value: ir.Value,
    axis: int,
    found: tuple[Array, Array, list[float]],
) -> bool:
    """Whether a value is a normalization of `source` along an axis, and replaced by it.

    Args:
        found: samples of `source`, what `value` is for them, and what epsilon may be.
    """
    x, y, numbers = found
    softmax = _matching_softmax(x, y, axis)
    if softmax:
        _put_softmax(model, source, value, axis, softmax)
        return True
    if (dims(source) or ())[axis] is None:
        return False
    fitted = _fit_layer_norm(x, y, axis, numbers)
    if fitted is not None:
        _put_layer_norm(model, source, value, axis, *fitted)
        return True
    rms = fit_rms_norm(x, y, axis, numbers)
    if rms is not None:
        _put_rms_norm(model, source, value, axis, *rms)
        return True
    return False


def _closure(graph: ir.Graph, source: ir.Value) -> tuple[list[ir.Node], list[ir.Value]]:
    """Nodes that depend on `source` alone, and their values of its shape behind a reduction."""
    reduced: dict[ir.Value, bool] = {source: False}
    nodes, candidates = [], []
    for node in graph:
        variable = [v for v in node.inputs if v is not None and constant(v) is None]
        if not variable or any(v not in reduced for v in variable):
            continue
        behind = any(reduced[v] for v in variable)
        moves = is_op(node, *_MOVES) and behind
        if not (is_elementwise(node) or is_op(node, *_REDUCTIONS) or moves):
            continue
        nodes.append(node)
        for value in node.outputs:
            reduced[value] = behind or is_op(node, *_REDUCTIONS)
            if reduced[value] and dims(value) == dims(source) and value.dtype == source.dtype:
                candidates.append(value)
    return nodes, candidates


def _samples(shape: tuple[int | None, ...]) -> Array:
    """Random tensors of every size in _SCALES: as many whole batches as that takes."""
    generator = np.random.default_rng(1)
    batch = shape[0] or 1
    count = batch * -(-len(_SCALES) // batch)
    x = generator.standard_normal((count, *(s or _OPEN for s in shape[1:])))
    factors = np.resize(np.array(_SCALES), count).reshape(-1, *([1] * (len(shape) - 1)))
    return ((x + 0.3) * factors).astype(np.float32)


def _small_constants(nodes: list[ir.Node]) -> list[float]:
    """Scalars that could be an epsilon."""
    numbers = {0.0, 1e-5, 1e-6, 1e-12}
    for node in nodes:
        for value in node.inputs:
            array = constant(value)
            if array is not None and array.size == 1 and 0 < float(array.reshape(-1)[0]) < 0.1:
                numbers.add(float(array.reshape(-1)[0]))
    return sorted(numbers)


def _matching_softmax(x: Array, y: Array, axis: int) -> str:
    """The operator that gives `y`: "Softmax", "LogSoftmax", or ""."""
    x64 = x.astype(np.float64)
    below = x64 - x64.max(axis=axis, keepdims=True)
    total = np.exp(below).sum(axis=axis, keepdims=True)
    if np.allclose(y, np.exp(below) / total, rtol=1e-4, atol=1e-7):
        return "Softmax"
    return "LogSoftmax" if np.allclose(y, below - np.log(total), rtol=1e-4, atol=1e-5) else ""


def _log_softmaxes(graph: ir.Graph) -> None:
    """Log of a Softmax -> LogSoftmax of the same scores."""
    for node in list(graph):
        source = node.inputs[0] if is_op(node, "Log") else None
        softmax = None if source is None else source.producer()
        if softmax is not None and is_op(softmax, "Softmax"):
            new = ir.node(
                "LogSoftmax", softmax.inputs[:1], dict(softmax.attributes), name=node.name
            )
            _put(graph, new, node, node.outputs[0])


def _fit_layer_norm(
    x: Array, y: Array, axis: int, numbers: list[float]
) -> tuple[Array, Array, float] | None:
    """(gamma, beta, epsilon) with y = layer norm of x along `axis`, else None."""
    x64, size = x.astype(np.float64), x.shape[axis]
    if size < 2 or not np.isfinite(y).all():
        return None
    centred = x64 - x64.mean(axis=axis, keepdims=True)
    variance = (centred**2).mean(axis=axis, keepdims=True)
    best: tuple[float, Array, Array, float] | None = None
    for epsilon in numbers:
        normal = centred / np.sqrt(variance + epsilon)
        rows = np.moveaxis(normal, axis, 0).reshape(size, -1)
        targets = np.moveaxis(y.astype(np.float64), axis, 0).reshape(size, -1)
        mean_row = rows.mean(axis=1, keepdims=True)
        mean_target = targets.mean(axis=1, keepdims=True)
        spread = ((rows - mean_row) ** 2).sum(axis=1)
        if np.any(spread == 0):
            return None
        gamma = ((rows - mean_row) * (targets - mean_target)).sum(axis=1) / spread
        beta = mean_target[:, 0] - gamma * mean_row[:, 0]
        error = float(np.abs(rows * gamma[:, None] + beta[:, None] - targets).max())
        if best is None or error < best[0]:
            best = (error, gamma, beta, epsilon)
    if best is None:
        return None
    error, gamma, beta, epsilon = best
    # Measured against what is left without the offset, or any small function would fit.
    spread = np.abs(np.moveaxis(y, axis, -1) - beta).max()
    if error > _TOLERANCE * float(spread) + 1e-6 * float(np.abs(y).max()):
        return None
    return gamma, beta, epsilon


def _put_softmax(
    model: ir.Model, source: ir.Value, old: ir.Value, axis: int, operator: str
) -> None:
    producer = old.producer()
    assert producer is not None
    node = ir.node(operator, [source], {"axis": axis}, name=producer.name)
    _put(model.graph, node, producer, old)


def _put_layer_norm(
    model: ir.Model,
    source: ir.Value,
    old: ir.Value,
    axis: int,
    gamma: Array,
    beta: Array,
    epsilon: float,
) -> None:
    producer, value_rank = old.producer(), len(dims(old) or ())
    assert producer is not None
    shape = [1] * value_rank
    shape[axis] = -1
    name = str(producer.name)
    node = ir.node(
        "LayerNorm",
        [
            source,
            add_constant(model.graph, f"{name}_gamma", gamma.reshape(shape).astype(np.float32)),
            add_constant(model.graph, f"{name}_beta", beta.reshape(shape).astype(np.float32)),
        ],
        {"axis": axis, "epsilon": float(epsilon)},
        domain=DOMAIN,
        name=name,
    )
    _put(model.graph, node, producer, old)


def _put_rms_norm(
    model: ir.Model, source: ir.Value, old: ir.Value, axis: int, gamma: Array, epsilon: float
) -> None:
    producer = old.producer()
    assert producer is not None
    node = rms_norm(model.graph, source, gamma, axis, epsilon, str(producer.name))
    _put(model.graph, node, producer, old)


def _put(graph: ir.Graph, node: ir.Node, producer: ir.Node, old: ir.Value) -> None:
    graph.insert_after(producer, node)
    new = node.outputs[0]
    new.type, new.shape = old.type, old.shape
    name = old.name
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    old.name = f"{name}_before" if old.producer() is not None else None
    new.name = name


def _standard_layer_norms(model: ir.Model) -> None:
    for node in list(model.graph):
        if not is_op(node, "LayerNormalization") or any(o.uses() for o in node.outputs[1:]):
            continue
        shape = dims(node.inputs[0])
        gamma = constant(node.inputs[1])
        beta = constant(node.inputs[2]) if len(node.inputs) > 2 else None
        axis_attribute, epsilon = node.attributes.get("axis"), node.attributes.get("epsilon")
        axis = -1 if axis_attribute is None else axis_attribute.as_int()
        if shape is None or gamma is None or axis % len(shape) != len(shape) - 1:
            continue
        source, old = node.inputs[0], node.outputs[0]
        assert source is not None
        size = gamma.size
        zeros = np.zeros(size, np.float32)
        _put_layer_norm(
            model,
            source,
            old,
            len(shape) - 1,
            gamma.reshape(-1),
            zeros if beta is None else beta.reshape(-1),
            1e-5 if epsilon is None else epsilon.as_float(),
        )
