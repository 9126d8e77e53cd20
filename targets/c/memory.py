"""The arena of a program: which buffers it holds, where kernels write in place, the report."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from actc.targets.c.arena.plan import Planned, planned
from actc.targets.c.arena.problem import Item, Problem, lifetimes
from actc.targets.c.program import Program, dense
from actc.targets.tvm.kernels.binary_spec import WORD, Pack
from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.kernels.strided import Elementwise, LayerNorm, MaxPool
from actc.targets.tvm.plan import Call

UNIT = 4
"""Bytes of a unit of the arena: every buffer starts at a multiple."""


@dataclass(frozen=True, eq=False)
class Memory:
    """Where the buffers of a program lie.

    Attributes:
        program: with its calls in the order of the plan.
        names: of the buffers in the arena, as the problem numbers them.
        problem: what was planned.
        plan: the layouts.
        wide: buffers of 64 bits, which have memory of their own: C lets an object have one type.
    """

    program: Program
    names: tuple[str, ...]
    problem: Problem
    plan: Planned
    wide: tuple[str, ...]

    @property
    def arena(self) -> int:
        """Bytes of the arena."""
        return self.plan.layout.size * UNIT

    def offset(self, name: str) -> int:
        """First byte of a buffer of the arena."""
        return self.plan.layout.offsets[self.names.index(name)] * UNIT


def memory_of(program: Program, seconds: float) -> Memory:
    """Plan the arena of a program.

    Args:
        seconds: limit of the integer program.
    """
    written = [call.output for call in program.calls]
    names = [n for n in dict.fromkeys(written) if n not in program.given]
    wide = tuple(n for n in names if program.buffers[n].dtype == "int64")
    names = [n for n in names if n not in wide]
    problem = _problem(program, tuple(names))
    return Memory(program, tuple(names), problem, planned(problem, seconds), wide)


def _problem(program: Program, names: tuple[str, ...]) -> Problem:
    writers = {call.output: step for step, call in enumerate(program.calls)}
    before = tuple(
        frozenset(writers[name] for name in call.inputs if name in writers)
        for call in program.calls
    )
    items = tuple(
        Item(
            name,
            max(1, -(-program.buffers[name].size // UNIT)),
            writers[name],
            frozenset(s for s, call in enumerate(program.calls) if name in call.inputs),
        )
        for name in names
    )
    numbers = {name: number for number, name in enumerate(names)}
    pairs = {
        (numbers[name], numbers[call.output])
        for call in program.calls
        for name in set(call.inputs)
        if name in numbers and call.output in numbers and in_place(call, name, program)
    }
    return Problem(before, items, frozenset(pairs))


def in_place(call: Call, name: str, program: Program) -> bool:
    """Whether a kernel may write its result to the start of an input, by how it walks.

    It may where each element that it writes lies at or below all that it reads later.
    """
    kernel = call.kernel
    if isinstance(kernel, MaxPool):
        return _pools_downwards(kernel)
    if isinstance(kernel, Pack):
        rest = kernel.channels % WORD
        return kernel.lanes == kernel.channels and (rest == 0 or rest >= UNIT)
    if not isinstance(kernel, (Elementwise, LayerNorm)):
        return False
    own = [o for n, o in zip(call.inputs, kernel.inputs, strict=False) if n == name]
    result = program.buffers[call.output]
    if not own or dense(kernel.dims, kernel.out) != result.count:
        return False
    if isinstance(kernel, LayerNorm) and program.buffers[name].dtype != result.dtype:
        return False
    return all(_same_walk(kernel.dims, one, kernel.out) for one in own)


def _same_walk(dims: tuple[int, ...], read: Operand, written: Operand) -> bool:
    """Whether each element is written where it is read, or below, in rising order."""
    wide, narrow = np.dtype(read.dtype).itemsize, np.dtype(written.dtype).itemsize
    steps = [s for s, extent in zip(written.strides, dims, strict=True) if extent > 1]
    rising = steps == sorted(steps, reverse=True)
    same = read.strides == written.strides and read.offset == written.offset == 0
    return same and (wide == narrow or (wide > narrow and rising))


def _pools_downwards(kernel: MaxPool) -> bool:
    """Whether each window starts at or behind the pixel that it gives."""
    first = [
        np.maximum(np.arange(count) * stride - pad, 0)
        for count, stride, pad in zip(
            (kernel.out_h, kernel.out_w), kernel.strides, kernel.pads, strict=True
        )
    ]
    starts = (first[0][:, None] * kernel.in_w + first[1][None, :]).reshape(-1)
    rest = np.minimum.accumulate(starts[::-1])[::-1]
    return bool((rest >= np.arange(rest.size)).all())


def described(memory: Memory, constants: int, locals_: int) -> dict[str, object]:
    """What memory.json holds.

    Args:
        constants: bytes of weights and tables.
        locals_: bytes of arrays on the stack of the kernel that has most of them.
    """
    plan, program = memory.plan, memory.program
    spans = lifetimes(memory.problem, plan.layout.order)
    sizes = [program.buffers[name].size for name in memory.names]
    buffers = [
        {
            "name": name,
            "bytes": size,
            "offset": plan.layout.offsets[number] * UNIT,
            "first_step": spans[number][0],
            "last_step": spans[number][1],
        }
        for number, (name, size) in enumerate(zip(memory.names, sizes, strict=True))
    ]
    return {
        "arena_bytes": memory.arena,
        "arena_bound_bytes": plan.bound * UNIT,
        "arena_proof": plan.proof,
        "arena_greedy_bytes": plan.greedy.size * UNIT,
        "arena_without_sharing_bytes": sum(-(-size // UNIT) * UNIT for size in sizes),
        "wide_bytes": sum(program.buffers[name].size for name in memory.wide),
        "input_bytes": sum(program.buffers[port.buffer].size for port in program.inputs),
        "output_bytes": sum(program.buffers[port.buffer].size for port in program.outputs),
        "constant_bytes": constants,
        "stack_array_bytes": locals_,
        "steps": [program.calls[step].node for step in plan.layout.order],
        "in_place": sorted([memory.names[x], memory.names[y]] for x, y in plan.layout.shared),
        "buffers": buffers,
    }


_PROOFS = {
    "bound": "minimal: any order of the steps has as much in memory at once",
    "integer program": "minimal: proved by the integer program over order and offsets",
}


def proof_text(memory: Memory) -> str:
    """What is known of the arena, in words."""
    plan = memory.plan
    if plan.proof in _PROOFS:
        return _PROOFS[plan.proof]
    gap = 100 * (plan.layout.size - plan.bound) / plan.layout.size
    return f"not proved minimal: at least {plan.bound * UNIT} bytes, a gap of {gap:.1f} percent"


def as_text(memory: Memory, found: dict[str, object]) -> str:
    """What memory.txt holds."""
    lines = [
        f"arena             {found['arena_bytes']} bytes ({proof_text(memory)})",
        f"  greedy plan     {found['arena_greedy_bytes']} bytes",
        f"  without sharing {found['arena_without_sharing_bytes']} bytes",
        f"inputs, outputs   {found['input_bytes']}, {found['output_bytes']} bytes, the caller's",
        f"constants         {found['constant_bytes']} bytes of flash",
        f"arrays on stack   {found['stack_array_bytes']} bytes",
    ]
    if memory.wide:
        lines.append(f"numbers of 64 bits {found['wide_bytes']} bytes beside the arena")
    lines += ["", "step  offset   bytes  buffer"]
    spans = lifetimes(memory.problem, memory.plan.layout.order)
    for number in sorted(range(len(memory.names)), key=lambda i: spans[i]):
        name = memory.names[number]
        first, last = spans[number]
        offset, size = memory.offset(name), memory.program.buffers[name].size
        lines.append(f"{first:>2}-{last:<3} {offset:>6} {size:>7}  {name}")
    return "\n".join(lines) + "\n"


def as_json(found: dict[str, object]) -> bytes:
    """What memory.json holds, as a file."""
    return (json.dumps(found, indent=2) + "\n").encode()
