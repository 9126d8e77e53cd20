"""Counting the bits of words, and making words of comparisons."""

from __future__ import annotations

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.kernels import tir
from actc.targets.tvm.kernels.binary_spec import WORD, BinaryTiling
from actc.targets.tvm.kernels.conv_vector import (
    Expr,
    accumulators,
    constant,
    intrinsic,
    load,
    splat,
    store,
)

BYTE_STEPS = 31
"""Counts of 8 bits that a byte can sum up."""


def popcount(value: Expr, lanes: int, bits: int) -> Expr:
    """Set bits of every lane of `bits` bits."""
    dtype = tir.vector(f"uint{bits}", lanes)
    return intrinsic(f"llvm.ctpop.v{lanes}i{bits}", dtype, value)


def bit_of_lane(first: int, lanes: int) -> Expr:
    """In lane i a word whose bit ``first + i`` is set."""
    one = constant(1, "uint32", lanes)
    if lanes == 1:
        return constant(1 << first, "uint32")
    start = tirx.IntImm("uint32", first)
    return one << tirx.Ramp(start, tirx.IntImm("uint32", 1), lanes)


def joined_bits(tests: list[tuple[Expr, int, int]]) -> Expr:
    """A word with a bit for each lane where a test holds.

    Args:
        tests: condition, first bit and number of lanes of each.
    """
    by_width: dict[int, Expr] = {}
    for test, first, lanes in tests:
        part = tirx.Select(test, bit_of_lane(first, lanes), constant(0, "uint32", lanes))
        by_width[lanes] = by_width[lanes] | part if lanes in by_width else part
    total = None
    for lanes, part in by_width.items():
        word = part
        if lanes > 1:
            word = intrinsic(f"llvm.vector.reduce.or.v{lanes}i32", "uint32", T.Bind(part))
        total = word if total is None else total | word
    return total


class Counts:
    """The counts of a register tile; of bytes first, where the CPU has nothing wider."""

    def __init__(self, tiling: BinaryTiling, count: int) -> None:
        self.counter = tiling.counter
        self.lanes = tiling.counter.lanes
        self.totals = accumulators(count, self.lanes, "uint32")
        self.bytes = [] if self.counter.whole else accumulators(count, 4 * self.lanes, "uint8")
        for total in self.totals:
            store(total, 0, constant(0, "uint32", self.lanes), self.lanes)
        self.clear()

    def clear(self) -> None:
        """Bytes start anew."""
        for some in self.bytes:
            store(some, 0, constant(0, "uint8", 4 * self.lanes), 4 * self.lanes)

    def add(self, at: int, differing: Expr) -> None:
        """Count the bits of a vector of words."""
        lanes = self.lanes
        if self.counter.whole:
            total = load(self.totals[at], 0, lanes)
            store(self.totals[at], 0, total + popcount(differing, lanes, WORD), lanes)
            return
        as_bytes = T.reinterpret(tir.vector("uint8", 4 * lanes), differing)
        total = load(self.bytes[at], 0, 4 * lanes)
        store(self.bytes[at], 0, total + popcount(as_bytes, 4 * lanes, 8), 4 * lanes)

    def flush(self) -> None:
        """Add the four bytes of each lane to its total, where bytes were counted."""
        if self.counter.whole:
            return
        lanes = self.lanes
        for total, some in zip(self.totals, self.bytes, strict=True):
            four = T.Bind(T.reinterpret(tir.vector("uint32", lanes), load(some, 0, 4 * lanes)))
            even = constant(0x00FF00FF, "uint32", lanes)
            two = T.Bind((four & even) + ((four >> splat(T.uint32(8), lanes)) & even))
            one = (two & constant(0xFFFF, "uint32", lanes)) + (two >> splat(T.uint32(16), lanes))
            store(total, 0, load(total, 0, lanes) + one, lanes)
        self.clear()
