"""Products of two tensors, and softmax."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from actc.bounds import affine, tensors
from actc.bounds.affine import SLACK, Form, Space
from actc.bounds.interval import HALF_ULP

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

_KERNEL = 2.0**-20
"""Relative error of float32 softmax beyond that of its sum: two exponentials, a division."""


def product_shape(a: Shape, b: Shape) -> Shape:
    """The shape of a @ b."""
    return (*np.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])


def products(space: Space, a: Form, left: Shape, b: Form, right: Shape) -> tuple[Form, Shape]:
    """a @ b, and its shape; what is not linear becomes fresh symbols."""
    shape = product_shape(left, right)
    full = (*shape, left[-1])
    space.require(math.prod(full), max(a.generators.shape[1], b.generators.shape[1]))
    rows = np.broadcast_to(tensors.positions(left)[..., :, None, :], full)
    columns = np.swapaxes(tensors.positions(right), -1, -2)[..., None, :, :]
    columns = np.broadcast_to(columns, full)
    terms = affine.product(affine.gathered(a, rows), affine.gathered(b, columns))
    matrix, _ = tensors.summation(full, [len(full) - 1], keepdims=False)
    return affine.promoted(space, affine.linear(space, matrix, terms)), shape


def magnitude(a: Form, left: Shape, b: Form, right: Shape) -> Array:
    """|a| @ |b|, rounded up."""
    found = a.magnitude().reshape(left) @ b.magnitude().reshape(right)
    return np.asarray(found.reshape(-1) * (1 + SLACK))


def _others(bottom: Array, top: Array, axis: int) -> tuple[Array, Array]:
    """Least of the lower and largest of the upper bounds of all other entries along an axis."""
    count = bottom.shape[axis]
    low, high = np.full_like(bottom, np.inf), np.full_like(top, -np.inf)
    for shift in range(1, count):
        low = np.minimum(low, np.roll(bottom, shift, axis))
        high = np.maximum(high, np.roll(top, shift, axis))
    return (low, high) if count > 1 else (np.zeros_like(low), np.zeros_like(high))


def softmax(space: Space, x: Form, shape: Shape, axis: int) -> Form:
    """Softmax in float32: the range of each entry, with a fresh symbol."""
    low, high = (end.reshape(shape) for end in x.range())
    top = high.max(axis=axis, keepdims=True)
    ends = []
    for own, other in ((low, high), (high, low)):
        powers, mine = np.exp(other - top), np.exp(own - top)
        rest = powers.sum(axis=axis, keepdims=True) - powers
        ends.append(mine / (mine + rest))
    error = _KERNEL + (shape[axis] + 2) * HALF_ULP
    bottom, upper = ends[0] * (1 - error) - 1e-12, ends[1] * (1 + error) + 1e-12
    return affine.box(space, bottom.reshape(-1), upper.reshape(-1))


def softmax_difference(
    y: Form, apart: Form, shape: Shape, axis: int, table: Array, step: float
) -> Form:
    """Golden's softmax less the float one, whose result is `y`.

    The logit of an entry moves by its own difference less a weighted mean of those of the
    others; a sigmoid at p that moves by d gains at most tanh(|d| / 4), and p (1 - p) d where
    the slope p (1 - p) is largest on the way.

    Args:
        apart: golden less float, of the scores.
        table: golden's exponentials of the distance to the largest code.
        step: real distance of two codes.
    """
    low, high = (end.reshape(shape) for end in apart.range())
    others = _others(low, high, axis)
    moves = np.maximum(np.abs(low - others[1]), np.abs(high - others[0]))
    if shape[axis] == 1:
        moves = np.zeros_like(moves)
    bottom, top = (np.clip(end.reshape(shape), 0.0, 1.0) for end in y.range())
    factor = np.exp(np.minimum(moves, 50.0))
    top = np.minimum(top * factor / (1 + top * (factor - 1)), 1.0)
    bottom = bottom / (bottom + (1 - bottom) * factor)
    middle = np.clip(0.5, bottom, top)
    change = np.minimum(np.tanh(moves / 4), middle * (1 - middle) * moves)
    change += 4 * _KERNEL * moves  # `y` is what float32 gives, not the exact softmax
    change = change * (1 + SLACK) + _table_error(table, step, shape[axis]) + 1e-12
    return affine.loosened(affine.exact(np.zeros(y.size)), change.reshape(-1))


def _table_error(table: Array, step: float, length: int) -> float:
    """What the rounded exponentials, and float32 on both sides, may change in a softmax."""
    exact = np.exp(-step * np.arange(len(table)))
    wrong = np.abs(table / float(table[0]) - exact)
    # (a + e) / (S + E) - a / S with S >= 1: at most e + a E / S, E = sum of e
    largest = float(wrong.max())
    if length * largest > 0.5:
        return 1.0
    absolute = largest * (1 + length) / (1 - length * largest)
    return absolute * (1 + SLACK) + _KERNEL + (length + 3) * HALF_ULP
