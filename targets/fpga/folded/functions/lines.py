"""Lines through the thresholds of staircases, found by exact reasoning.

The threshold of code k is what a total has to reach for the code to be k or more. A
requantization has its thresholds on a line over k, of which everything between the last
total below and the first total at a threshold serves. Only thresholds at which the table
behind the staircase changes its value count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actc.targets.fpga.folded.functions.staircases import Parts
from actc.targets.fpga.folded.program import Integers
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.functions.bounds import Bounds, Numbers, Side
from actc.targets.fpga.hdl import Range

_PRODUCT_BITS = 60
_MOST_PLACES = 48


@dataclass(frozen=True, eq=False)
class Codes:
    """The codes of a family that matter: they count from 0 on, and steps lie between all.

    Attributes:
        base: the code that is now 0.
        bits: of the codes.
        steps: int64 [n] of each table: codes from 1 on at which its value changes.
        tables: int64 [2**bits] of each.
    """

    base: int
    bits: int
    steps: tuple[Integers, ...]
    tables: tuple[Integers, ...]

    @classmethod
    def of(cls, parts: Parts, output: Range) -> Codes | None:
        """None if every table is constant.

        Args:
            output: holds the values of all channels.
        """
        kept = parts.values(output)
        changes = [table.starts[1:] for table in kept]
        some = np.concatenate(changes)
        if not some.size:
            return None
        base = int(some.min()) - 1
        bits = (int(some.max()) - base).bit_length()
        codes = np.minimum(np.arange(1 << bits) + base, parts.codes.high)
        tables = tuple(table.evaluate(codes) for table in kept)
        return cls(base, bits, tuple(steps - base for steps in changes), tables)


@dataclass(frozen=True, eq=False)
class Conditions:
    """What a line has to fulfil for some inputs of one staircase.

    Attributes:
        below: int64 [n, 2]: thresholds of codes that are more than a total.
        reached: int64 [m, 2]: thresholds of codes that are at most a total.
    """

    below: Integers
    reached: Integers

    @classmethod
    def of(cls, staircase: StepFunction, base: int, steps: Integers) -> Conditions:
        """Of an increasing staircase.

        Args:
            base, steps: as in :class:`Codes`.
        """
        place = np.searchsorted(staircase.levels, steps + base)
        never, always = place == staircase.levels.size, place == 0
        inner = ~(never | always)
        starts = staircase.starts[place[inner]]
        # of the steps that no input reaches the first one counts, of the others the last
        end, begin = steps[never][:1], steps[always][-1:]
        below = [
            np.stack([steps[inner], starts - 1], axis=1),
            np.stack([end, np.full_like(end, staircase.range.high)], axis=1),
        ]
        reached = [
            np.stack([begin, np.full_like(begin, staircase.range.low)], axis=1),
            np.stack([steps[inner], starts], axis=1),
        ]
        return cls(np.concatenate(below), np.concatenate(reached))

    @property
    def free(self) -> bool:
        """Whether lines of any slope will do."""
        return not (len(self.below) and len(self.reached))

    @property
    def open(self) -> bool:
        """Whether thresholds may be as far from each other as one likes: there is one at most."""
        return self.free or self.reached[:, 0].max() <= self.below[:, 0].min()

    @property
    def totals(self) -> Integers:
        """Totals on both sides of each threshold that some input reaches and some does not."""
        codes = np.intersect1d(self.below[:, 0], self.reached[:, 0])
        parts = [pairs[np.isin(pairs[:, 0], codes), 1] for pairs in (self.below, self.reached)]
        return np.concatenate(parts)

    def clipped(self, range: Range) -> Conditions:
        """The same for totals that are moved to the nearest one of a range first."""
        below, reached = self.below.copy(), self.reached.copy()
        for pairs in (below, reached):
            pairs[:, 1] = np.clip(pairs[:, 1], range.low, range.high)
        return Conditions(below, reached)

    def thresholds(self, places: int) -> Bounds:
        """Bounds of ``slope * code + constant``: thresholds with some binary places."""
        kind = _kind(self, places)
        lower = (self.below[:, 0], (self.below[:, 1].astype(kind) << places) + 1)
        upper = (self.reached[:, 0], self.reached[:, 1].astype(kind) << places)
        return _bounds(lower, upper)

    def codes(self, places: int) -> Bounds:
        """Bounds of ``slope * total + constant``: codes with some binary places."""
        kind = _kind(self, places)
        lower = (self.reached[:, 1], self.reached[:, 0].astype(kind) << places)
        upper = (self.below[:, 1], (self.below[:, 0].astype(kind) << places) - 1)
        return _bounds(lower, upper)


def _kind(conditions: Conditions, places: int) -> np.dtype[np.generic]:
    """int64, or Python integers where products do not fit."""
    pairs = np.concatenate([conditions.below, conditions.reached])
    sizes = [int(np.abs(pairs[:, axis]).max(initial=1)).bit_length() for axis in (0, 1)]
    return np.dtype(np.int64 if sum(sizes) + places + 2 <= _PRODUCT_BITS else object)


def _bounds(lower: tuple[Numbers, Numbers], upper: tuple[Numbers, Numbers]) -> Bounds:
    sides = []
    for t, bound in (lower, upper):
        sides.append(Side.of(t.astype(bound.dtype), bound, np.zeros(len(t), np.int64)))
    return Bounds(sides[0], sides[1], np.intersect1d(sides[0].blocks, sides[1].blocks))


@dataclass(frozen=True, eq=False)
class Lines:
    """A line for each of some conditions, in as few binary places as serve all.

    Attributes:
        places: binary places.
        slopes, constants: int64 [n] with so many places.
    """

    places: int
    slopes: Integers
    constants: Integers


def feasible(conditions: Conditions, through: str) -> bool:
    """Whether there is a line at all.

    Args:
        through: "thresholds" or "codes".
    """
    return any(_slopes(conditions, through, places) is not None for places in _tried([conditions]))


def lines(conditions: Sequence[Conditions], through: str) -> Lines | None:
    """Lines for all conditions; None if one has none.

    Args:
        through: "thresholds": totals over codes; "codes": codes over totals.
    """
    for most in _tried(conditions):
        found = [_slopes(each, through, most) for each in conditions]
        known = [slopes for slopes in found if slopes is not None]
        if len(known) == len(found):
            return _of_few_places(conditions, through, known, most)
    return None


def _tried(conditions: Sequence[Conditions]) -> list[int]:
    """Binary places: as many as 64 bits allow, then as many as anyone needs."""
    pairs = np.concatenate([np.concatenate([each.below, each.reached]) for each in conditions])
    sizes = [int(np.abs(pairs[:, axis]).max(initial=1)).bit_length() for axis in (0, 1)]
    quick = _PRODUCT_BITS - sum(sizes) - 2
    return [places for places in (quick, _MOST_PLACES) if places > 0]


def _slopes(conditions: Conditions, through: str, places: int) -> Range | None:
    """All slopes that serve."""
    if through == "thresholds" and conditions.open:
        return Range(max(_least(conditions, places), 1), 1 << _PRODUCT_BITS)
    if conditions.free:
        return Range(1, 1 << _PRODUCT_BITS)
    found = _through(conditions, through, places).slopes()
    if found is None or found.high < 1:
        return None
    return Range(max(found.low, 1), found.high)


def _least(conditions: Conditions, places: int) -> int:
    """The least slope of thresholds where any above it serves."""
    found = [1]
    for code, below in conditions.below.tolist():
        for before, reached in conditions.reached.tolist():
            if before < code:
                found.append(-(-(((below - reached) << places) + 1) // (code - before)))
    return max(found)


def _through(conditions: Conditions, through: str, places: int) -> Bounds:
    return conditions.codes(places) if through == "codes" else conditions.thresholds(places)


def _of_few_places(
    conditions: Sequence[Conditions], through: str, slopes: Sequence[Range], most: int
) -> Lines | None:
    for places in range(most + 1):
        rest = most - places
        # a slope with fewer places is one that ends with zeros
        fewer = [(max(-(-own.low >> rest), 1), own.high >> rest) for own in slopes]
        if all(low <= high for low, high in fewer):
            break
    wanted = max(low for low, _ in fewer)
    chosen = [min(wanted, high) for _, high in fewer]
    constants = [
        _constant(_through(each, through, places), slope)
        for each, slope in zip(conditions, chosen, strict=True)
    ]
    if max(map(abs, (*chosen, *constants))).bit_length() > _PRODUCT_BITS:
        return None
    return Lines(places, np.array(chosen, np.int64), np.array(constants, np.int64))


def _constant(bounds: Bounds, slope: int) -> int:
    least, most = bounds.constants(slope)
    if 0 in most:
        return most[0]
    return least.get(0, 0)
