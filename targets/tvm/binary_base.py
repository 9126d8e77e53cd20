"""The numbers that turn counts of differing signs into sums or bits. Pure Python.

With b the bit of an input, d = high - low, and s the sign of a weight (u = 1 for plus), a product
is ``size * s * (low - zero + d * b)``. Summed over the taps inside the map, and with 0 for b
outside, that is

    sum = bias + (low - zero) * size * sum(s, inside) + step * pluses - step * count

where ``step = size * d``, `pluses` counts the weights with s = +1, and `count` those not zero
with u != b. All but the last term is a constant per channel and class of pixels, which differ in
the taps that lie inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actc.ir.binary import BinaryLayer, Threshold
from actc.targets.tvm.plan import Array
from actc.targets.tvm.planner import Unsupported


@dataclass(frozen=True, eq=False)
class Geometry:
    """Weights (O, C, kh, kw) and how their window walks over a map (height, width)."""

    weight: Array
    map: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]

    @property
    def out(self) -> tuple[int, int]:
        """Height and width of the output."""
        height, width = (self._extent(axis) for axis in (0, 1))
        return height, width

    def _extent(self, axis: int) -> int:
        window = self.dilations[axis] * (int(self.weight.shape[2 + axis]) - 1) + 1
        room = self.map[axis] + self.pads[axis] + self.pads[2 + axis] - window
        return room // self.strides[axis] + 1

    def inside(self, axis: int) -> Array:
        """Whether a tap lies inside the map; bool (outputs, taps) along one axis."""
        first = np.arange(self.out[axis]) * self.strides[axis] - self.pads[axis]
        taps = np.arange(self.weight.shape[2 + axis]) * self.dilations[axis]
        at = first[:, None] + taps
        found: Array = (at >= 0) & (at < self.map[axis])
        return found


def rows_of_pixels(geometry: Geometry, matters: bool) -> tuple[list[Array], Array]:
    """The distinct sets of taps inside the map, and which of them each output pixel has.

    Args:
        matters: whether a tap outside differs from one inside whose bit is 0.

    Returns:
        bool (kh, kw) per class, and the class of each pixel, row by row.
    """
    height, width = geometry.out
    if not matters or not any(geometry.pads):
        return [np.ones(geometry.weight.shape[2:], bool)], np.zeros(height * width, np.int64)
    (own_rows, row), (own_columns, column) = (
        np.unique(geometry.inside(axis), axis=0, return_inverse=True) for axis in (0, 1)
    )
    classes = [np.logical_and.outer(r, c) for r in own_rows for c in own_columns]
    places = row.reshape(-1, 1) * len(own_columns) + column.reshape(1, -1)
    return classes, places.reshape(-1)


def sums(geometry: Geometry, layer: BinaryLayer, classes: list[Array]) -> Array:
    """What a count is taken from, int64 (classes, O).

    Raises:
        Unsupported: a sum might leave int32.
    """
    signs = np.sign(geometry.weight.astype(np.int64))
    step = layer.size * (layer.high - layer.low)
    offset = layer.size * (layer.low - layer.zero)
    pluses = (signs > 0).sum(axis=(1, 2, 3))
    per_tap = signs.sum(axis=1)
    rows = [
        layer.bias.astype(np.int64) + offset * (per_tap * inside).sum(axis=(1, 2)) + step * pluses
        for inside in classes
    ]
    base = np.stack(rows)
    reach = int(np.abs(base).max()) + step * int(signs[0].size)
    if reach >= 2**31:
        raise Unsupported(f"an accumulator may reach {reach}, beyond int32", code="ACT0404")
    return base


def limits(base: Array, signs: Array, step: int, found: Threshold) -> tuple[Array, Array]:
    """The largest count that gives a 1, and the signs with which to count.

    A channel that falls counts the equal signs instead: its weights change sign.

    Args:
        base: int64 (classes, O), of sums. signs: (O, C, kh, kw). step: of a sum per count.
        found: a threshold for each of the O channels.

    Returns:
        int64 (classes, O) and signs.
    """
    # A point beyond all sums stays so, and the difference stays within int64.
    points = np.clip(found.points, -(2**40), 2**40)
    largest = (base - points) // step
    total = np.count_nonzero(signs, axis=(1, 2, 3))
    limit = np.where(found.rising, largest, total - 1 - largest)
    turned = np.where(found.rising[:, None, None, None], signs, -signs)
    return np.clip(limit, -1, 2**31 - 1), turned
