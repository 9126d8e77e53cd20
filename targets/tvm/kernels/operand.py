"""How loops walk through a buffer: plain values, no TVM import.

Every tensor is a flat array per sample; an operand says with which stride each
loop walks through it (0: the same element for all). One description then covers
broadcasting, layout conversion, slicing, transposing and concatenation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Operand:
    """A buffer and how loops walk through it.

    Attributes:
        dtype: element type.
        shape: of the buffer, without the batch axis.
        batched: whether the buffer has a batch axis.
        strides: elements per step, one for each loop, outermost first.
        offset: element of a sample that belongs to the loops' first iteration.
        aligned: whether the buffer starts at a multiple of 64 bytes (a model input may not).
    """

    dtype: str
    shape: tuple[int, ...]
    batched: bool
    strides: tuple[int, ...]
    offset: int = 0
    aligned: bool = True

    @property
    def size(self) -> int:
        """Elements of one sample."""
        return math.prod(self.shape)


def collapse(
    dims: Sequence[int], operands: Sequence[Operand]
) -> tuple[tuple[int, ...], tuple[Operand, ...]]:
    """Drop loops of extent 1 and merge neighbours that all operands walk as one.

    Returns:
        new extents (at least one) and the operands with matching strides.
    """
    kept = [i for i, extent in enumerate(dims) if extent != 1]
    loops = [(dims[i], [o.strides[i] for o in operands]) for i in kept]
    merged: list[tuple[int, list[int]]] = []
    for extent, strides in loops:
        if merged:
            outer, outer_strides = merged[-1]
            if all(a == b * extent for a, b in zip(outer_strides, strides, strict=True)):
                merged[-1] = (outer * extent, strides)
                continue
        merged.append((extent, strides))
    if not merged:
        merged = [(1, [0] * len(operands))]
    extents = tuple(extent for extent, _ in merged)
    columns = [tuple(strides[k] for _, strides in merged) for k in range(len(operands))]
    return extents, tuple(replace(o, strides=c) for o, c in zip(operands, columns, strict=True))
