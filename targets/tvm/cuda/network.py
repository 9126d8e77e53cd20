"""A kernel plan as a GPU runs it: constants in one block, buffers in one arena. Pure Python.

The arena has two parts. Behind the buffers of a fixed size, which lie in front, a buffer whose
first axis is the batch lies at ``n * offset`` bytes, with n the samples of the batch: offsets are
counted per sample there, so that one plan serves every batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from actc.targets.tvm.plan import Array, Buffer, KernelPlan

BATCH = ""
"""Stands for the samples of the batch, among names of buffers: no tensor has an empty name."""
ALIGNMENT = 256
"""Bytes: what CUDA's own allocations are aligned to."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One kernel as it is launched.

    Attributes:
        symbol: name of the device function.
        arguments: what each parameter stands for: BATCH, a number of samples, or the name of a
            buffer or constant.
        blocks: C expression in `n`.
        threads: of a block.
    """

    symbol: str
    arguments: tuple[str | int, ...]
    blocks: str
    threads: int


@dataclass(frozen=True, slots=True)
class Arena:
    """The memory of all buffers.

    Attributes:
        fixed: bytes of the part in front, of buffers of fixed size.
        sample: bytes per sample of the part behind it.
        at: name of a buffer -> byte in its part, per sample in the second one.
    """

    fixed: int
    sample: int
    at: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Network:
    """Everything that the host part of the artefact knows.

    Attributes:
        launches: in execution order.
        constants: all of them, one behind the other.
        constant_at: name -> byte in `constants`.
        constant_size: name -> bytes.
        arena: where buffers lie.
        buffers: all that lie in the arena, scratch memory included.
        inputs, outputs: model name -> name of the buffer, in order.
        batch: samples of a fixed batch, None for any.
    """

    launches: tuple[Launch, ...]
    constants: bytes
    constant_at: Mapping[str, int]
    constant_size: Mapping[str, int]
    arena: Arena
    buffers: Mapping[str, Buffer]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    batch: int | None


def sample_bytes(buffer: Buffer) -> int:
    """Bytes of one sample; of the whole buffer where its size is fixed."""
    samples = 1 if buffer.batch is None else buffer.batch
    return samples * math.prod(buffer.shape) * np.dtype(buffer.passed_as).itemsize


def grows(buffer: Buffer) -> bool:
    """Whether a buffer is as large as the batch."""
    return buffer.batch is None


def fixed_batch(plan: KernelPlan) -> int:
    """The batch of a network without a symbolic one: that of its inputs, 1 if they differ."""
    batches = {buffer.batch for buffer in plan.inputs.values()}
    return (batches.pop() or 1) if len(batches) == 1 else 1


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


def plan_arena(
    plan: KernelPlan,
    buffers: Mapping[str, Buffer] | None = None,
    scratch: Mapping[int, Sequence[str]] | None = None,
) -> Arena:
    """Where each buffer lies.

    Large buffers first, each at the lowest place that is free while it lives; inputs live from
    the start and outputs to the end.

    Args:
        plan: the calls.
        buffers: the plan's, and scratch memory; None: the plan's.
        scratch: step -> names of the memory that its call needs besides.
    """
    known = plan.buffers if buffers is None else buffers
    lives = _lives(plan, known, scratch or {})
    parts = [[life for life in lives if grows(known[life.name]) is each] for each in (False, True)]
    (fixed, first), (sample, second) = (_place(part) for part in parts)
    return Arena(fixed, sample, {**first, **second})


def _place(lives: Sequence[_Life]) -> tuple[int, dict[str, int]]:
    placed: list[tuple[_Life, int]] = []
    for life in sorted(lives, key=lambda life: (-life.size, life.first, life.name)):
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


def _lives(
    plan: KernelPlan, buffers: Mapping[str, Buffer], scratch: Mapping[int, Sequence[str]]
) -> list[_Life]:
    end = len(plan.calls)
    first = dict.fromkeys(plan.inputs, -1)
    last = dict.fromkeys(plan.inputs, -1)
    for step, call in enumerate(plan.calls):
        names = [call.output, *scratch.get(step, ())]
        for name in names:
            first.setdefault(name, step)
        for name in (*call.inputs, *names):
            if name in buffers:
                last[name] = step
    last.update(dict.fromkeys(plan.outputs.values(), end))
    return [
        _Life(name, max(aligned(sample_bytes(buffers[name])), ALIGNMENT), first[name], step)
        for name, step in last.items()
    ]


Ends = Literal["inputs", "outputs"]


def ends(plan: KernelPlan, side: Ends) -> dict[str, str]:
    """Inputs or outputs of the model: name -> buffer."""
    return {name: name for name in plan.inputs} if side == "inputs" else dict(plan.outputs)
