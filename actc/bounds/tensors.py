"""Operators as index maps and matrices on flattened tensors of one sample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from scipy import sparse

from actc.bounds.affine import Matrix
from actc.ir.execute import run_nodes
from actc.ir.spec.shared import windows

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

_DENSE = 0.2
"""Share of entries from which a dense matrix is faster."""


def positions(shape: Shape) -> Array:
    """The position of each number of a tensor, in its shape."""
    return np.arange(math.prod(shape)).reshape(shape)


def moved(model: ir.Model, node: ir.Node, shapes: Mapping[ir.Value, Shape]) -> list[Array]:
    """Where the outputs of an operator that only moves numbers take them from.

    Args:
        shapes: of its inputs that are no constants; their numbers count on from one to
            the next, in this order.

    Returns:
        positions in the shape of each output; -1 where it puts a 0.

    Raises:
        ExecutionError: onnxruntime cannot run it on one sample.
    """
    feeds, start = {}, 1
    for value, shape in shapes.items():
        feeds[value] = (positions(shape) + start).astype(np.float32)  # exact below 2^24
        start += math.prod(shape)
    found = run_nodes(model, [node], feeds, list(node.outputs))
    return [array.astype(np.int64) - 1 for array in found]


def basis(model: ir.Model, node: ir.Node, source: ir.Value, shape: Shape) -> tuple[Matrix, Shape]:
    """The matrix of an operator that is linear in `source`, and the shape of its result."""
    count = math.prod(shape)
    units = np.eye(count, dtype=np.float32).reshape(count, *shape[1:])
    (found,) = run_nodes(model, [node], {source: units}, [node.outputs[0]])
    matrix = found.reshape(count, -1).T.astype(np.float64)
    return compact(sparse.csr_array(matrix)), (1, *found.shape[1:])


def taps(
    shape: Shape,
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
    ceil_mode: bool = False,
) -> Array:
    """Positions that each window reads, [1, C, *out, *kernel]; -1 stands for padding."""
    spatial = len(kernel)
    widths = [(0, 0), (0, 0)]
    for i in range(spatial):
        span = (kernel[i] - 1) * dilations[i] + 1
        size = shape[2 + i] + pads[i] + pads[i + spatial]
        extra = 0
        if ceil_mode:
            steps = math.ceil((size - span) / strides[i])
            if steps * strides[i] >= shape[2 + i] + pads[i]:
                steps -= 1  # a window may not start in the padding
            extra = max(0, steps * strides[i] + span - size)
        widths.append((pads[i], pads[i + spatial] + extra))
    padded = np.pad(positions(shape), widths, constant_values=-1)
    return np.asarray(windows(padded, kernel, strides, dilations))


def convolution(shape: Shape, weights: Array, group: int, **window: Any) -> tuple[Matrix, Shape]:
    """A convolution as a matrix, and the shape of its result.

    Args:
        shape: of its input, [1, C, ...].
        weights: float64 [O, C/group, *kernel].
        window: strides, pads and dilations.
    """
    spatial = weights.ndim - 2
    found = taps(shape, weights.shape[2:], **window)[0]
    out = found.shape[1 : 1 + spatial]
    inner, outer = weights.shape[1], weights.shape[0] // group
    places = math.prod(out)
    found = found.reshape(group, 1, inner, places, -1)
    kernels = weights.reshape(group, outer, inner, 1, -1)
    rows = np.arange(weights.shape[0] * places).reshape(group, outer, 1, places, 1)
    full = np.broadcast_shapes(found.shape, kernels.shape, rows.shape)
    columns, values, rows = (
        np.broadcast_to(part, full).reshape(-1) for part in (found, kernels, rows)
    )
    used = (columns >= 0) & (values != 0)
    sizes = (weights.shape[0] * places, math.prod(shape))
    matrix = sparse.coo_array((values[used], (rows[used], columns[used])), shape=sizes)
    return compact(matrix.tocsr()), (1, weights.shape[0], *out)


def multiplication(shape: Shape, weights: Array) -> tuple[Matrix, Shape]:
    """x @ weights along the last axis of x as a matrix, and the shape of its result."""
    rows = math.prod(shape[:-1])
    result = (*shape[:-1], weights.shape[1])
    if rows == 1:
        return np.ascontiguousarray(weights.T), result
    return compact(sparse.kron(sparse.eye_array(rows), weights.T, format="csr")), result


def summation(shape: Shape, axes: Sequence[int], keepdims: bool) -> tuple[Matrix, Shape]:
    """A sum over axes as a matrix, and the shape of its result."""
    found = tuple(sorted(axis % len(shape) for axis in axes))
    kept = tuple(1 if axis in found else extent for axis, extent in enumerate(shape))
    rows = np.broadcast_to(positions(kept), shape).reshape(-1)
    columns = np.arange(math.prod(shape))
    matrix = sparse.coo_array(
        (np.ones(len(rows)), (rows, columns)), shape=(math.prod(kept), math.prod(shape))
    )
    left = tuple(extent for axis, extent in enumerate(shape) if axis not in found)
    return compact(matrix.tocsr()), kept if keepdims else left


def along(shape: Shape, axes: Sequence[int], keepdims: bool) -> tuple[Array, Shape]:
    """Positions that a reduction over axes reads, [numbers, taps], and its shape."""
    found = sorted(axis % len(shape) for axis in axes)
    kept = [axis for axis in range(len(shape)) if axis not in found]
    index = np.transpose(positions(shape), [*kept, *found])
    left = tuple(shape[axis] for axis in kept)
    full = tuple(1 if axis in found else extent for axis, extent in enumerate(shape))
    return index.reshape(math.prod(left), -1), full if keepdims else left


def compact(matrix: sparse.csr_array) -> Matrix:
    """A dense array when few entries are 0."""
    entries = matrix.shape[0] * matrix.shape[1]
    return matrix.toarray() if matrix.nnz > _DENSE * entries else matrix


def longest_row(matrix: Matrix) -> int:
    """Most entries of a row that are not 0."""
    if isinstance(matrix, np.ndarray):
        return int((matrix != 0).sum(axis=1).max(initial=0))
    return int(np.diff(matrix.indptr).max(initial=0))
