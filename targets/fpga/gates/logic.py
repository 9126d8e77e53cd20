"""Primitive logic: what the cells of every FPGA family are taken apart into.

Four primitives are enough: tables of up to six inputs, functions of many bits (memories that
are never written, multipliers), flip-flops with an enable and an asynchronous clear, and
memories that are written. Cells are composed of them, so that the evaluator knows no family.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint8]
"""Zeros and ones."""

ZERO = 0
"""The net that is always 0."""
ONE = 1
"""The net that is always 1."""
MAX_TABLE_INPUTS = 6

BUFFER = 0b10
NOT = 0b01
AND = 0b1000
OR = 0b1110
XOR = 0b0110
MUX = 0b11001010
"""Of (first, second, select): second where select is 1."""
MAJORITY = 0b11101000


@dataclass(frozen=True, slots=True)
class Table:
    """A look-up table.

    Attributes:
        inputs: nets, the lowest bit of the index first; at most six.
        truth: bit i is the output for index i.
        output: net.
    """

    inputs: tuple[int, ...]
    truth: int
    output: int


@dataclass(frozen=True, slots=True)
class Function:
    """Outputs that depend on the present inputs only, too many for a table.

    Attributes:
        inputs, outputs: nets.
        apply: bits [inputs, clocks] -> bits [outputs, clocks]; best a :class:`Lookup` or a
            :class:`Product`, which other simulators know.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    apply: Callable[[Bits], Bits]


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """What a memory that is never written does: words[number of the inputs].

    Attributes:
        words: bits [2 ** inputs, outputs].
    """

    words: Bits

    def __call__(self, bits: Bits) -> Bits:
        """Bits [outputs, clocks] of bits [inputs, clocks]."""
        return np.ascontiguousarray(self.words[numbers(bits)].T)


@dataclass(frozen=True, slots=True)
class Product:
    """A multiplier: factors a and b, then for each whether it is signed.

    Attributes:
        a, b: widths of the factors, at most 30.
    """

    a: int
    b: int

    def __call__(self, bits: Bits) -> Bits:
        """Bits [a + b, clocks] of bits [a + b + 2, clocks]."""
        a, b = numbers(bits[: self.a]), numbers(bits[self.a : self.a + self.b])
        a -= (bits[self.a - 1].astype(np.int64) & bits[-2]) << self.a
        b -= (bits[self.a + self.b - 1].astype(np.int64) & bits[-1]) << self.b
        return digits(a * b, self.a + self.b)


@dataclass(frozen=True, slots=True)
class FlipFlop:
    """A flip-flop; a synchronous reset is a table before `data`.

    Attributes:
        output, data: nets.
        clock: net.
        rising: whether it is clocked by the rising edge.
        enable: net; it keeps its state at edges where that is 0.
        clear: net; while it is 1 the output is `value`, whatever the clock does.
        value: what `clear` sets.
        initial: state after configuration.
    """

    output: int
    data: int
    clock: int
    rising: bool = True
    enable: int = ONE
    clear: int = ZERO
    value: int = 0
    initial: int = 0

    @property
    def inputs(self) -> tuple[int, ...]:
        """Nets that it reads, besides the clock."""
        return (self.data, self.enable, self.clear)


@dataclass(frozen=True, slots=True)
class Memory:
    """Words that are read at once and written at a clock edge.

    Attributes:
        address: nets of the read address, bit 0 first.
        outputs: nets of the word at that address.
        write_address, data: nets of what is written.
        mask: nets, one per bit of a word: 1 where it is written.
        clock: net.
        rising: whether it is written by the rising edge.
        words: contents after configuration, bits [words, width].
    """

    address: tuple[int, ...]
    outputs: tuple[int, ...]
    write_address: tuple[int, ...]
    data: tuple[int, ...]
    mask: tuple[int, ...]
    clock: int
    rising: bool
    words: Bits

    @property
    def inputs(self) -> tuple[int, ...]:
        """Nets that it reads, besides the clock."""
        return (*self.address, *self.write_address, *self.data, *self.mask)


