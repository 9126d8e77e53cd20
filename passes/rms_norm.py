"""Root mean square normalization and division by the length, as actc::RmsNorm.

x / sqrt(mean(x^2) + eps) * gamma (Zhang and Sennrich, 2019); with gamma = 1 / sqrt(n) it is
x / |x|, which embeddings end with.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.graph import add_constant, constant, dims
from actc.passes.rewriter import Rewriter

Array = np.ndarray[Any, Any]

_TOLERANCE = 2e-4
_LEAST = 1e-24
"""Epsilon of a division by the length alone: a vector of zeros stays zero."""


def fit_rms_norm(x: Array, y: Array, axis: int, numbers: list[float]) -> tuple[Array, float] | None:
    """(gamma, epsilon) with y = x / sqrt(mean(x^2) + epsilon) * gamma along `axis`, else None.

    Args:
        x, y: arrays of one shape.
        numbers: what epsilon may be.
    """
    x64, size = x.astype(np.float64), x.shape[axis]
    if size < 2 or not np.isfinite(y).all() or not y.any():
        return None
    square = (x64**2).mean(axis=axis, keepdims=True)
    targets = np.moveaxis(y.astype(np.float64), axis, 0).reshape(size, -1)
    best: tuple[float, Array, float] | None = None
    for epsilon in numbers:
        normal = np.moveaxis(x64 / np.sqrt(square + epsilon), axis, 0).reshape(size, -1)
        gamma = (normal * targets).sum(axis=1) / (normal**2).sum(axis=1)
        error = float(np.abs(normal * gamma[:, None] - targets).max())
        if best is None or error < best[0]:
            best = error, gamma, epsilon
    if best is None or best[0] > _TOLERANCE * float(np.abs(y).max()):
        return None
    return best[1], max(best[2], _LEAST)


def rms_norm(
    graph: ir.Graph, source: ir.Value, gamma: Array, axis: int, epsilon: float, name: str
) -> ir.Node:
    """actc::RmsNorm of `source` along `axis`; `gamma` [extent of the axis]."""
    shape = [1] * len(dims(source) or ())
    shape[axis] = -1
    factor = gamma.reshape(shape).astype(np.float32)
    inputs = [source, add_constant(graph, f"{name}_gamma", factor)]
    attributes = {"axis": axis, "epsilon": float(epsilon)}
    return ir.node("RmsNorm", inputs, attributes, domain=DOMAIN, name=name)


def flatten_rms_normalization(model: ir.Model, node: ir.Node) -> None:
    """RMSNormalization -> actc::RmsNorm; over several axes, of them made one."""
    x, shape, gamma = node.inputs[0], dims(node.inputs[0]), constant(node.inputs[1])
    given, epsilon = node.attributes.get("axis"), node.attributes.get("epsilon")
    if x is None or shape is None or gamma is None:
        return
    axis = (-1 if given is None else given.as_int()) % len(shape)
    several = axis < len(shape) - 1
    if axis == 0 or None in shape[1 if several else axis :]:
        return
    rewriter = Rewriter(model.graph, node)
    normalized = [extent or 0 for extent in shape[axis:]]
    wide = np.broadcast_to(gamma, normalized).reshape(*[1] * axis, -1)
    if several:
        folded = [shape[0] or -1, *(extent or 0 for extent in shape[1:axis]), wide.size]
        x = rewriter.emit("Reshape", [x, rewriter.integers("folded", folded)])
        _shaped(x, folded)
    attributes = {"axis": axis, "epsilon": 1e-5 if epsilon is None else epsilon.as_float()}
    factor = rewriter.constant("gamma", np.ascontiguousarray(wide, np.float32))
    y = rewriter.emit("RmsNorm", [x, factor], attributes, DOMAIN)
    y.type, y.shape = x.type, x.shape
    if several:
        whole = [shape[0] or -1, *(extent or 0 for extent in shape[1:])]
        y = rewriter.emit("Reshape", [y, rewriter.integers("shape", whole)])
        _shaped(y, whole)
    rewriter.finish(y)


def _shaped(value: ir.Value, shape: list[int]) -> None:
    value.type = ir.TensorType(ir.DataType.FLOAT)
    value.shape = ir.Shape(["N" if shape[0] == -1 else shape[0], *shape[1:]])
