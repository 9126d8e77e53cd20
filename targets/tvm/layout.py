"""How a tensor lies in memory: the order of its axes and the padding of the last.

Pure Python. The batch axis (logical axis 0) is always outermost; the other axes
may lie in any order, and the innermost may be padded. Channels-last is the
order (2, 3, 1) of a rank 4 tensor. Transposing is then never work, and a
reshape is work only if it splits or merges axes that do not lie together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from actc.targets.tvm.kernels.spec import padded

Shape = tuple[int | None, ...]
"""Logical shape; only the first entry may be None (a symbolic batch)."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor and its place in memory.

    Attributes:
        name: value name in the model.
        dtype: numpy name of the element type.
        shape: logical shape.
        axes: logical axes 1.. in physical order, innermost last.
        lanes: physical extent of the innermost axis, at least its logical one.
        batched: False for a constant, which every sample shares (shape[0] is 1).
    """

    name: str
    dtype: str
    shape: Shape
    axes: tuple[int, ...]
    lanes: int
    batched: bool = True

    @property
    def batch(self) -> int | None:
        """Extent of the batch axis, None when symbolic; 1 for a tensor without axes."""
        return self.shape[0] if self.shape else 1

    def extent(self, axis: int) -> int:
        """Logical extent of an axis other than the batch."""
        found = self.shape[axis]
        assert found is not None  # the planner refuses symbolic extents
        return found

    @property
    def physical(self) -> tuple[int, ...]:
        """Extents in memory of one sample, outermost first."""
        if not self.axes:
            return (1,)
        return (*(self.extent(axis) for axis in self.axes[:-1]), self.lanes)

    @property
    def size(self) -> int:
        """Elements of one sample in memory, padding included."""
        return math.prod(self.physical)

    def stride(self, axis: int) -> int:
        """Elements between neighbours along a logical axis; 0 for an axis of extent 1."""
        if self.extent(axis) == 1:
            return 0
        return math.prod(self.physical[self.axes.index(axis) + 1 :])

    @property
    def order(self) -> tuple[tuple[int, int], ...]:
        """What decides where an element lies: axes that occupy more than one place."""
        axes = self.axes or (0,)
        pairs = zip(axes, self.physical, strict=True)
        return tuple((axis, extent) for axis, extent in pairs if extent != 1)

    @property
    def plain(self) -> bool:
        """Whether the memory is row-major without padding."""
        return self.order == plain(self.name, self.dtype, self.shape).order


@dataclass(frozen=True, slots=True)
class Bits:
    """A tensor of two codes as packed bits; see kernels/binary_spec.py.

    Attributes:
        name: of the buffer.
        shape: logical shape of what the buffer holds.
        axis: of the channels: 1, or the last.
        low, high: the two codes; a bit is 1 for the high one.
        flat: whether the value is this tensor with all axes behind the batch joined.
    """

    name: str
    shape: Shape
    axis: int
    low: int
    high: int
    flat: bool = False

    @property
    def channels(self) -> int:
        """Bits of a pixel."""
        found = self.shape[self.axis]
        assert found is not None
        return found

    @property
    def map(self) -> tuple[int, int]:
        """Height and width."""
        rest = [d or 0 for a, d in enumerate(self.shape) if a not in (0, self.axis)]
        if len(rest) == 2 and self.axis == 1:
            return rest[0], rest[1]
        return 1, math.prod(rest)


def plain(name: str, dtype: str, shape: Shape) -> Tensor:
    """A row-major tensor without padding."""
    lanes = shape[-1] if len(shape) > 1 else 1
    assert lanes is not None
    return Tensor(name, dtype, shape, tuple(range(1, len(shape))), lanes)


def rows(name: str, dtype: str, shape: Shape) -> Tensor:
    """A row-major tensor with the last axis padded."""
    tensor = plain(name, dtype, shape)
    return replace(tensor, lanes=padded(tensor.lanes))


def channels_last(name: str, dtype: str, shape: Shape) -> Tensor:
    """[N, C, ...] with C innermost, padded."""
    channels = shape[1]
    assert channels is not None
    return Tensor(name, dtype, shape, (*range(2, len(shape)), 1), padded(channels))


def like(source: Tensor, name: str, dtype: str, shape: Shape) -> Tensor:
    """A tensor of the same rank with the axis order and padding habit of `source`."""
    if len(shape) < 2:
        return plain(name, dtype, shape)
    inner = source.axes[-1]
    lanes = shape[inner]
    assert lanes is not None
    is_padded = source.lanes == padded(source.extent(inner))
    return Tensor(name, dtype, shape, source.axes, padded(lanes) if is_padded else lanes)


def transposed(source: Tensor, name: str, perm: Sequence[int]) -> Tensor:
    """The same memory seen with permuted axes; ``perm[0]`` must be 0."""
    axes = tuple(perm.index(axis) for axis in source.axes)
    return replace(source, name=name, shape=tuple(source.shape[p] for p in perm), axes=axes)


def reshaped(source: Tensor, name: str, shape: Shape) -> Tensor | None:
    """The same memory seen with another shape; None if elements would have to move.

    Both shapes are cut into the finest groups of axes of equal size. The axes of
    a group must lie together in their order, and a padded axis must stay alone.
    """
    axes: dict[int, tuple[int, ...]] = {}
    free: list[int] = []
    lanes_axis: int | None = None
    for old, new in _groups(source.shape[1:], shape[1:]):
        real = [a for a in old if source.extent(a) != 1]
        if not real:
            free += new
            continue
        places = [source.axes.index(a) for a in real]
        between = source.axes[places[0] : places[-1] + 1]
        together = [a for a in between if source.extent(a) != 1] == real
        is_padded = real[-1] == source.axes[-1] and source.lanes != source.extent(real[-1])
        wide = [a for a in new if shape[a] != 1]
        if not together or (is_padded and (len(real) > 1 or len(wide) > 1)):
            return None
        axes[places[0]] = tuple(new)
        if is_padded:
            lanes_axis = wide[0]
    return _assemble(source, name, shape, axes, free, lanes_axis)


def _assemble(
    source: Tensor,
    name: str,
    shape: Shape,
    groups: dict[int, tuple[int, ...]],
    free: list[int],
    lanes_axis: int | None,
) -> Tensor | None:
    inner = source.axes[-1] if source.axes else None
    if inner is not None and source.extent(inner) == 1 and source.lanes != 1:
        return _unit_lanes(source, name, shape, groups, free)
    order = [axis for place in sorted(groups) for axis in groups[place]]
    if lanes_axis is not None:  # the padded axis last; axes of extent 1 lie anywhere
        order = [a for a in order if a != lanes_axis] + [lanes_axis]
        return replace(source, name=name, shape=shape, axes=(*free, *order))
    axes = (*free, *order)
    lanes = shape[axes[-1]] if axes else 1
    assert lanes is not None
    return replace(source, name=name, shape=shape, axes=axes, lanes=lanes)


def _unit_lanes(
    source: Tensor, name: str, shape: Shape, groups: dict[int, tuple[int, ...]], free: list[int]
) -> Tensor | None:
    """One channel padded to a block: some axis of extent 1 must carry the padding."""
    order = [axis for place in sorted(groups) for axis in groups[place]]
    carriers = [*free, *(axis for axis in order if shape[axis] == 1)]
    if not carriers:
        return None
    axes = [axis for axis in (*free, *order) if axis != carriers[0]]
    return replace(source, name=name, shape=shape, axes=(*axes, carriers[0]))


def _groups(old: Shape, new: Shape) -> list[tuple[list[int], list[int]]]:
    """Finest groups of axes (numbered from 1) of equal size, left to right."""
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        left: list[int] = []
        right: list[int] = []
        a = b = 1
        while a != b or not (left or right):
            if a <= b and i < len(old):
                left.append(i + 1)
                a *= old[i] or 1
                i += 1
            elif j < len(new):
                right.append(j + 1)
                b *= new[j] or 1
                j += 1
            else:
                left.append(i + 1)
                a *= old[i] or 1
                i += 1
        groups.append((left, right))
    return groups
