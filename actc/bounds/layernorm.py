"""Layer normalization, in float32 and on the integers of golden.

With d = x - mean(x) along the axis and s = sqrt(mean(d^2) + epsilon), the result is
n * gamma + beta, n = d / s. For two inputs that differ by delta, s is a norm of the
vector (d / sqrt(N), sqrt(epsilon)), so the two s differ by at most the root mean square of
delta's d (and what the two epsilons' roots differ by)::

    n' - n = d(delta) / s' + n (s - s') / s'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from actc.bounds import affine, tensors
from actc.bounds.affine import SLACK, Form, Matrix, Space
from actc.bounds.interval import HALF_ULP, SMALLEST
from actc.bounds.operators import NotEnclosed

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Axis:
    """Where the numbers of a tensor stand that are normalized together.

    Attributes:
        groups: positions [groups, count].
        size: of the tensor.
    """

    groups: Array
    size: int

    @property
    def count(self) -> int:
        """Numbers that are normalized together."""
        return int(self.groups.shape[1])

    def centering(self) -> Matrix:
        """x -> x - mean(x)."""
        n = self.count
        rows = np.repeat(self.groups, n, axis=1).reshape(-1)
        columns = np.tile(self.groups, (1, n)).reshape(-1)
        values = np.where(rows == columns, 1 - 1 / n, -1 / n)
        shape = (self.size, self.size)
        return tensors.compact(sparse.coo_array((values, (rows, columns)), shape=shape).tocsr())

    def root_mean(self, squares: Array) -> Array:
        """Root of the mean of each group, at every position of it."""
        found = np.empty(self.size)
        found[self.groups] = np.sqrt(squares[self.groups].mean(axis=1, keepdims=True))
        return found


def axis_of(shape: Shape, axis: int) -> Axis:
    """The groups along an axis."""
    groups, _ = tensors.along(shape, [axis], keepdims=False)
    return Axis(groups, int(np.prod(shape)))


@dataclass(frozen=True, eq=False, slots=True)
class Normal:
    """d and n of a tensor; [n] each.

    Attributes:
        centered: d.
        spread: lower and upper bounds of s.
        largest: bound of |n|.
    """

    centered: Form
    spread: tuple[Array, Array]
    largest: Array


def normal(space: Space, x: Form, axis: Axis, epsilon: float) -> Normal:
    """Enclosures of d, s and |n|."""
    centered = affine.linear(space, axis.centering(), x)
    low, high = centered.range()
    squares = low**2, high**2
    least = np.where((low <= 0) & (high >= 0), 0.0, np.minimum(*squares))
    ends = [np.hypot(axis.root_mean(s), np.sqrt(epsilon)) for s in (least, np.maximum(*squares))]
    spread = ends[0] * (1 - SLACK), ends[1] * (1 + SLACK)
    reach = np.sqrt(np.maximum(*squares)) * (1 + SLACK)
    with np.errstate(divide="ignore", invalid="ignore"):
        largest = np.fmin(np.sqrt(axis.count), reach / spread[0]) * (1 + SLACK)
    return Normal(centered, spread, largest)


def quotient(d: Form, spread: tuple[Array, Array], largest: Array) -> Form:
    """d / s for s in `spread`, where |d / s| <= `largest`: a line through 0, or the range."""
    with np.errstate(divide="ignore", over="ignore"):
        ends = 1 / spread[1], 1 / spread[0]
    reach = np.abs(d.center) + d.radius()
    with np.errstate(invalid="ignore"):
        middle, half = ends[0] / 2 + ends[1] / 2, (ends[1] - ends[0]) / 2
        slack = half * reach * (1 + SLACK)
    bent = np.isfinite(slack) & (middle * d.radius() + slack < largest)
    line = affine.scaled(d, np.where(bent, middle, 0.0))
    return affine.loosened(line, np.where(bent, slack, largest))


def layer_norm(
    space: Space, x: Form, axis: Axis, gamma: Array, beta: Array, epsilon: float
) -> Form:
    """The float32 result.

    Raises:
        NotEnclosed: s may be as small as the rounding of float32.
    """
    found = normal(space, x, axis, epsilon)
    form = affine.promoted(space, quotient(found.centered, found.spread, found.largest))
    result = affine.scaled(form, gamma, beta)
    error = float_error(x, axis, found, gamma, beta)
    reach = np.abs(gamma) * found.largest * (1 + SLACK)
    low, high = (beta + sign * (reach + error) for sign in (-1, 1))
    low, high = low - SLACK * np.abs(low), high + SLACK * np.abs(high)
    return affine.limited(affine.loosened(result, error), low, high)


def float_error(x: Form, axis: Axis, found: Normal, gamma: Array, beta: Array) -> Array:
    """What float32 adds to the result: to d and to s, then by the quotient and the line.

    Raises:
        NotEnclosed: s may be as small as the rounding of float32.
    """
    size = np.empty(x.size)
    size[axis.groups] = x.magnitude()[axis.groups].max(axis=1, keepdims=True)
    absolute = (axis.count + 4) * HALF_ULP * 1.01 * size
    room = found.spread[0] - absolute
    if np.any(room <= 0):
        raise NotEnclosed("its variance may be as small as the rounding of float32")
    # Some runtimes take the variance as mean(x^2) - mean(x)^2.
    relative = 2 * absolute * size / room**2
    if np.any(relative > 0.5):
        raise NotEnclosed("its variance may be as small as the rounding of float32")
    wrong = absolute * (1 + found.largest) / room + relative * found.largest
    wrong += (axis.count + 12) * HALF_ULP * 1.01 * (found.largest + wrong)
    line = np.abs(gamma) * wrong + 4 * HALF_ULP * (np.abs(gamma) * found.largest + np.abs(beta))
    return np.asarray((line + SMALLEST) * (1 + SLACK))


@dataclass(frozen=True, eq=False, slots=True)
class Moved:
    """How far n of golden is from n of the float network.

    Attributes:
        form: golden less float.
        least: lower bound of golden's s, [n].
        normal: of the float network.
    """

    form: Form
    least: Array
    normal: Normal


def moved(space: Space, x: Form, delta: Form, axis: Axis, epsilon: float, other: float) -> Moved:
    """n of x + delta, with epsilon `other`, less n of x.

    Raises:
        NotEnclosed: s may be 0.
    """
    before = normal(space, x, axis, epsilon)
    after = normal(space, affine.total(x, delta), axis, other)
    apart = affine.linear(space, axis.centering(), delta)
    reach = np.abs(apart.center) + apart.radius()
    shift = axis.root_mean(reach**2) + abs(np.sqrt(other) - np.sqrt(epsilon))
    shift = shift * (1 + SLACK)
    least = np.maximum(after.spread[0], (before.spread[0] - shift) * (1 - SLACK))
    if np.any(least <= 0):
        raise NotEnclosed("its variance may be 0")
    most = np.minimum(after.spread[1], (before.spread[1] + shift) * (1 + SLACK))
    either = before.largest + after.largest
    first = quotient(apart, (least, np.maximum(most, least)), either)
    second = before.largest * shift / least * (1 + SLACK)
    both = affine.loosened(first, second)
    wide = np.abs(both.center) + both.radius() > either
    factor = np.where(wide, 0.0, 1.0)
    kept = affine.scaled(both, factor)
    return Moved(affine.loosened(kept, np.where(wide, either, 0.0)), least, before)
