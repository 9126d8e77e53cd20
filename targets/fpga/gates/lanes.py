"""Netlists with state, for many samples at once: every lane is a copy of the machine.

The control of a folded network never depends on data and samples are independent. So words
of nets do not hold clocks here, as in :mod:`.evaluate`, but lanes: bit b of word w is the net
in lane 64 w + b, and all lanes are stepped clock by clock. Time then costs what it costs, but
a clock of a thousand samples costs little more than one of a single sample.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed
from actc.targets.fpga.gates.evaluate import input_bits, pack, unpack
from actc.targets.fpga.gates.lanes_bench import PROBLEMS, Bench, bench_pins
from actc.targets.fpga.gates.lanes_kernel import KernelMachine, aligned_like, available
from actc.targets.fpga.gates.lanes_numpy import NumpyMachine
from actc.targets.fpga.gates.lanes_program import LaneProgram, lane_program
from actc.targets.fpga.gates.logic import ONE, ZERO, Bits
from actc.targets.fpga.gates.netlist import GateNetlist

Progress = Callable[[int, int], None]
"""Called with the output words so far and those expected."""
TIMEOUT = 3600.0
MEMORY = 4 << 30
MAX_WORDS = 8
"""Of 64 lanes, in a block: values of a large netlist then still fit a cache."""
_FIRST_CLOCKS = 16
_SLICE_SECONDS = 0.5


@dataclass(frozen=True, eq=False)
class StreamResult:
    """What came out of a core.

    Attributes:
        outputs: bits [lanes, expected words, out_bits].
        in_clocks: clock in which each word was taken; those that never were are left out.
        out_clocks: clock in which each output word came.
    """

    outputs: Bits
    in_clocks: npt.NDArray[np.int64]
    out_clocks: npt.NDArray[np.int64]

    @property
    def clocks(self) -> int:
        """From the clock of the first input word to that of the last output word, both
        counted."""
        if not len(self.out_clocks):
            return 0
        first = self.in_clocks[0] if len(self.in_clocks) else self.out_clocks[0]
        return int(self.out_clocks[-1] - first) + 1


class LaneSimulation:
    """A netlist with state, for many samples at once: lane k is a copy of the machine.

    Args:
        netlist: what to evaluate; all of it is clocked by rising edges.
        lanes: how many copies.
        floating: what nets without a driver read as, 0 or 1.
        timeout: seconds for a stream.
        memory: bytes for the values of all lanes that run at a time.
        jobs: blocks of lanes that run at a time; as many as there are processors if None.
        compiled: whether the interpreter in C++ runs; where there is a compiler if None.

    Raises:
        ToolFailed: ACT0533, there is a combinational loop; ACT0571, something is clocked by
            the falling edge; ACT0510..0513, the interpreter could not be compiled.
    """

    def __init__(
        self,
        netlist: GateNetlist,
        lanes: int,
        *,
        floating: int = 0,
        timeout: float = TIMEOUT,
        memory: int = MEMORY,
        jobs: int | None = None,
        compiled: bool | None = None,
    ) -> None:
        if lanes < 1:
            raise ValueError(f"{lanes} lanes")
        self.netlist = netlist
        self.lanes = lanes
        self.floating = floating
        self.timeout = timeout
        self.program = lane_program(netlist)
        self.compiled = available(self.program) if compiled is None else compiled
        words = -(-lanes // 64)
        self.words = min(MAX_WORDS, 1 << (words - 1).bit_length())
        size = _word_bytes(self.program)
        while self.words > 1 and size * self.words > memory:
            self.words //= 2
        if size * self.words > memory:
            raise ToolFailed(_memory(netlist.name, size * self.words, memory))
        processors = jobs or len(os.sched_getaffinity(0))
        self.jobs = max(1, min(processors, memory // (size * self.words)))
        self._machines: list[KernelMachine | NumpyMachine] = []

    def clock(self, inputs: Mapping[str, Bits]) -> dict[str, Bits]:
        """Apply inputs, read outputs, then have the rising edge.

        Args:
            inputs: port -> bits [lanes, width]; ports that nothing reads may be left out.

        Returns:
            port -> bits [lanes, width].

        Raises:
            ValueError: ports are missing or unknown, or sizes differ.
        """
        given = input_bits(self.netlist, inputs)
        if any(len(bits) != self.lanes for bits in given.values()):
            raise ValueError(f"all ports take {self.lanes} lanes")
        if not self._machines:
            self._machines = [self._machine() for _ in self._blocks()]
        found: dict[str, list[Bits]] = {port: [] for port in self.netlist.outputs}
        for machine, block in zip(self._machines, self._blocks(), strict=True):
            for port, bits in given.items():
                rows = pack(np.ascontiguousarray(bits[block].T), self.words)
                pins = np.array(self.program.inputs[port], np.intp)
                machine.slots[pins[pins >= 0]] = rows[pins >= 0]
            machine.settle()
            count = block.stop - block.start
            for port, pins_out in self.program.outputs.items():
                found[port].append(unpack(machine.slots[pins_out], count).T)
            machine.edge()
        return {port: np.concatenate(parts) for port, parts in found.items()}

    def stream(
        self,
        words: Bits,
        expected_words: int,
        out_bits: int,
        max_clocks: int,
        *,
        stall: Sequence[int] = (),
        gaps: Sequence[int] = (),
        progress: Progress | None = None,
    ) -> StreamResult:
        """Run words through a core, from the state of its configuration on.

        It has the ports clk, in_valid, in_ready, in_data, out_valid, out_ready, out_data, and
        maybe reset. What is on in_data while in_valid is 0 is wrong on purpose.

        Args:
            words: bits [lanes, words, in_bits] that each lane is offered.
            expected_words: that come out; then it ends.
            out_bits: of an output word.
            max_clocks: in which they come out.
            stall: pattern that repeats; out_ready is 0 in the clocks where it is not 0.
            gaps: pattern that repeats; no word begins to be offered where it is not 0.
            progress: called now and then.

        Raises:
            ValueError: sizes are not those of the ports.
            ToolFailed: ACT0523, in_ready or out_valid differ between lanes, out_data has bits
                without a driver, or words did not come out; ACT0511, it took too long.
        """
        self._check(words, out_bits)
        start = time.monotonic()
        benches: list[Bench] = []
        with ThreadPoolExecutor(self.jobs) as pool:
            blocks = list(self._blocks())
            for first in range(0, len(blocks), self.jobs):
                group = blocks[first : first + self.jobs]
                pairs = [
                    (self._machine(), self._bench(words[b], expected_words, stall, gaps))
                    for b in group
                ]
                part = (first / len(blocks), len(group) / len(blocks))
                self._run(pool, pairs, max_clocks, start, _scaled(progress, part))
                benches += [bench for _, bench in pairs]
        return self._result(benches, out_bits)

    def _run(
        self,
        pool: ThreadPoolExecutor,
        pairs: Sequence[tuple[KernelMachine | NumpyMachine, Bench]],
        max_clocks: int,
        start: float,
        progress: Progress,
    ) -> None:
        clocks, done = _FIRST_CLOCKS, 0
        while done < max_clocks and not all(bench.ended for _, bench in pairs):
            clocks = min(clocks, max_clocks - done)
            began = time.monotonic()
            running = [pool.submit(machine.stream, bench, clocks) for machine, bench in pairs]
            for each in running:
                each.result()
            done += clocks
            now = time.monotonic()
            if now - start > self.timeout:
                raise ToolFailed(_too_long(self.netlist.name, self.timeout))
            progress(min(bench.out_count for _, bench in pairs), len(pairs[0][1].taken))
            if now - began < _SLICE_SECONDS / 2:
                clocks *= 2
        for _, bench in pairs:
            if bench.problem:
                raise ToolFailed(_differs(self.netlist.name, PROBLEMS[bench.problem], bench.clock))
            if not bench.ended:
                raise ToolFailed(_missing(self.netlist.name, bench))

    def _result(self, benches: Sequence[Bench], out_bits: int) -> StreamResult:
        first = benches[0]
        taken = first.in_clocks[: first.in_count]
        for bench in benches[1:]:
            for name, one, other in (
                ("in_ready", taken, bench.in_clocks[: bench.in_count]),
                ("out_valid", first.out_clocks, bench.out_clocks),
            ):
                if not np.array_equal(one, other):
                    raise ToolFailed(_differs(self.netlist.name, name, bench.clock))
        outputs = []
        for bench, block in zip(benches, self._blocks(), strict=True):
            rows = bench.taken.reshape(-1, self.words)
            bits = unpack(rows, block.stop - block.start)
            outputs.append(bits.T.reshape(-1, len(bench.taken), out_bits))
        return StreamResult(np.concatenate(outputs), taken, first.out_clocks)

    def _blocks(self) -> Iterator[slice]:
        """Lanes of each machine."""
        step = 64 * self.words
        for start in range(0, self.lanes, step):
            yield slice(start, min(start + step, self.lanes))

    def _machine(self) -> KernelMachine | NumpyMachine:
        kind = KernelMachine if self.compiled else NumpyMachine
        return kind(self.program, self.words, self.floating)

    def _bench(
        self, words: Bits, expected: int, stall: Sequence[int], gaps: Sequence[int]
    ) -> Bench:
        lanes, count, width = words.shape
        rows = np.ascontiguousarray(words.reshape(lanes, -1).T)
        out_bits = len(self.program.outputs["out_data"])
        return Bench(
            pins=bench_pins(self.program.inputs, self.program.outputs),
            lanes=pack(np.ones((1, lanes), np.uint8), self.words)[0],
            given=aligned_like(pack(rows, self.words).reshape(count, width, self.words)),
            taken=aligned_like(np.zeros((expected, out_bits, self.words), np.uint64)),
            gaps=_pattern(gaps),
            stalls=_pattern(stall),
        )

    def _check(self, words: Bits, out_bits: int) -> None:
        pins = bench_pins(self.program.inputs, self.program.outputs)
        in_bits = len(self.program.inputs["in_data"])
        if words.ndim != 3 or words.shape[0] != self.lanes or words.shape[2] != in_bits:
            raise ValueError(f"words are bits [{self.lanes}, words, {in_bits}]: {words.shape}")
        if len(pins) - 5 - in_bits != out_bits:
            raise ValueError(f"out_data has {len(pins) - 5 - in_bits} bits, not {out_bits}")
        nets = {net for port in self.netlist.outputs.values() for net in port}
        undriven = nets.intersection(self.netlist.floating) - {ZERO, ONE}
        if undriven:
            raise ToolFailed(_undriven(self.netlist.name, len(undriven)))


def _scaled(progress: Progress | None, part: tuple[float, float]) -> Progress:
    """Progress of a part of the lanes as progress of all."""

    def report(done: int, expected: int) -> None:
        if progress is not None:
            progress(int((part[0] + part[1] * done / max(expected, 1)) * expected), expected)

    return report


def _pattern(values: Sequence[int]) -> npt.NDArray[np.uint8]:
    return np.array([value != 0 for value in values] or [False], np.uint8)


def _word_bytes(program: LaneProgram) -> int:
    """Bytes of the values of 64 lanes."""
    stored = sum(ram.words.size for ram in program.memories)
    return 8 * (program.slots + len(program.rings) + stored)


def _differs(name: str, port: str, clock: int) -> Diagnostic:
    return Diagnostic(
        "ACT0523",
        f"{port} of {name} depends on data: it differs between samples in clock {clock}",
        help="this is an error of the design or of the simulator; please report it",
    )


def _missing(name: str, bench: Bench) -> Diagnostic:
    return Diagnostic(
        "ACT0523",
        f"the simulation of {name} gave {bench.out_count} of {len(bench.taken)} words in "
        f"{bench.clock} clocks, and took {bench.in_count} of {len(bench.given)}",
        help="this is an error of the design or of the simulator; please report it",
    )


def _undriven(name: str, count: int) -> Diagnostic:
    return Diagnostic(
        "ACT0523",
        f"{count} bits at the outputs of {name} have no driver",
        help="this is an error of the design or of the simulator; please report it",
    )


def _too_long(name: str, seconds: float) -> Diagnostic:
    return Diagnostic(
        "ACT0511",
        f"the simulation of {name} was ended after {seconds:g} seconds",
        help="simulate fewer samples, or give it more time",
    )


def _memory(name: str, needed: int, given: int) -> Diagnostic:
    return Diagnostic(
        "ACT0584",
        f"the simulation of {name} needs {needed >> 20} MiB, more than the {given >> 20} MiB given",
        help="simulate fewer samples at a time, or give it more memory",
    )
