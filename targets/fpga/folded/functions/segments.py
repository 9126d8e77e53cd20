"""Staircases cut into pieces, each of them with its thresholds on a line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actc.targets.fpga.folded.functions.lines import Codes, Conditions, feasible
from actc.targets.fpga.folded.functions.staircases import Parts
from actc.targets.fpga.folded.program import Integers
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range

_MOST_PIECES = 8


@dataclass(frozen=True, eq=False)
class Segments:
    """Pieces of rising staircases, as many of each channel.

    Attributes:
        inverted: int64 [channels], 1 where the staircase is one of ~total.
        pieces: [channels][pieces], inputs; of channels that need fewer the last one is there
            several times.
        conditions: of all pieces, one channel after the other.
    """

    inverted: Integers
    pieces: tuple[tuple[Range, ...], ...]
    conditions: tuple[Conditions, ...]

    @classmethod
    def of(cls, parts: Parts, codes: Codes) -> Segments | None:
        """None if a staircase neither rises nor falls, or takes too many pieces."""
        inverted, cuts, found = [], [], []
        for staircase, number in zip(parts.staircases, parts.classes.tolist(), strict=True):
            up = rises(staircase)
            if up is None:
                return None
            own = staircase if up else staircase.mirrored()
            pieces = _pieces(own, codes, number)
            if pieces is None:
                return None
            inverted.append(int(not up))
            cuts.append(pieces)
            found.append([_conditions(own.cut(piece), codes, number) for piece in pieces])
        count = max(map(len, cuts))
        return cls(
            np.array(inverted, np.int64),
            tuple((*own, *own[-1:] * (count - len(own))) for own in cuts),
            tuple(each for own in found for each in (*own, *own[-1:] * (count - len(own)))),
        )

    @property
    def count(self) -> int:
        """Pieces of each channel."""
        return len(self.pieces[0])

    @property
    def inputs(self) -> list[Range]:
        """Of all pieces, one channel after the other."""
        return [piece for own in self.pieces for piece in own]

    @property
    def begins(self) -> list[Integers]:
        """Where pieces begin, from the second on: a column each.

        They are as many as a search takes; what no input reaches fills up.
        """
        beyond = np.array([own[-1].high + 1 for own in self.pieces], np.int64)
        found = [beyond] * ((1 << (self.count - 1).bit_length()) - 1)
        for place in range(1, self.count):
            begin = np.array([own[place].low for own in self.pieces], np.int64)
            again = np.array([own[place] == own[place - 1] for own in self.pieces])
            found[place - 1] = np.where(again, beyond, begin)
        return found


def rises(staircase: StepFunction) -> bool | None:
    """Whether a staircase rises, or falls; None if it does neither."""
    if (staircase.levels[1:] > staircase.levels[:-1]).all():
        return True
    return False if (staircase.levels[1:] < staircase.levels[:-1]).all() else None


def _pieces(staircase: StepFunction, codes: Codes, number: int) -> list[Range] | None:
    """As few pieces as lines serve; None if they are too many."""
    found: list[Range] = []
    begin = staircase.range.low
    while len(found) < _MOST_PIECES:
        rest = staircase.cut(Range(begin, staircase.range.high))
        end = _longest(rest, codes, number)
        found.append(Range(begin, end))
        if end == staircase.range.high:
            return found
        begin = end + 1
    return None


def _longest(rest: StepFunction, codes: Codes, number: int) -> int:
    """The last input of the longest piece from the first input on."""
    ends = rest.ends.tolist()
    if feasible(_conditions(rest, codes, number), "thresholds"):
        return int(ends[-1])
    low, high = 0, len(ends) - 1
    while high - low > 1:  # a single run always has a line
        middle = (low + high) // 2
        part = rest.cut(Range(rest.range.low, ends[middle]))
        if feasible(_conditions(part, codes, number), "thresholds"):
            low = middle
        else:
            high = middle
    return int(ends[low])


def _conditions(part: StepFunction, codes: Codes, number: int) -> Conditions:
    return Conditions.of(part, codes.base, codes.steps[number])
