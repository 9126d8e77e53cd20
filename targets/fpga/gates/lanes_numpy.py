"""The interpreter for lanes without a compiler: the same steps, slowly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.gates.evaluate import pack, unpack
from actc.targets.fpga.gates.lanes_bench import (
    IN_READY,
    IN_VALID,
    OUT_READY,
    OUT_VALID,
    RESET,
    Bench,
)
from actc.targets.fpga.gates.lanes_program import LaneProgram, Load, Ram
from actc.targets.fpga.gates.logic import Bits, Table, numbers

Words = npt.NDArray[np.uint64]
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


class NumpyMachine:
    """As :class:`~actc.targets.fpga.gates.lanes_kernel.KernelMachine`, for any functions."""

    def __init__(self, program: LaneProgram, words: int, floating: int) -> None:
        self.slots = np.zeros((program.slots, words), np.uint64)
        self.slots[program.ones] = _ALL
        self.slots[program.floating] = _ALL if floating else 0
        self.memories = [_Memory(ram, words) for ram in program.memories]
        self.levels = [
            (
                [_Tables(tables) for _, tables in sorted(level.tables.items())],
                level.functions,
                [self.memories[number] for number in level.memories],
            )
            for level in program.levels
        ]
        self.loads = _Loads([*program.loads, *program.rings])

    def settle(self) -> None:
        """Compute what depends on present inputs."""
        lanes = 64 * self.slots.shape[1]
        for tables, functions, memories in self.levels:
            for each in tables:
                each.run(self.slots)
            for function in functions:
                bits = unpack(self.slots[list(function.inputs)], lanes)
                found = function.apply(bits).astype(np.uint8)
                self.slots[list(function.outputs)] = pack(found, self.slots.shape[1])
            for memory in memories:
                memory.read(self.slots)

    def edge(self) -> None:
        """The rising edge of the clock."""
        for memory in self.memories:
            memory.write(self.slots)
        self.loads.run(self.slots)

    def stream(self, bench: Bench, clocks: int) -> None:
        """Go on with a bench for some clocks, or until it has ended."""
        for _ in range(clocks):
            if bench.ended:
                return
            self._clock(bench)

    def _clock(self, bench: Bench) -> None:
        waits = not bench.offered and bench.gaps[bench.clock % len(bench.gaps)]
        valid = bench.in_count < len(bench.given) and not waits
        ready = not bench.stalls[bench.clock % len(bench.stalls)]
        bench.offered = int(valid)
        for place, one in ((RESET, False), (IN_VALID, valid), (OUT_READY, ready)):
            if bench.pins[place] >= 0:
                self.slots[bench.pins[place]] = _ALL if one else 0
        self._offer(bench, valid)
        self.settle()
        takes = _uniform(self.slots[bench.pins[IN_READY]], bench.lanes)
        gives = _uniform(self.slots[bench.pins[OUT_VALID]], bench.lanes)
        bench.problem = 1 if takes < 0 else 2 if gives < 0 else 0
        if bench.problem:
            return
        if valid and takes:
            bench.in_clocks[bench.in_count] = bench.clock
            bench.in_count, bench.offered = bench.in_count + 1, 0
        if gives and ready:
            bench.taken[bench.out_count] = self.slots[bench.pins[5 + bench.given.shape[1] :]]
            bench.out_clocks[bench.out_count] = bench.clock
            bench.out_count += 1
        self.edge()
        bench.clock += 1

    def _offer(self, bench: Bench, valid: bool) -> None:
        pins = bench.pins[5 : 5 + bench.given.shape[1]]
        read = pins >= 0
        if bench.in_count == len(bench.given):
            self.slots[pins[read]] = _ALL
        else:
            # while nothing is offered the data is wrong on purpose
            word = bench.given[bench.in_count][read]
            self.slots[pins[read]] = word if valid else ~word


class _Tables:
    """Tables of the same number of inputs."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.inputs = np.array([t.inputs for t in tables], np.intp)
        self.outputs = np.array([t.output for t in tables], np.intp)
        size = 1 << self.inputs.shape[1]
        truths = np.array([[t.truth >> i & 1 for i in range(size)] for t in tables], bool)
        self.masks = np.where(truths, _ALL, np.uint64(0))[:, :, None]

    def run(self, slots: Words) -> None:
        chosen: Words = self.masks
        for place in range(self.inputs.shape[1]):
            bit = slots[self.inputs[:, place]][:, None]
            low, high = chosen[:, ::2], chosen[:, 1::2]
            chosen = low ^ (bit & (low ^ high))
        slots[self.outputs] = chosen[:, 0]


class _Loads:
    """All flip-flops."""

    def __init__(self, loads: Sequence[Load]) -> None:
        rows = np.array([(f.slot, f.data, f.enable) for f in loads], np.intp).reshape(-1, 3)
        self.slots, self.data, self.enable = rows.T

    def run(self, slots: Words) -> None:
        old = slots[self.slots]
        slots[self.slots] = old ^ (slots[self.enable] & (old ^ slots[self.data]))


class _Memory:
    """A memory: words [lanes, words, width]."""

    def __init__(self, ram: Ram, words: int) -> None:
        self.ram = ram
        self.lanes = np.arange(64 * words)
        self.words = np.repeat(ram.words[None], len(self.lanes), axis=0)

    def read(self, slots: Words) -> None:
        places = numbers(self._bits(slots, self.ram.address))
        found = self.words[self.lanes, places]
        slots[list(self.ram.outputs)] = pack(np.ascontiguousarray(found.T), slots.shape[1])

    def write(self, slots: Words) -> None:
        mask = self._bits(slots, self.ram.mask).T == 1
        if mask.any():
            places = numbers(self._bits(slots, self.ram.write_address))
            old = self.words[self.lanes, places]
            data = self._bits(slots, self.ram.data).T
            self.words[self.lanes, places] = np.where(mask, data, old)

    def _bits(self, slots: Words, pins: Sequence[int]) -> Bits:
        return unpack(slots[list(pins)], len(self.lanes))


def _uniform(words: Words, lanes: Words) -> int:
    """0 or 1 where it is the same in all lanes that count, else -1."""
    if not np.any(words & lanes):
        return 0
    return -1 if np.any(~words & lanes) else 1
