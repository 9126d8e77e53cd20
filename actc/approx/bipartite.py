"""Bipartite tables: the sum of two small tables instead of a large one.

The input is cut into three parts, x = A B C. A table of initial values sees A and B,
a table of offsets A and C, and their sum is rounded (Das Sarma and Matula, 1995;
Schulte and Stine, 1999; de Dinechin and Tisserand, 2005):

    y = (initial[A B] + offset[A C] + base) >> guard

Published constructions take the offsets from slopes and then check the error. Here
both tables come from the gates: for one A,

    low 2**g <= initial[B] + offset[C] <= (high + 1) 2**g - 1

is a system of difference constraints, for which longest paths decide exactly whether
tables exist and how narrow the offsets can be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.gates import MAX_INPUT_BITS, FixedFit, Gates, NoForm, verified

Bounds = npt.NDArray[np.int64]

MAX_GUARD_BITS = 4
_MAX_PATH_BITS = 22
"""Path matrices have 2**(a + 2 c) entries: splits that need more are not searched."""


@dataclass(frozen=True, eq=False)
class BipartiteTable:
    """``y = (initial[A B] + offset[A C] + base) >> guard`` for i = A B C.

    i = x - lowest code; for signed inputs, the code with its first bit inverted.

    Attributes:
        input, output: the formats.
        parts: numbers of bits (a, b, c) of A, B and C, most significant first.
        guard: bits to the right of the output's.
        base: constant, with the rounding.
        initial: int64 [2**(a+b)], >= 0.
        offset: int64 [2**(a+c)], >= 0.

    Raises:
        ValueError: shapes disagree, or an entry is negative.
    """

    input: FixedPoint
    output: FixedPoint
    parts: tuple[int, int, int]
    guard: int
    base: int
    initial: Codes
    offset: Codes

    def __post_init__(self) -> None:
        for name in ("initial", "offset"):
            own = np.array(getattr(self, name), np.int64)
            own.setflags(write=False)
            object.__setattr__(self, name, own)
        a, b, c = self.parts
        if a + b + c != self.input.bits:
            raise ValueError("the parts make up the input")
        if self.initial.shape != (1 << (a + b),) or self.offset.shape != (1 << (a + c),):
            raise ValueError("the tables have one entry per value of their index bits")
        if min(self.initial.min(), self.offset.min()) < 0:
            raise ValueError("entries are not negative")

    @property
    def initial_width(self) -> int:
        """Bits of an initial value."""
        return int(self.initial.max()).bit_length()

    @property
    def offset_width(self) -> int:
        """Bits of an offset."""
        return int(self.offset.max()).bit_length()

    @property
    def storage_bits(self) -> int:
        """Bits of both tables."""
        return self.initial.size * self.initial_width + self.offset.size * self.offset_width

    def evaluate(self, codes: Codes) -> Codes:
        """Output codes (int64) of input codes (integers, any shape)."""
        index = self.input.check(codes) - self.input.low
        _, b, c = self.parts
        coarse = index >> (b + c)
        initial = self.initial[index >> c]
        offset = self.offset[(coarse << c) | (index & ((1 << c) - 1))]
        found: Codes = (initial + offset + self.base) >> self.guard
        return found

    def to_json(self) -> dict[str, Any]:
        """JSON-ready description."""
        return {
            "form": "bipartite_table",
            "parts": list(self.parts),
            "guard": self.guard,
            "base": self.base,
            "initial_width": self.initial_width,
            "offset_width": self.offset_width,
            "initial": self.initial.tolist(),
            "offset": self.offset.tolist(),
        }


class _Split(NamedTuple):
    """A candidate with a lower bound of its bits."""

    bits: int
    guard: int
    parts: tuple[int, int, int]


def fit_bipartite(
    gates: Gates, *, max_guard: int = MAX_GUARD_BITS, max_low_bits: int = MAX_INPUT_BITS
) -> FixedFit[BipartiteTable] | NoForm:
    """The bipartite table of fewest bits over all splits with a + 2 c <= 22.

    For each split and number of guard bits, whether tables exist is decided exactly,
    the offsets are as narrow as any, and the initial values as narrow as these
    offsets allow. Splits are tried in the order of a lower bound of their bits.

    Args:
        gates: "faithful" usually; also works for the others.
        max_guard: most guard bits, 0..8.
        max_low_bits: most bits of C, the c that the time grows with, as 2**(a + 3 c).

    Returns:
        the fit, or why there is none smaller than the plain table.

    Raises:
        ValueError: `max_guard` is out of range.
    """
    if not 0 <= max_guard <= 8:
        raise ValueError(f"the guard bits must be in 0..8, not {max_guard}")
    plain = len(gates) * _spread(gates.low, gates.high).bit_length()
    best: BipartiteTable | None = None
    limit = plain
    tried = 0
    for candidate in sorted(_splits(gates, max_guard, max_low_bits)):
        if candidate.bits >= limit:
            break
        tried += 1
        found = _fill(gates, candidate, limit)
        if found is not None and found.storage_bits < limit:
            best, limit = found, found.storage_bits
    if best is None:
        return NoForm(
            f"no bipartite table of {gates.function} from {gates.input} to {gates.output} is "
            f"smaller than the plain table of {plain} bits ({tried} ways to cut the input, with "
            f"up to {max_guard} guard bits)"
        )
    return verified(best, gates)


def _spread(low: Bounds, high: Bounds) -> int:
    """Least possible difference of the largest and the smallest of numbers in the bounds."""
    return max(int(low.max() - high.min()), 0)


def _splits(gates: Gates, max_guard: int, max_low_bits: int) -> Iterator[_Split]:
    bits = gates.input.bits
    for guard in range(max_guard + 1):
        spread = _spread(*_bounds(gates, guard))
        for c in range(1, min(bits, max_low_bits + 1)):
            for b in range(1, bits - c + 1):
                a = bits - b - c
                if a + 2 * c <= _MAX_PATH_BITS:
                    yield _Split(_least_bits(spread, a, b, c, 0), guard, (a, b, c))


def _least_bits(spread: int, a: int, b: int, c: int, offset_width: int) -> int:
    """Fewest bits of tables whose sums spread so far, with offsets at least so wide."""
    found = []
    for width in range(offset_width, max(spread.bit_length(), offset_width) + 1):
        rest = max(spread - ((1 << width) - 1), 0)
        found.append((rest.bit_length() << (a + b)) + (width << (a + c)))
    return min(found)


def _bounds(gates: Gates, guard: int) -> tuple[Bounds, Bounds]:
    """First and last admissible sum before the shift, for each input."""
    return gates.low << guard, ((gates.high + 1) << guard) - 1


def _fill(gates: Gates, candidate: _Split, limit: int) -> BipartiteTable | None:
    """Tables for the candidate; None if there are none, or not below `limit` bits."""
    a, b, c = candidate.parts
    shape = (1 << a, 1 << b, 1 << c)
    low, high = (bound.reshape(shape) for bound in _bounds(gates, candidate.guard))
    narrowest = _quick_width(low, high)
    if narrowest is None:
        return None
    spread = _spread(low, high)
    if _least_bits(spread, a, b, c, narrowest) >= limit:
        return None
    paths = _longest_paths(low, high)
    if paths is None:
        return None
    widest = int(paths.max())
    if _least_bits(spread, a, b, c, widest.bit_length()) >= limit:
        return None
    drawn = _between(paths, widest)
    least = (low + drawn[:, None, :]).max(axis=2)
    most = (high + drawn[:, None, :]).min(axis=2)
    initial, first = _narrow(least, most)
    return BipartiteTable(
        gates.input,
        gates.output,
        candidate.parts,
        candidate.guard,
        first - widest,
        (initial - first).reshape(-1),
        (widest - drawn).reshape(-1),
    )


def _quick_width(low: Bounds, high: Bounds) -> int | None:
    """A lower bound of the offsets' width from a few pairs of C; None if impossible."""
    last = low.shape[2] - 1
    widest = 0
    for one, other in {(0, last), (0, last // 2), (last // 2, last)}:
        if one != other:
            there = (low[:, :, one] - high[:, :, other]).max(axis=1)
            back = (low[:, :, other] - high[:, :, one]).max(axis=1)
            if np.any(there + back > 0):
                return None
            widest = max(widest, int(there.max()), int(back.max()))
    return widest.bit_length()


def _longest_paths(low: Bounds, high: Bounds) -> Bounds | None:
    """How far the drawn-off value of C must exceed that of C', for each A; [A, C', C].

    With d = -offset, the initial value of B lies in low + d[C'] .. high + d[C] for all
    C' and C, so d[C] - d[C'] >= max over B of low[B, C'] - high[B, C]. Longest paths
    (Floyd and Warshall, 1962) are the closure of that; a positive cycle refutes it.
    """
    groups, _, count = low.shape
    paths = np.empty((groups, count, count), np.int64)
    for one in range(count):
        paths[:, one, :] = (low[:, :, one, None] - high).max(axis=1)
    diagonal = np.arange(count)
    paths[:, diagonal, diagonal] = 0
    for middle in range(count):
        np.maximum(paths, paths[:, :, middle, None] + paths[:, None, middle, :], out=paths)
        if np.any(paths[:, diagonal, diagonal] > 0):
            return None
    return paths


def _between(paths: Bounds, widest: int) -> Bounds:
    """The mean of the least and the largest solution in 0..widest, rounded down; [A, C].

    The mean of two solutions of integer difference constraints is one, and so is its
    rounding, which is monotone and commutes with integer shifts.
    """
    least = paths.max(axis=1)
    largest = widest - paths.max(axis=2)
    middle: Bounds = (least + largest) >> 1
    return middle


def _narrow(least: Bounds, most: Bounds) -> tuple[Bounds, int]:
    """Numbers in the bounds in the narrowest range of a power of two; and its start."""
    size = 1 << _spread(least, most).bit_length()
    middle = (least + most) >> 1
    first = min(max(int(middle.min()), int(least.max()) - size + 1), int(most.min()))
    return np.clip(middle, first, first + size - 1), first
