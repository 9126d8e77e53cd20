"""A staircase as a division by subtraction: one row of adders for each bit of the code.

The code is how many thresholds, which lie on a line, the total reaches. The first row tells
whether it reaches the middle one; its remainder is made negative by inverting it where it
is not, and half the distance is added, which tells the next bit, and so on. So every row
is one adder, its signs are the code's Gray code, and whatever lies beyond the ends ends
there by itself. A product with as exact a factor takes twice the adders: the total has more
bits than the code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from actc.targets.fpga.folded.functions.lines import Lines
from actc.targets.fpga.folded.program import Integers
from actc.targets.fpga.functions.bounds import Numbers
from actc.targets.fpga.hdl import Range, Wire

_WORD = 62


@dataclass(frozen=True, slots=True)
class Division:
    """Hardware of ``code = number of k from 1 to 2**bits - 1 with threshold(k) <= total``.

    ``threshold(k) = (slope * k + constant) / 2**places``.

    Attributes:
        bits: of the code.
        places: binary places of the slope and the constant.
        widths: bits of each row, with its sign, above the place of its code bit; the row
            of the first bit has `places` more.
    """

    bits: int
    places: int
    widths: tuple[int, ...]

    @classmethod
    def of(cls, bits: int, lines: Lines, inputs: Sequence[Range]) -> Division:
        """Rows that are wide enough for all inputs of all lines.

        Args:
            inputs: of each line.
        """
        widths = [1] * bits
        for slope, constant, own in zip(
            lines.slopes.tolist(), lines.constants.tolist(), inputs, strict=True
        ):
            for row, found in enumerate(_rows(bits, lines.places, slope, constant, own)):
                widths[row] = max(widths[row], found.width)
        return cls(bits, lines.places, tuple(widths))

    def starts(self, lines: Lines) -> Integers:
        """What is added to each line's total first: the middle threshold, negative."""
        found: Integers = -(lines.constants + (lines.slopes << (self.bits - 1)))
        return found

    def build(self, total: Wire, slope: Wire, start: Wire) -> Wire:
        """The code.

        Args:
            slope, start: of the line: its slope and what :meth:`starts` says.
        """
        graph, places = total.graph, self.places
        size = self.widths[0]
        high = (total + (start >> places)).bits(0, size)
        word = graph.concatenate((high, size), (start.bits(0, places), places)) if places else high
        whole = word.bits(0, size + places, signed=True).named("remainder")
        size = max(size + places - (self.bits - 1), 1)
        row = whole >> (self.bits - 1)
        bit = _sign(row, size) ^ 1
        code = [bit]
        for place, width in zip(range(self.bits - 2, -1, -1), self.widths[1:], strict=True):
            below = whole.bits(place, 1) ^ bit
            negative = _negative(row, size).bits(0, size)
            doubled = graph.concatenate((negative, size), (below, 1))
            total = doubled.bits(0, size + 1, signed=True) + slope
            row, size = total.bits(0, width, signed=True).named("remainder"), width
            bit = _sign(row, size) ^ 1 ^ bit
            code.append(bit)
        return graph.concatenate(*((each, 1) for each in code)).named("code")


def _sign(row: Wire, size: int) -> Wire:
    """Whether a row of so many bits is negative."""
    return row.bits(size - 1, 1)


def _negative(row: Wire, size: int) -> Wire:
    """A row, inverted where it is not negative."""
    found = row.graph.select(_sign(row, size), [~row, row])
    return found.narrow(Range(-(1 << (size - 1)), -1), "inverted where it is not negative")


def _rows(bits: int, places: int, slope: int, constant: int, own: Range) -> Iterator[Range]:
    """What each row holds, above the place of its code bit; the first above `places`."""
    numbers = (own.low << places, own.high << places, slope << bits, constant)
    kind = np.dtype(np.int64 if max(map(abs, numbers)) >> (_WORD - 3) == 0 else object)
    thresholds = -(-(np.arange(1 << bits).astype(kind) * slope + constant) // (1 << places))
    totals = np.concatenate([thresholds - 1, thresholds, [own.low, own.high]])
    totals = np.clip(totals, own.low, own.high)
    rest = (totals << places) - constant - (slope << (bits - 1))
    yield _hull(rest >> places)
    for place in range(bits - 2, -1, -1):
        above = (rest >= 0).astype(np.bool_)
        rest = rest + np.where(above, -slope, slope).astype(kind) * (1 << place)
        # behind a row that was inverted, this one is
        yield _hull(np.where(above, ~rest, rest) >> place)


def _hull(values: Numbers) -> Range:
    """From the least to the largest value, and both signs."""
    return Range(min(int(values.min()), -1), max(int(values.max()), 0))
