"""Evaluation of gate netlists: 64 clocks in a word, a level of the netlist at a time.

Bit-parallel simulation (Barzilai et al., HSS, 1987) along time: word w of a net holds its
values in the clocks 64 w to 64 w + 63. A flip-flop of a pipeline is then a shift by one bit;
only what feeds back is stepped clock by clock (see :mod:`.schedule`). The result is exact
from the first clock on, with each flip-flop in the state that configuration gives it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.gates.logic import ZERO, Bits, FlipFlop, Memory, Table
from actc.targets.fpga.gates.netlist import GateNetlist
from actc.targets.fpga.gates.schedule import Level, Loop, schedule
from actc.targets.fpga.gates.stepping import LoopRunner

Words = npt.NDArray[np.uint64]
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_TOP = np.uint64(63)
MEMORY = 1 << 28
"""Bytes of net values that are held at once; longer runs go in parts."""


class Simulation:
    """A netlist and the state of its storage.

    Clock t applies the inputs of row t, shows the outputs that settle before the next rising
    edge, and then has that edge. Falling edges lie in the middle of a clock; the first clock
    has none, as clocks are low at first.

    Args:
        netlist: what to evaluate.
        floating: what nets without a driver read as, 0 or 1.

    Raises:
        ToolFailed: ACT0533, there is a combinational loop.
    """

    def __init__(self, netlist: GateNetlist, *, floating: int = 0) -> None:
        logic = netlist.logic
        self.floating = floating
        self.netlist = netlist
        storage: list[FlipFlop | Memory] = [*logic.flip_flops, *logic.memories]
        self.halves = 2 if any(not item.rising for item in storage) else 1
        levels = schedule(netlist.name, logic)
        self._steps = [_LevelRunner(level, self.halves) for level in levels]

    def run(
        self, inputs: Mapping[str, npt.ArrayLike], clocks: int | None = None
    ) -> dict[str, Bits]:
        """Go on for some clocks.

        Args:
            clocks: how many; needed only where there are no inputs.
            inputs: port -> integers [clocks] for a port of up to 62 bits, or bits
                [clocks, width], bit 0 first. Negative numbers are two's complement. Ports
                that nothing reads may be left out.

        Returns:
            port -> bits [clocks, width].

        Raises:
            ValueError: ports are missing or unknown, or lengths or widths differ.
        """
        given = input_bits(self.netlist, inputs)
        for bits in given.values():
            clocks = len(bits) if clocks is None else clocks
            if len(bits) != clocks:
                raise ValueError(f"all ports take {clocks} clocks")
        if clocks is None:
            raise ValueError(f"{self.netlist.name} has no inputs: say how many clocks")
        part = max(64, MEMORY // (8 * self.netlist.logic.nets) * 64 // self.halves)
        found: dict[str, list[Bits]] = {port: [] for port in self.netlist.outputs}
        for start in range(0, max(clocks, 1), part):
            rows = {port: bits[start : start + part] for port, bits in given.items()}
            for port, bits in self._part(rows, min(part, clocks - start)).items():
                found[port].append(bits)
        return {port: np.concatenate(parts) for port, parts in found.items()}

    def _part(self, inputs: Mapping[str, Bits], clocks: int) -> dict[str, Bits]:
        steps = clocks * self.halves
        values = np.zeros((self.netlist.logic.nets, -(-steps // 64)), np.uint64)
        values[1] = _ALL
        for port, bits in inputs.items():
            rows = np.repeat(bits, self.halves, axis=0).T
            values[list(self.netlist.inputs[port])] = pack(rows, values.shape[1])
        values[list(self.netlist.floating)] = _ALL if self.floating else 0
        values[ZERO], values[1] = 0, _ALL
        for level in self._steps:
            level.run(values, steps)
        shown = slice(self.halves - 1, steps, self.halves)  # before the rising edge
        return {
            port: np.ascontiguousarray(unpack(values[list(nets)], steps)[:, shown].T)
            for port, nets in self.netlist.outputs.items()
        }


def simulate(
    netlist: GateNetlist,
    inputs: Mapping[str, npt.ArrayLike],
    clocks: int | None = None,
    *,
    floating: int = 0,
) -> dict[str, Bits]:
    """Outputs of a netlist that starts from configuration; see :meth:`Simulation.run`.

    Raises:
        ValueError, ToolFailed: as :class:`Simulation`.
    """
    return Simulation(netlist, floating=floating).run(inputs, clocks)


def pack(bits: Bits, words: int) -> Words:
    """Words [rows, words] of bits [rows, steps]; step 0 in the lowest bit."""
    padded = np.zeros((len(bits), words * 64), np.uint8)
    padded[:, : bits.shape[1]] = bits
    return np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def unpack(words: Words, steps: int) -> Bits:
    """Bits [rows, steps] of words [rows, words]."""
    raw = np.ascontiguousarray(words.astype("<u8")).view(np.uint8)
    return np.unpackbits(raw, axis=1, count=steps, bitorder="little")


def input_bits(netlist: GateNetlist, inputs: Mapping[str, npt.ArrayLike]) -> dict[str, Bits]:
    """Bits [clocks, width] of every input port, checked."""
    needed = set(netlist.inputs) - netlist.unread
    if not needed <= set(inputs) <= set(netlist.inputs):
        raise ValueError(f"{netlist.name} takes {sorted(needed)}, not {sorted(inputs)}")
    found: dict[str, Bits] = {}
    for port, nets in netlist.inputs.items():
        if port not in inputs:
            continue
        array = np.asarray(inputs[port])
        if array.ndim == 1:
            array = _number_bits(port, array, len(nets))
        if array.ndim != 2 or array.shape[1] != len(nets) or np.any((array != 0) & (array != 1)):
            raise ValueError(f"{port} takes bits [clocks, {len(nets)}], not {array.shape}")
        found[port] = array.astype(np.uint8)
    return found


def _number_bits(port: str, values: npt.NDArray[np.generic], width: int) -> npt.NDArray[np.int64]:
    if width > 62 or values.dtype.kind not in "iub":
        raise ValueError(f"{port} has {width} bits: give it bits [clocks, {width}]")
    numbers = values.astype(np.int64)
    if numbers.size and not (-(1 << width - 1) <= numbers.min() and numbers.max() < 1 << width):
        raise ValueError(f"{port} has {width} bits, too few for {numbers.min()}..{numbers.max()}")
    return (numbers[:, None] >> np.arange(width)) & 1


class _TableRunner:
    """Tables of the same number of inputs, evaluated together."""

    def __init__(self, tables: Sequence[Table], width: int) -> None:
        padded = [(*t.inputs, *[ZERO] * (width - len(t.inputs))) for t in tables]
        self.inputs = np.array(padded, np.intp).reshape(len(tables), width)
        self.outputs = np.array([t.output for t in tables], np.intp)
        truths = [[t.truth >> i & 1 for i in range(1 << width)] for t in tables]
        # an unused input reads 0: only the first half of a padded table matters
        self.masks = np.where(np.array(truths, bool), _ALL, np.uint64(0))[:, :, None]

    def run(self, values: Words) -> None:
        """A tree of multiplexers, an input at a time: Shannon's expansion."""
        chosen: Words = self.masks
        for place in range(self.inputs.shape[1]):
            bit = values[self.inputs[:, place]][:, None]
            low, high = chosen[:, ::2], chosen[:, 1::2]
            chosen = low ^ (bit & (low ^ high))
        values[self.outputs] = chosen[:, 0]


