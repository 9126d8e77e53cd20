"""Slopes as sums of a few shifted inputs, chosen per segment.

A term is one of some options: nothing, t shifted, or the inverse of one of these. Since
``-(t << e) == (~t << e) + (1 << e) == ~(t << e) + 1``, subtraction costs no adder of its
own: the rest is a constant of the segment.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from actc.targets.fpga.hdl import Wire
from actc.targets.fpga.units.options import Multiplier
from actc.targets.fpga.units.selectors import Selector


class Digit(NamedTuple):
    """``sign * 2**exponent``; sign 0 is nothing."""

    sign: int
    exponent: int


NOTHING = Digit(0, 0)
_MOST_OPTIONS = 4
_MOST_DIGITS = 2


@dataclass(frozen=True)
class Term:
    """One digit of every segment's slope.

    Attributes:
        digits: of each segment, one at least not nothing.
    """

    digits: tuple[Digit, ...]

    @property
    def options(self) -> list[Digit]:
        """The different digits."""
        return sorted(set(self.digits))

    @property
    def signs_apart(self) -> bool:
        """Whether shift and sign are chosen one after the other.

        A bit of at most four options is one LUT4 behind two bits that choose; of more
        it is smaller to choose the shift first. Measured; see docs/hdl.md.
        """
        return len(self.options) > _MOST_OPTIONS

    @property
    def place(self) -> int:
        """Zero bits that all digits end with."""
        return min(digit.exponent for digit in self.digits if digit.sign)

    def wire(self, t: Wire, selector: Selector) -> Wire:
        """The digit of the segment times t, from :attr:`place` on, less its correction."""
        digits = [
            Digit(digit.sign, digit.exponent - self.place) if digit.sign else NOTHING
            for digit in self.digits
        ]
        if not self.signs_apart:
            return _chosen(digits, t, selector)
        sizes = [Digit(abs(digit.sign), digit.exponent) for digit in digits]
        size = _chosen(sizes, t, selector)
        negative = selector.pick([int(digit.sign < 0) for digit in digits])
        return t.graph.select(negative.named("negative"), [size, ~size])

    def corrections(self) -> list[int]:
        """What each segment's constant must add."""
        negative = [digit.sign < 0 for digit in self.digits]
        if self.signs_apart:
            return [flag << self.place for flag in negative]
        places = [digit.exponent for digit in self.digits]
        return [flag << place for flag, place in zip(negative, places, strict=True)]


def _chosen(digits: Sequence[Digit], t: Wire, selector: Selector) -> Wire:
    options = sorted(set(digits))
    index = selector.pick([options.index(digit) for digit in digits])
    return t.graph.select(index, [_shifted(t, digit) for digit in options])


def _shifted(t: Wire, digit: Digit) -> Wire | int:
    if digit.sign == 0:
        return 0
    return (t if digit.sign > 0 else ~t) << digit.exponent


def terms(column: Sequence[int], multiplier: Multiplier) -> list[Term]:
    """Terms whose sums are the coefficients of `column`, as the option asks for."""
    if multiplier == "digits":
        return digit_terms(column)
    radix_4 = radix_4_terms(column)
    count = most_digits(column)
    if multiplier == "auto" and count <= _MOST_DIGITS and 2 * count < len(radix_4):
        return digit_terms(column)
    return radix_4


def most_digits(column: Sequence[int]) -> int:
    """The most signed digits of a coefficient."""
    return max(len(signed_digits(coefficient)) for coefficient in column)


def signed_digits(slope: int) -> list[Digit]:
    """The non-adjacent form, largest exponent first: the fewest signed digits."""
    found = []
    exponent = 0
    while slope:
        if slope & 1:
            sign = 2 - (slope & 3)
            found.append(Digit(sign, exponent))
            slope -= sign
        slope >>= 1
        exponent += 1
    return found[::-1]


def digit_terms(slopes: Sequence[int]) -> list[Term]:
    """As many terms as the slopes have signed digits at most, with few options each.

    Digits may stand in any term. Slopes with the most digits choose first; each takes
    an order that adds the fewest options (an assignment problem), and of these one
    that keeps its digits close to their rank.
    """
    forms = [signed_digits(slope) for slope in slopes]
    count = max(map(len, forms))
    options: list[set[Digit]] = [set() for _ in range(count)]
    chosen: dict[int, list[Digit]] = {}
    for k in sorted(range(len(forms)), key=lambda k: -len(forms[k])):
        padded = forms[k] + [NOTHING] * (count - len(forms[k]))
        chosen[k] = fewest_added(padded, options)
        for digit, known in zip(chosen[k], options, strict=True):
            known.add(digit)
    columns = zip(*(chosen[k] for k in range(len(forms))), strict=True)
    return [Term(column) for column in columns]


def fewest_added(digits: list[Digit], options: Sequence[Collection[Digit]]) -> list[Digit]:
    """The digits in the order of the terms that they go to."""
    count = len(digits)
    added = [[digit not in known for digit in digits] for known in options]
    rank = np.arange(count)
    moved = (rank[:, None] - rank) ** 2
    # all moves together are less than count**3
    _, order = linear_sum_assignment(np.array(added).reshape(count, count) * count**3 + moved)
    return [digits[index] for index in order]


def radix_4_terms(slopes: Sequence[int]) -> list[Term]:
    """Digits -1, 0, 1, 2 at every second place: Booth's recoding, done in the constants.

    A bit of such a term is a function of four bits: two of t and two that choose.
    """
    rest = list(slopes)
    terms = []
    place = 0
    while any(rest):
        digits = [(value + 1) % 4 - 1 for value in rest]
        if any(digits):
            terms.append(Term(tuple(_radix_4(digit, place) for digit in digits)))
        rest = [(value - digit) >> 2 for value, digit in zip(rest, digits, strict=True)]
        place += 2
    return terms


def _radix_4(digit: int, place: int) -> Digit:
    if digit == 0:
        return NOTHING
    return Digit(-1 if digit < 0 else 1, place + (digit == 2))
