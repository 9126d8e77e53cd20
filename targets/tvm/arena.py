"""Where the activations of a kernel plan lie in one block of memory. Pure Python.

Buffers that are alive at the same time get disjoint places: first fit by decreasing size
(Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020,
greedy by size). Buffers whose batch is symbolic share a region whose size is a multiple of
the batch; the others lie in front of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from actc.targets.tvm.plan import Buffer, KernelPlan

ALIGNMENT = 64
"""Bytes: a 512-bit register, and a cache line."""


@dataclass(frozen=True, slots=True)
class Place:
    """A buffer in the arena: at byte ``fixed + batch * per_sample``.

    Attributes:
        fixed: bytes in front that do not depend on the batch.
        per_sample: bytes in front for every sample of the batch.
    """

    fixed: int
    per_sample: int


@dataclass(frozen=True, slots=True)
class Arena:
    """The places of all buffers that are neither inputs nor outputs.

    Attributes:
        places: buffer name -> place.
        size: bytes of the arena, as a place behind all others.
    """

    places: Mapping[str, Place]
    size: Place


def buffer_bytes(buffer: Buffer) -> int:
    """Bytes of a buffer, or of one of its samples where the batch is symbolic."""
    count = math.prod(extent for extent in buffer.extents if extent is not None)
    return count * np.dtype(buffer.dtype).itemsize


def lay_out(plan: KernelPlan) -> Arena:
    """Place every buffer that only kernel calls of `plan` use."""
    outside = {*plan.inputs, *plan.outputs.values()}
    lives = {name: life for name, life in _lives(plan).items() if name not in outside}
    static = {n: life for n, life in lives.items() if not _symbolic(plan.buffers[n])}
    symbolic = {n: life for n, life in lives.items() if n not in static}
    front, fixed = _pack(plan, static)
    back, per_sample = _pack(plan, symbolic)
    places = {name: Place(offset, 0) for name, offset in front.items()}
    places |= {name: Place(fixed, offset) for name, offset in back.items()}
    return Arena(places, Place(fixed, per_sample))


def _symbolic(buffer: Buffer) -> bool:
    return None in buffer.extents


def _lives(plan: KernelPlan) -> dict[str, tuple[int, int]]:
    """Buffer -> the calls that write it and that read it last."""
    lives: dict[str, tuple[int, int]] = {}
    for index, call in enumerate(plan.calls):
        lives.setdefault(call.output, (index, index))
        for name in (*call.inputs, call.output):
            if name in lives:
                lives[name] = (lives[name][0], index)
    return lives


def _pack(plan: KernelPlan, lives: Mapping[str, tuple[int, int]]) -> tuple[dict[str, int], int]:
    """Offsets, multiples of ALIGNMENT, and the size of the region."""
    sizes = {n: -(-buffer_bytes(plan.buffers[n]) // ALIGNMENT) * ALIGNMENT for n in lives}
    offsets: dict[str, int] = {}
    for name in sorted(lives, key=lambda n: (-sizes[n], lives[n][0], n)):
        first, last = lives[name]
        taken = sorted(
            (offsets[other], offsets[other] + sizes[other])
            for other in offsets
            if lives[other][0] <= last and first <= lives[other][1]
        )
        at = 0
        for start, end in taken:
            if start - at >= sizes[name]:
                break
            at = max(at, end)
        offsets[name] = at
    return offsets, max((offsets[n] + sizes[n] for n in offsets), default=0)