class _DelayRunner:
    """Flip-flops without enable and clear: time shifted by one bit."""

    def __init__(self, flip_flops: Sequence[FlipFlop]) -> None:
        self.data = np.array([f.data for f in flip_flops], np.intp)
        self.outputs = np.array([f.output for f in flip_flops], np.intp)
        self.state = np.array([f.initial for f in flip_flops], np.uint64)

    def run(self, values: Words, steps: int) -> None:
        data = values[self.data]
        shifted = data << np.uint64(1)
        shifted[:, 1:] |= data[:, :-1] >> _TOP
        shifted[:, 0] |= self.state
        values[self.outputs] = shifted
        last = np.uint64((steps - 1) % 64)
        self.state = data[:, (steps - 1) // 64] >> last & np.uint64(1)


class _RegisterRunner:
    """Flip-flops with enable, clear or an edge of their own: the last step that set them."""

    def __init__(self, flip_flops: Sequence[FlipFlop], halves: int) -> None:
        self.flip_flops = list(flip_flops)
        self.halves = halves
        self.state = np.array([[f.initial] for f in flip_flops], np.uint8)
        self.values = np.array([[f.value] for f in flip_flops], np.uint8)
        self.fallen = False

    def run(self, values: Words, steps: int) -> None:
        data, enable, clear = (
            unpack(values[[f.inputs[which] for f in self.flip_flops]], steps) for which in range(3)
        )
        if self.halves == 2:
            enable = enable.copy()
            for row, flip_flop in enumerate(self.flip_flops):
                enable[row, 0 if flip_flop.rising else 1 :: 2] = 0
                enable[row, 0] &= self.fallen
            self.fallen = True
        loaded = np.where(clear == 1, self.values, data)
        when = np.where((enable | clear) == 1, np.arange(steps), -1)
        latest = np.maximum.accumulate(when, axis=1)
        after = np.take_along_axis(loaded, np.maximum(latest, 0), axis=1)
        after = np.where(latest < 0, self.state, after)
        before = np.concatenate([self.state, after[:, :-1]], axis=1)
        shown = np.where(clear == 1, self.values, before).astype(np.uint8)
        values[[f.output for f in self.flip_flops]] = pack(shown, values.shape[1])
        self.state = after[:, -1:].astype(np.uint8)


class _LoopStep:
    """A loop between packed words and its own bits."""

    def __init__(self, loop: Loop, halves: int) -> None:
        self.runner = LoopRunner(loop, halves)

    def run(self, values: Words, steps: int) -> None:
        given = unpack(values[self.runner.inputs], steps)
        found = self.runner.run(given)
        values[self.runner.outputs] = pack(found, values.shape[1])


class _LevelRunner:
    """One level for all steps at once."""

    def __init__(self, level: Level, halves: int) -> None:
        self.tables = []
        for width in (2, 4, 5, 6):
            narrower = {2: (0, 1, 2), 4: (3, 4)}.get(width, (width,))
            tables = [t for t in level.tables if len(t.inputs) in narrower]
            if tables:
                self.tables.append(_TableRunner(tables, width))
        self.functions = level.functions
        plain = [f for f in level.flip_flops if _is_delay(f) and halves == 1]
        others = [f for f in level.flip_flops if not (_is_delay(f) and halves == 1)]
        self.storage: list[_DelayRunner | _RegisterRunner | _LoopStep] = [
            *([_DelayRunner(plain)] if plain else []),
            *([_RegisterRunner(others, halves)] if others else []),
            *(_LoopStep(loop, halves) for loop in level.loops),
        ]

    def run(self, values: Words, steps: int) -> None:
        for tables in self.tables:
            tables.run(values)
        for function in self.functions:
            bits = unpack(values[list(function.inputs)], steps)
            values[list(function.outputs)] = pack(function.apply(bits), values.shape[1])
        for part in self.storage:
            part.run(values, steps)


def _is_delay(flip_flop: FlipFlop) -> bool:
    return flip_flop.enable == 1 and flip_flop.clear == ZERO
