"""Slopes as sums of a few shifted inputs, chosen per segment.

A term is one of some options: nothing, t shifted, or the inverse of one of these. Since
``-(t << e) == (~t << e) + (1 << e) == ~(t << e) + 1``, subtraction costs no adder of its
own: the rest is a constant of the segment.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
        digits: of each segment.
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

    def wire(self, t: Wire, selector: Selector) -> Wire:
        """The digit of the segment times t, less what :meth:`corrections` add."""
        if not self.signs_apart:
            return _chosen(self.digits, t, selector)
        sizes = [Digit(abs(digit.sign), digit.exponent) for digit in self.digits]
        size = _chosen(sizes, t, selector)
        negative = selector.pick([int(digit.sign < 0) for digit in self.digits])
        return t.graph.select(negative.named("negative"), [size, ~size])

    def corrections(self) -> list[int]:
        """What each segment's constant must add."""
        negative = [digit.sign < 0 for digit in self.digits]
        if self.signs_apart:
            return [int(flag) for flag in negative]
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
    digits, radix_4 = digit_terms(column), radix_4_terms(column)
    if multiplier != "auto":
        return digits if multiplier == "digits" else radix_4
    few = len(digits) <= _MOST_DIGITS and 2 * len(digits) < len(radix_4)
    return digits if few else radix_4


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
    the order that adds the fewest options.
    """
    forms = [signed_digits(slope) for slope in slopes]
    count = max(map(len, forms))
    options: list[set[Digit]] = [set() for _ in range(count)]
    chosen: dict[int, tuple[Digit, ...]] = {}
    for k in sorted(range(len(forms)), key=lambda k: -len(forms[k])):
        padded = forms[k] + [NOTHING] * (count - len(forms[k]))
        orders = itertools.permutations(padded)
        best = min(orders, key=lambda order: _added(order, options))
        chosen[k] = best
        for digit, known in zip(best, options, strict=True):
            known.add(digit)
    columns = zip(*(chosen[k] for k in range(len(forms))), strict=True)
    return [Term(column) for column in columns]


def _added(order: Sequence[Digit], options: Sequence[set[Digit]]) -> int:
    return sum(digit not in known for digit, known in zip(order, options, strict=True))


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
