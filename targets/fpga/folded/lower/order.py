"""The order of a stream's elements, as a reshape and a transpose of the tensor that it carries."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from math import prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Integers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Order:
    """``tensor.reshape(shape).transpose(axes)`` is rows, columns, channels of the stream.

    Attributes:
        shape: of one sample, in the order of the tensor.
        axes: which of them are rows, columns and channels.
    """

    shape: tuple[int, int, int]
    axes: tuple[int, int, int]

    @classmethod
    def of(cls, places: Integers) -> Order | None:
        """The order in which a stream takes elements of a tensor, None if it has no such form.

        Args:
            places: [rows, columns, channels]: each element's place in the tensor.
        """
        for axes in permutations(range(3)):
            shape = [0, 0, 0]
            for extent, axis in zip(places.shape, axes, strict=True):
                shape[axis] = extent
            if np.array_equal(np.arange(places.size).reshape(shape).transpose(axes), places):
                return cls((shape[0], shape[1], shape[2]), (axes[0], axes[1], axes[2]))
        return None

    @property
    def stream(self) -> tuple[int, int, int]:
        """Rows, columns, channels."""
        rows, columns, channels = (self.shape[axis] for axis in self.axes)
        return rows, columns, channels

    @property
    def places(self) -> Integers:
        """The place in the tensor of each element of the stream."""
        tensor = np.arange(prod(self.shape)).reshape(self.shape)
        found: Integers = tensor.transpose(self.axes)
        return found

    def permutes(self, shape: tuple[int, ...]) -> bool:
        """Whether it only permutes the axes of a tensor, or leaves its elements as they are."""
        moved = [axis for axis in self.axes if self.shape[axis] > 1]
        own, seen = ([e for e in extents if e > 1] for extents in (shape, self.shape))
        return moved == sorted(moved) or own == seen

    def to_stream(self, tensor: Array) -> Array:
        """[samples, rows, columns, channels] of a tensor [samples, ...]."""
        shaped = tensor.reshape(len(tensor), *self.shape)
        found: Array = shaped.transpose(0, *(axis + 1 for axis in self.axes))
        return found

    def to_tensor(self, stream: Array, shape: tuple[int, ...]) -> Array:
        """The tensor [samples, *shape] that a stream carries."""
        back = np.argsort(self.axes)
        shaped = stream.reshape(len(stream), *self.stream)
        found: Array = shaped.transpose(0, *(int(axis) + 1 for axis in back))
        return found.reshape(len(stream), *shape)

    def to_json(self) -> dict[str, list[int]]:
        """With stable keys."""
        return {"shape": list(self.shape), "axes": list(self.axes)}


def inverse(places: Integers) -> Integers:
    """Of places that are all different, from 0 on: the place of each place; flat."""
    found = np.empty(places.size, np.int64)
    found[places.reshape(-1)] = np.arange(places.size)
    return found
