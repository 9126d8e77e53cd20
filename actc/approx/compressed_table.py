"""Lossless differential table compression.

A table is the sum of a smaller table, indexed by the high bits of the input and
without its own low bits, and of a table of small differences (Hsiao, Ko and Wen,
2012; the general form, with overlapping bits, is Christ, Forget and de Dinechin,
"Lossless differential table compression for hardware function evaluation", 2021):

    y = (coarse[i >> split] << drop) + differences[i] + base
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.gates import FixedFit, Gates, verified

_NEVER = 1 << 62
_PART_BITS = 18
"""Offsets times blocks that are looked at together, as a power of two: memory."""


@dataclass(frozen=True, eq=False)
class CompressedTable:
    """``y = (coarse[i >> split] << drop) + differences[i] + base``, i = x - lowest code.

    For signed inputs i is the code with its first bit inverted. With as much `split`
    as input bits there is one coarse entry, of no bits: a plain table.

    Attributes:
        input, output: the formats.
        split: low input bits that the coarse table does not see.
        drop: low output bits that it does not hold.
        base: constant.
        coarse: int64 [2**(input bits - split)], >= 0.
        differences: int64 [2**(input bits)], >= 0.

    Raises:
        ValueError: shapes disagree, or an entry is negative.
    """

    input: FixedPoint
    output: FixedPoint
    split: int
    drop: int
    base: int
    coarse: Codes
    differences: Codes

    def __post_init__(self) -> None:
        for name in ("coarse", "differences"):
            own = np.array(getattr(self, name), np.int64)
            own.setflags(write=False)
            object.__setattr__(self, name, own)
        count = self.input.count
        if self.coarse.shape != (count >> self.split,) or self.differences.shape != (count,):
            raise ValueError("the tables have one entry per value of their index bits")
        if min(self.coarse.min(), self.differences.min(), self.drop) < 0:
            raise ValueError("entries and dropped bits are not negative")

    @property
    def coarse_width(self) -> int:
        """Bits of a coarse entry."""
        return int(self.coarse.max()).bit_length()

    @property
    def difference_width(self) -> int:
        """Bits of a difference."""
        return int(self.differences.max()).bit_length()

    @property
    def storage_bits(self) -> int:
        """Bits of both tables."""
        coarse, differences = self.coarse.size, self.differences.size
        return coarse * self.coarse_width + differences * self.difference_width

    def evaluate(self, codes: Codes) -> Codes:
        """Output codes (int64) of input codes (integers, any shape)."""
        index = self.input.check(codes) - self.input.low
        coarse = self.coarse[index >> self.split] << self.drop
        found: Codes = coarse + self.differences[index] + self.base
        return found

    def to_json(self) -> dict[str, Any]:
        """JSON-ready description."""
        return {
            "form": "compressed_table",
            "split": self.split,
            "drop": self.drop,
            "base": self.base,
            "coarse_width": self.coarse_width,
            "difference_width": self.difference_width,
            "coarse": self.coarse.tolist(),
            "differences": self.differences.tolist(),
        }


class _Split(NamedTuple):
    """Parameters of a compression, in the order in which they are tried."""

    bits: int
    split: int
    drop: int
    width: int


def fit_compressed_table(gates: Gates) -> FixedFit[CompressedTable]:
    """The table of best admissible outputs, compressed by :func:`compress_table`."""
    best = np.clip(np.rint(gates.target).astype(np.int64), gates.low, gates.high)
    return verified(compress_table(best, gates.input, gates.output), gates)


def compress_table(table: Codes, input: FixedPoint, output: FixedPoint) -> CompressedTable:
    """The compression of fewest bits: exact over all parameters and all entries.

    Parameters (split, drop, width of the differences) are tried in the order of a
    lower bound of their bits, until no bound is below the best found. For given
    parameters and base every block of entries leaves its coarse entry an interval,
    and the narrowest range that meets all intervals is taken. (Taking the largest
    coarse entries, as published, needs up to a bit more.)

    Args:
        table: int64 [2**(input bits)], an output code for each input code.

    Raises:
        ValueError: the table does not have one entry per input code.
    """
    if table.shape != (input.count,):
        raise ValueError(f"a table of {input} has {input.count} entries, not {table.shape}")
    best: CompressedTable | None = None
    queue = list(_splits(table, input, output))
    heapq.heapify(queue)
    while queue and (best is None or queue[0].bits < best.storage_bits):
        found = _fill(table, input, output, heapq.heappop(queue))
        if found is not None and (best is None or found.storage_bits < best.storage_bits):
            best = found
    assert best is not None  # the plain table is among the candidates
    return best


def _blocks(table: Codes, split: int) -> npt.NDArray[np.int64]:
    return table.reshape(-1, 1 << split)


def _splits(table: Codes, input: FixedPoint, output: FixedPoint) -> Iterator[_Split]:
    """All parameters that are possible, each with a lower bound of its bits."""
    total = int(np.ptp(table))
    for split in range(input.bits + 1):
        least = int(np.ptp(_blocks(table, split), axis=1).max()).bit_length()
        for width in range(least, total.bit_length() + 1):
            # what the differences do not span, the coarse entries must
            rest = max(total - ((1 << width) - 1), 0)
            for drop in range(output.bits + 1):
                coarse = -(-rest >> drop)
                bits = table.size * width + (table.size >> split) * coarse.bit_length()
                yield _Split(bits, split, drop, width)


def _bases(low: Codes, high: Codes, span: int, drop: int) -> Iterator[Codes]:
    """Offsets [some, 1] that make a difference, each at its first place.

    The tightest block's offset is its minimum less some slack, modulo 2**drop. With more
    slack an interval of coarse entries changes only where the offset meets the minimum of
    a block, or leaves what reaches its maximum.
    """
    tightest, mask = int((high - low).argmax()), (1 << drop) - 1
    lowest = int(low[tightest])
    slack = span - int(high[tightest]) + lowest
    turns = np.concatenate([[0], lowest - low, lowest + span + 1 - high]) & mask
    slacks = np.unique(turns)
    slacks = slacks[slacks <= slack]
    parts = 1 + (slacks.size * low.size >> _PART_BITS)
    for part in np.array_split(slacks, parts):
        yield ((lowest - part) & mask)[:, None]


def _fill(
    table: Codes, input: FixedPoint, output: FixedPoint, chosen: _Split
) -> CompressedTable | None:
    """The narrowest coarse table for the parameters; None if there is none."""
    blocks = _blocks(table, chosen.split)
    low, high = blocks.min(axis=1), blocks.max(axis=1)
    span = (1 << chosen.width) - 1
    narrowest: tuple[int, int, int] | None = None
    for bases in _bases(low, high, span, chosen.drop):
        least = -((bases + span - high) >> chosen.drop)
        most = (low - bases) >> chosen.drop
        first = most.min(axis=1)
        reach = least.max(axis=1) - first
        reach[np.any(least > most, axis=1)] = _NEVER
        at = int(reach.argmin())
        if reach[at] < (_NEVER if narrowest is None else narrowest[0]):
            narrowest = (int(reach[at]), int(bases[at, 0]), int(first[at]))
    if narrowest is None:
        return None
    _, base, first = narrowest
    coarse = np.maximum(-((base + span - high) >> chosen.drop), first)
    offset = (coarse << chosen.drop) + base
    return CompressedTable(
        input,
        output,
        chosen.split,
        chosen.drop,
        (first << chosen.drop) + base,
        coarse - first,
        (blocks - offset[:, None]).reshape(-1),
    )
