"""Lines of one slope in blocks of inputs: ``y = (factor t + constants[block]) >> shift``.

With one block it is what a requantized accumulator is: a product, a constant, a shift and
saturation. The multiplier of the model has 31 bits, but any line that stays within the
same steps gives the same values, and of the slopes that do the one of the fewest adders is
taken (:mod:`~actc.targets.fpga.functions.multiples`). With more blocks, the first bits of
x choose the constant and t is the rest of x: the slope must be right within a block only,
down to a factor of one, where the sum is a carry into the level of the block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from actc.targets.fpga.functions.bounds import Bounds
from actc.targets.fpga.functions.clamp import clamp, moved
from actc.targets.fpga.functions.domain import domain, position
from actc.targets.fpga.functions.multiples import (
    MAX_ADDERS,
    Constants,
    adders_of,
    multiple,
    multiple_plus,
    multiples,
    split,
)
from actc.targets.fpga.functions.steps import StepFunction
from actc.targets.fpga.hdl import Range, Wire
from actc.targets.fpga.units.arithmetic import add_at
from actc.targets.fpga.units.terms import signed_digits

_MAX_SHIFT = 48
_MOST_BLOCK_BITS = 8
_BLOCK_RUNS = 1024
"""Functions of more runs are fitted in one block only, for the sake of time."""
_MOST_FACTORS = 6


@dataclass(frozen=True, slots=True)
class Scaling:
    """``(factor * t + constants[block]) >> shift``, saturated if need be.

    Attributes:
        factor: odd, positive.
        constants: of each block.
        low_bits: bits of t; with one block t is x itself.
        shift: negative: to the left.
        line: what the line gives before it saturates.
        values: the hull of the function.
        mirrored: x is ~x.
    """

    factor: int
    constants: tuple[int, ...]
    low_bits: int
    shift: int
    line: Range
    values: Range
    mirrored: bool

    @property
    def quick_cost(self) -> int:
        """Roughly its look-up tables, to sort by."""
        zeros = _common_zeros(self.constants)
        width = self.line.width + max(self.shift, 0)
        spent = adders_of(self.factor) * (self.low_bits + self.factor.bit_length() // 2)
        if len(self.constants) > 1:
            spent += max(width - zeros, 0) * (1 + (len(self.constants) >> 4))
        elif self.constants[0]:
            spent += max(width - zeros, 0)
        return spent + (0 if self.values.holds(self.line) else self.values.width + 3)

    def build(self, x: Wire) -> Wire:
        """The wire."""
        x = ~x if self.mirrored else x
        # saturation begins at 0, so the start is taken off before and added after
        base = 0 if self._begins_inside else self.values.low
        shift = max(self.shift, 0)
        constants = [constant - (base << shift) for constant in self.constants]
        line = self.line.plus(-base)
        if len(constants) == 1:
            wide = x << max(-self.shift, 0)
            total = multiple_plus(wide, self.factor, constants[0])
        else:
            total = self._of_blocks(x, constants, line.width + shift)
        value = (total >> shift).bits(0, line.width, signed=line.signed)
        value = value.narrow(line, "the line, at the inputs that there are")
        return moved(clamp(value, self.values.plus(-base)), base)

    @property
    def _begins_inside(self) -> bool:
        """Whether nothing, or only the end of non-negative numbers, saturates."""
        inside = self.values.holds(self.line)
        return inside or (self.line.low >= max(self.values.low, 0))

    def _of_blocks(self, x: Wire, constants: Sequence[int], width: int) -> Wire:
        place = position(x)
        count = x.width - self.low_bits
        block = place.bits(self.low_bits, count)
        zeros = _common_zeros(constants)
        mask = (1 << width) - 1
        entries = [(constant & mask) >> zeros for constant in constants]
        row = x.graph.lookup(block, entries).named("constant")
        t = place.bits(0, self.low_bits) << max(-self.shift, 0)
        return add_at(multiple(t, self.factor), row, zeros).bits(0, width)


def scalings(steps: StepFunction, most: int) -> list[Scaling]:
    """Up to `most` lines that give the function, roughly the cheapest first.

    None for functions of two runs, which are one comparison, or if no line does.
    """
    if steps.levels.size < 3:
        return []
    mirrored = int(steps.levels[-1]) < int(steps.levels[0])
    own = steps.mirrored() if mirrored else steps
    found: dict[Scaling, None] = {}
    most_bits = _MOST_BLOCK_BITS if own.levels.size <= _BLOCK_RUNS else 0
    for count in range(min(own.range.width, most_bits + 1)):
        for saturate in (True, False):
            for scaling in _with_blocks(own, count, saturate, mirrored):
                found.setdefault(scaling)
    return sorted(found, key=lambda scaling: scaling.quick_cost)[:most]


def sparing_offsets(steps: StepFunction) -> list[int]:
    """What to add to x so that lines in one block need no constant of their own."""
    found = []
    for scaling in scalings(steps, _MOST_FACTORS):
        if len(scaling.constants) == 1 and scaling.shift >= 0 and not scaling.mirrored:
            found.append(scaling.constants[0] // scaling.factor)
    return list(dict.fromkeys(found))


def _with_blocks(
    steps: StepFunction, count: int, saturate: bool, mirrored: bool
) -> Iterator[Scaling]:
    low, bits = domain(steps.range).low, steps.range.width
    low_bits = bits - count
    shift = min(max(bits - steps.hull.width + low_bits + 6, 2), _MAX_SHIFT)
    slopes = Bounds.of(steps, shift, low, low_bits, saturate).slopes()
    if slopes is None or slopes.high < 1:
        return
    for factor, place in _factors(Range(max(slopes.low, 1), slopes.high)):
        kept = shift - place
        slope = factor << max(-kept, 0)
        bounds = Bounds.of(steps, max(kept, 0), low, low_bits, saturate)
        least, most = bounds.constants(slope)
        if count:
            options = [_block_constants(least, most, 1 << count, max(kept, 0))]
        else:
            options = [(c,) for c in _constants(factor, least[0], most[0])]
        for constants in options:
            line = _line(steps, slope, constants, low_bits, max(kept, 0))
            yield Scaling(factor, constants, low_bits, kept, line, steps.hull, mirrored)


def _line(
    steps: StepFunction, slope: int, constants: Sequence[int], low_bits: int, shift: int
) -> Range:
    """The hull of the line over all inputs: reached at ends of blocks."""
    low = domain(steps.range).low
    if len(constants) == 1:
        ends = [slope * x + constants[0] for x in (steps.range.low, steps.range.high)]
        return Range.of(end >> shift for end in ends)
    first, last = steps.range.low - low, steps.range.high - low
    found = []
    for block in range(first >> low_bits, (last >> low_bits) + 1):
        begin = block << low_bits
        for x in (max(begin, first), min(begin + (1 << low_bits) - 1, last)):
            found.append((slope * (x - begin) + constants[block]) >> shift)
    return Range.of(found)


def _factors(slopes: Range) -> Iterator[tuple[int, int]]:
    """Odd factors and places with ``factor << place`` among the slopes, of fewest adders."""
    for adders in range(MAX_ADDERS + 1):
        found = _among(multiples(adders), slopes)
        if found:
            yield from found[:_MOST_FACTORS]
            return
    yield _fewest_digits(slopes)


def _among(factors: Constants, slopes: Range) -> list[tuple[int, int]]:
    """Smallest factors first, and of each the largest places."""
    places = np.floor(np.log2(slopes.high) - np.log2(factors)).astype(np.int64)
    found = set()
    for more in (1, 0, -1):  # the logarithms are rounded
        place = places + more
        usable = (place >= 0) & (place < 62)
        scaled = factors << np.where(usable, place, 0)
        usable &= (slopes.low <= scaled) & (scaled <= slopes.high)
        usable &= scaled >> np.where(usable, place, 0) == factors
        found |= set(zip(factors[usable].tolist(), place[usable].tolist(), strict=True))
    return sorted(found, key=lambda pair: (pair[0], -pair[1]))


def _fewest_digits(slopes: Range) -> tuple[int, int]:
    """Of the roundest slopes one of the fewest signed digits."""
    best: tuple[int, int, int] | None = None
    for place in range(slopes.high.bit_length()):
        first = -(-slopes.low >> place)
        for factor in range(first, min(slopes.high >> place, first + 7) + 1):
            score = (len(signed_digits(factor)), factor, place)
            best = score if best is None else min(best, score)
    assert best is not None  # place 0 always has one
    _, factor, place = best
    zeros = (factor & -factor).bit_length() - 1
    return factor >> zeros, place + zeros


def _constants(factor: int, least: int, most: int) -> list[int]:
    """Constants in least..most: one that costs nothing beside the factor, and the roundest."""
    found = []
    if factor > 1:
        free = max(least, 0)
        if free <= most and free < 1 << split(factor).left_shift:
            found.append(free)
    return list(dict.fromkeys([*found, _roundest(least, most)]))


def _block_constants(
    least: dict[int, int], most: dict[int, int], count: int, shift: int
) -> tuple[int, ...]:
    """A constant for each block, with as many zeros at the end as possible.

    Where a block is bounded from one side only, a constant that is near; where it is not
    bounded at all, that of the block before.
    """
    step = (1 << shift) - 1
    bounds = {}
    for block in sorted(set(least) | set(most)):
        low, high = least.get(block), most.get(block)
        low = low if low is not None else most[block] - step
        bounds[block] = (low, high if high is not None else low + step)
    known = {block: _roundest(*pair) for block, pair in bounds.items()}
    found = [known[min(known)]]
    for block in range(count):
        found.append(known.get(block, found[-1]))
    return tuple(found[1:])


def _roundest(least: int, most: int) -> int:
    """The integer in least..most with the most zeros at its end."""
    if least <= 0 <= most:
        return 0
    zeros = 0
    while most >> (zeros + 1) << (zeros + 1) >= least:
        zeros += 1
    return most >> zeros << zeros


def _common_zeros(constants: Sequence[int]) -> int:
    union = 0
    for constant in constants:
        union |= constant
    return (union & -union).bit_length() - 1 if union else 0
