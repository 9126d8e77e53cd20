"""A kernel plan as a GPU runs it: constants in one block, buffers in one arena. Pure Python.

A buffer lies at ``n * offset`` bytes of the arena, with n the samples of the batch: offsets are
counted per sample, so that one plan serves every batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from actc.targets.tvm.plan import Array, Buffer, KernelPlan

ALIGNMENT = 256
"""Bytes: what CUDA's own allocations are aligned to."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One kernel as it is launched.

    Attributes:
        symbol: name of the device function.
        arguments: what each parameter stands for: "n", or the name of a buffer or constant.
        blocks: C expression in `n`.
        threads: of a block.
    """

    symbol: str
    arguments: tuple[str, ...]
    blocks: str
    threads: int


@dataclass(frozen=True, eq=False)
class Network:
    """Everything that the host part of the artefact knows.

    Attributes:
        launches: in execution order.
        constants: all of them, one behind the other.
        constant_at: name -> byte in `constants`.
        arena: bytes per sample.
        buffer_at: name -> byte per sample.
        inputs, outputs: model name -> (name of the buffer, bytes of a sample), in order.
        batch: samples of a fixed batch, None for any.
    """

    launches: tuple[Launch, ...]
    constants: bytes
    constant_at: Mapping[str, int]
    arena: int
    buffer_at: Mapping[str, int]
    inputs: Mapping[str, tuple[str, int]]
    outputs: Mapping[str, tuple[str, int]]
    batch: int | None


def sample_bytes(buffer: Buffer) -> int:
    """Bytes of one sample."""
    return int(np.prod(buffer.shape, dtype=np.int64)) * np.dtype(buffer.dtype).itemsize


def aligned(size: int) -> int:
    """`size` rounded up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def pack_constants(arrays: Mapping[str, Array]) -> tuple[bytes, dict[str, int]]:
    """All arrays as one block, and where each begins; equal arrays lie there once."""
    block, places, known = bytearray(), {}, dict[bytes, int]()
    for name, array in arrays.items():
        content = np.ascontiguousarray(array).tobytes()
        key = content + str(array.dtype).encode()
        if key not in known:
            known[key] = len(block)
            block += content.ljust(aligned(len(content)), b"\0")
        places[name] = known[key]
    return bytes(block), places


@dataclass(frozen=True, slots=True)
class _Life:
    name: str
    size: int
    first: int
    last: int


def plan_arena(plan: KernelPlan) -> tuple[int, dict[str, int]]:
    """Bytes per sample of the arena, and where each buffer lies in it.

    Large buffers first, each at the lowest place that is free while it lives; inputs live from
    the start and outputs to the end.
    """
    placed: list[tuple[_Life, int]] = []
    for life in sorted(_lives(plan), key=lambda life: (-life.size, life.first, life.name)):
        overlapping = [
            (at, other.size)
            for other, at in placed
            if other.first <= life.last and life.first <= other.last
        ]
        placed.append((life, _lowest(life.size, overlapping)))
    total = max((at + life.size for life, at in placed), default=0)
    return total, {life.name: at for life, at in placed}


def _lowest(size: int, taken: Sequence[tuple[int, int]]) -> int:
    at = 0
    for start, length in sorted(taken):
        if at + size <= start:
            break
        at = max(at, start + length)
    return at


def _lives(plan: KernelPlan) -> list[_Life]:
    end = len(plan.calls)
    first = dict.fromkeys(plan.inputs, -1)
    last = dict.fromkeys(plan.inputs, -1)
    for step, call in enumerate(plan.calls):
        first.setdefault(call.output, step)
        for name in (*call.inputs, call.output):
            if name in plan.buffers:
                last[name] = step
    last.update(dict.fromkeys(plan.outputs.values(), end))
    return [
        _Life(name, max(aligned(sample_bytes(plan.buffers[name])), ALIGNMENT), first[name], step)
        for name, step in last.items()
    ]


Ends = Literal["inputs", "outputs"]


def ends(plan: KernelPlan, side: Ends) -> dict[str, tuple[str, int]]:
    """Inputs or outputs of the model: name -> (buffer, bytes of a sample)."""
    names = {name: name for name in plan.inputs} if side == "inputs" else dict(plan.outputs)
    return {name: (source, sample_bytes(plan.buffers[source])) for name, source in names.items()}
