"""Axes and shapes of one sample: the batch stays in front and is not written."""

from __future__ import annotations

import math
from collections.abc import Sequence

from actc.targets.fpga.network.builder import Unsupported

Shape = tuple[int, ...]


def inner_axes(axes: Sequence[int], rank: int) -> list[int]:
    """Axes of a tensor as axes of one sample, in order.

    Args:
        axes: of the whole tensor; negative ones count from the end.
        rank: of the whole tensor.

    Raises:
        Unsupported: the batch axis is one of them.
    """
    found = sorted({axis % rank for axis in axes})
    if 0 in found:
        raise Unsupported("it works along the batch axis", "keep one sample in one row")
    return [axis - 1 for axis in found]


def resolved(shape: Shape, target: Sequence[int], copy_zeros: bool = True) -> Shape:
    """The shape of one sample that Reshape gives.

    Args:
        shape: of one sample.
        target: the constant of the Reshape, with the batch axis.
        copy_zeros: whether 0 stands for the extent in its place.

    Raises:
        Unsupported: samples would be split or joined.
    """
    wanted = [int(extent) for extent in target]
    size = math.prod(shape)
    rest = wanted[1:]
    if copy_zeros:
        rest = [shape[i] if e == 0 and i < len(shape) else e for i, e in enumerate(rest)]
    if -1 in rest:
        known = math.prod(extent for extent in rest if extent != -1)
        rest[rest.index(-1)] = size // known if known else 0
    if not wanted or math.prod(rest) != size:
        raise Unsupported(
            f"a reshape of samples of {shape} to {wanted} moves elements between samples",
            "keep the batch as the first axis",
        )
    return tuple(rest)
