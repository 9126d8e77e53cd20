"""Root mean square normalization and division by the length, as actc::RmsNorm.

x / sqrt(mean(x^2) + eps) * gamma (Zhang and Sennrich, 2019); with gamma = 1 / sqrt(n) it is
x / |x|, which embeddings end with.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.graph import add_constant, constant, dims, is_op
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


def flatten_rms_normalization(model: ir.Model, node: ir.Node, shape: list[int]) -> None:
    """RMSNormalization -> actc::RmsNorm; over several axes, of them made one.

    Args:
        shape: of its input; -1 for an open batch.
    """
    gamma = constant(node.inputs[1])
    given, epsilon = node.attributes.get("axis"), node.attributes.get("epsilon")
    axis = (-1 if given is None else given.as_int()) % len(shape)
    if gamma is None or axis == 0 or not is_op(node, "RMSNormalization"):
        return
    rewriter = Rewriter(model.graph, node)
    folded = [*shape[:axis], int(np.prod(shape[axis:]))]
    wide = np.broadcast_to(gamma, shape[axis:]).reshape(*[1] * axis, -1)
    several = axis < len(shape) - 1
    x = node.inputs[0]
    if several:
        x = rewriter.emit("Reshape", [x, rewriter.integers("folded", folded)])
        _shaped(x, folded)
    attributes = {"axis": axis, "epsilon": 1e-5 if epsilon is None else epsilon.as_float()}
    factor = rewriter.constant("gamma", np.ascontiguousarray(wide, np.float32))
    y = rewriter.emit("RmsNorm", [x, factor], attributes, DOMAIN)
    _shaped(y, folded)
    if several:
        y = rewriter.emit("Reshape", [y, rewriter.integers("shape", shape)])
        _shaped(y, shape)
    rewriter.finish(y)


def _shaped(value: ir.Value, shape: list[int]) -> None:
    value.type = ir.TensorType(ir.DataType.FLOAT)
    value.shape = ir.Shape(["N" if shape[0] == -1 else shape[0], *shape[1:]])