class Logic:
    """Primitives that grow cell by cell.

    Attributes:
        nets: how many there are; 0 and 1 are the constants.
        tables, functions, flip_flops, memories: in the order in which they were added.
        aliases: net -> net that it is the same as.
    """

    def __init__(self) -> None:
        self.nets = 2
        self.tables: list[Table] = []
        self.functions: list[Function] = []
        self.flip_flops: list[FlipFlop] = []
        self.memories: list[Memory] = []
        self.aliases: dict[int, int] = {}
        self.buffered: list[int] = []

    def net(self) -> int:
        """A new net."""
        self.nets += 1
        return self.nets - 1

    def connect(self, output: int, source: int) -> None:
        """Make `output` the same net as `source`: a buffer."""
        self.aliases[output] = source
        self.buffered.append(output)

    def table(self, inputs: Sequence[int], truth: int, output: int | None = None) -> int:
        """Add a table and return its output."""
        if len(inputs) > MAX_TABLE_INPUTS or truth >> (1 << len(inputs)):
            raise ValueError(f"no table of {len(inputs)} inputs: {truth:#x}")
        found = self.net() if output is None else output
        self.tables.append(Table(tuple(inputs), truth, found))
        return found

    def invert(self, net: int) -> int:
        """The complement."""
        if net in (ZERO, ONE):
            return 1 - net
        return self.table([net], NOT)

    def both(self, a: int, b: int) -> int:
        """a and b."""
        if ZERO in (a, b):
            return ZERO
        if ONE in (a, b):
            return a if b == ONE else b
        return self.table([a, b], AND)

    def either(self, a: int, b: int) -> int:
        """a or b."""
        if ONE in (a, b):
            return ONE
        if ZERO in (a, b):
            return a if b == ZERO else b
        return self.table([a, b], OR)

    def choose(self, select: int, one: int, zero: int, output: int | None = None) -> int:
        """`one` where `select` is 1, else `zero`."""
        return self.table([zero, one, select], MUX, output)

    def lookup(self, inputs: Sequence[int], outputs: Sequence[int], words: Bits) -> None:
        """Add a memory that is never written: outputs = words[number of the inputs].

        Args:
            words: bits [2 ** inputs, outputs].
        """
        self.functions.append(Function(tuple(inputs), tuple(outputs), Lookup(words)))

    def reset(
        self, data: int, enable: int, reset: int, value: int, *, gated: bool
    ) -> tuple[int, int]:
        """Data and enable of a flip-flop with a synchronous reset to `value`.

        Args:
            gated: the reset works only while `enable` is 1.
        """
        if reset == ZERO:
            return data, enable
        changed = self.either(data, reset) if value else self.both(data, self.invert(reset))
        return changed, enable if gated else self.either(enable, reset)


def simplified(table: Table) -> Table:
    """The same table without the inputs that are constant or that it does not depend on.

    Placed cells have both: a logic cell of iCE40 can even read its own output, where only its
    carry needs that.
    """
    inputs, truth = list(table.inputs), table.truth
    # constants first: without them, others may not matter either
    for place in reversed(range(len(inputs))):
        if inputs[place] in (ZERO, ONE):
            truth = _halves(truth, place, len(inputs))[inputs[place] == ONE]
            del inputs[place]
    for place in reversed(range(len(inputs))):
        low, high = _halves(truth, place, len(inputs))
        if low == high:
            truth = low
            del inputs[place]
    return Table(tuple(inputs), truth, table.output)


def _halves(truth: int, place: int, width: int) -> tuple[int, int]:
    """The tables for 0 and for 1 at one input."""
    size = 1 << place
    mask = (1 << size) - 1
    low = high = 0
    for block in range(1 << (width - place - 1)):
        low |= (truth >> (2 * block * size) & mask) << (block * size)
        high |= (truth >> ((2 * block + 1) * size) & mask) << (block * size)
    return low, high


def numbers(bits: Bits) -> npt.NDArray[np.int64]:
    """Unsigned numbers [clocks] of bits [width, clocks], the lowest bit first."""
    weights = np.int64(1) << np.arange(len(bits), dtype=np.int64)
    total: npt.NDArray[np.int64] = (bits.astype(np.int64) * weights[:, None]).sum(axis=0)
    return total


def digits(values: npt.NDArray[np.int64], width: int) -> Bits:
    """Bits [width, clocks] of numbers [clocks], two's complement, the lowest bit first."""
    places = np.arange(width, dtype=np.int64)[:, None]
    return ((values >> np.minimum(places, 63)) & 1).astype(np.uint8)
