"""Logic that feeds back on itself, stepped clock by clock."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.gates.logic import (
    MAX_TABLE_INPUTS,
    Bits,
    FlipFlop,
    Function,
    Memory,
    Table,
    numbers,
)
from actc.targets.fpga.gates.schedule import Level, Loop

_Index = npt.NDArray[np.intp]


class LoopRunner:
    """A loop with nets of its own, numbered from 0.

    Attributes:
        inputs: nets outside that it reads.
        outputs: nets that it drives.
    """

    def __init__(self, loop: Loop, halves: int) -> None:
        self.outputs = _driven(loop)
        inside = set(self.outputs)
        self.inputs = sorted({net for net in _read(loop) if net not in inside})
        local = {net: number for number, net in enumerate([*self.inputs, *self.outputs])}
        self.values = np.zeros(len(local), np.uint8)
        self.halves = halves
        self.steps = 0
        self.levels = [_Level(level, local) for level in loop.levels]
        self.registers = _Registers(loop.flip_flops, local)
        self.memories = [_Words(memory, local) for memory in loop.memories]
        by_memory = {id(words.memory): words for words in self.memories}
        for level, shown in zip(loop.levels, self.levels, strict=True):
            shown.memories = [by_memory[id(memory)] for memory in level.memories]

    def run(self, given: Bits) -> Bits:
        """Bits [outputs, steps] for bits [inputs, steps]; state goes on from the last run."""
        count = len(self.inputs)
        found = np.zeros((given.shape[1], len(self.outputs)), np.uint8)
        values = self.values
        for step, row in enumerate(given.T):
            values[:count] = row
            self.registers.show(values)
            for level in self.levels:
                level.run(values)
            found[step] = values[count:]
            rising = self.halves == 1 or self.steps % 2 == 1
            falling = not rising and self.steps > 0
            self.steps += 1
            for words in self.memories:
                words.clock(values, rising if words.memory.rising else falling)
            self.registers.clock(values, rising, falling)
        return np.ascontiguousarray(found.T)


def _driven(loop: Loop) -> list[int]:
    nets = [f.output for f in loop.flip_flops]
    for level in loop.levels:
        nets += [t.output for t in level.tables]
        nets += [net for f in level.functions for net in f.outputs]
        nets += [net for m in level.memories for net in m.outputs]
    return nets


def _read(loop: Loop) -> list[int]:
    storage: list[FlipFlop | Memory] = [*loop.flip_flops, *loop.memories]
    nets = [net for item in storage for net in item.inputs]
    for level in loop.levels:
        parts: list[Table | Function] = [*level.tables, *level.functions]
        nets += [net for part in parts for net in part.inputs]
    return nets


class _Registers:
    """The flip-flops of a loop."""

    def __init__(self, flip_flops: Sequence[FlipFlop], local: dict[int, int]) -> None:
        def nets(which: int) -> _Index:
            return np.array([local[f.inputs[which]] for f in flip_flops], np.intp)

        self.state = np.array([f.initial for f in flip_flops], np.uint8)
        self.values = np.array([f.value for f in flip_flops], np.uint8)
        self.rising = np.array([f.rising for f in flip_flops], bool)
        self.data, self.enable, self.clear = nets(0), nets(1), nets(2)
        self.outputs = np.array([local[f.output] for f in flip_flops], np.intp)

    def show(self, values: Bits) -> None:
        values[self.outputs] = self.state

    def clock(self, values: Bits, rising: bool, falling: bool) -> None:
        edge = np.where(self.rising, rising, falling)
        enabled = (values[self.enable] == 1) & edge
        kept = np.where(enabled, values[self.data], self.state)
        self.state = np.where(values[self.clear] == 1, self.values, kept)


class _Words:
    """A memory of a loop."""

    def __init__(self, memory: Memory, local: dict[int, int]) -> None:
        def nets(of: tuple[int, ...]) -> _Index:
            return np.array([local[net] for net in of], np.intp)

        self.memory = memory
        self.words = memory.words.copy()
        self.address, self.outputs = nets(memory.address), nets(memory.outputs)
        self.write_address, self.data = nets(memory.write_address), nets(memory.data)
        self.mask = nets(memory.mask)

    def show(self, values: Bits) -> None:
        values[self.outputs] = self.words[_number(values[self.address])]

    def clock(self, values: Bits, edge: bool) -> None:
        if edge and values[self.mask].any():
            word = self.words[_number(values[self.write_address])]
            word[:] = np.where(values[self.mask] == 1, values[self.data], word)


def _number(bits: Bits) -> int:
    return int(numbers(bits[:, None])[0])


class _Level:
    """The combinational primitives of one level."""

    def __init__(self, level: Level, local: dict[int, int]) -> None:
        width = max([len(t.inputs) for t in level.tables], default=0)
        assert width <= MAX_TABLE_INPUTS
        # an unused input reads any net: the table repeats itself over it
        padded = [
            [local[net] for net in t.inputs] + [0] * (width - len(t.inputs)) for t in level.tables
        ]
        self.inputs = np.array(padded, np.intp).reshape(len(level.tables), width)
        self.outputs = np.array([local[t.output] for t in level.tables], np.intp)
        self.weights = (1 << np.arange(width)).astype(np.uint8)
        truths = [
            [t.truth >> (i & (1 << len(t.inputs)) - 1) & 1 for i in range(1 << width)]
            for t in level.tables
        ]
        self.truths = np.array(truths, np.uint8).reshape(-1)
        self.bases = np.arange(len(level.tables)) << width
        self.functions = [
            (f, [local[n] for n in f.inputs], [local[n] for n in f.outputs])
            for f in level.functions
        ]
        self.clears = [(f, local[f.clear], local[f.output]) for f in level.flip_flops]
        self.memories: list[_Words] = []

    def run(self, values: Bits) -> None:
        if len(self.outputs):
            index = values[self.inputs].dot(self.weights)
            values[self.outputs] = self.truths[self.bases + index]
        for function, inputs, outputs in self.functions:
            values[outputs] = function.apply(values[inputs][:, None])[:, 0]
        for flip_flop, clear, output in self.clears:
            if values[clear]:
                values[output] = flip_flop.value
        for words in self.memories:
            words.show(values)
