"""Independent verification of bounds: that so few pieces cannot serve given gates.

Part of the checker of :mod:`actc.approx.fixed_checker`: it shares no code with the
fitters, and decides in Python's integers. A witness is a list of inputs that no single
piece serves. Why, and what follows for the number of pieces:

Levels: a gate of one input lies above that of another.

Lines: ``low <= (S x + C) >> q <= high`` means that S x + C lies between low 2**q and
(high + 1) 2**q - 1. The difference of two inputs' inequalities has no C in it, and
bounds S from both sides; no S in the set lies within all of these bounds.

Both forms: the inputs of a witness need a break between the first and the last. Witnesses
in increasing order, sharing at most an end, need different breaks.

Trees: a leaf that holds all inputs of a witness also holds the smallest dyadic interval
around them, as two dyadic intervals are nested or disjoint. So this interval is an inner
node of every tree, and all intervals around it are. A binary tree has one leaf more than
inner nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise

from actc.approx.check_numbers import Malformed, integer, require_keys
from actc.approx.fixed_check_form import MOST_SHIFT, Form, Format, Integers

_MOST_INPUTS = 4
_MOST_DIGITS = 4
_MOST_TOP = 62


@dataclass(frozen=True)
class Slopes:
    """Multiples of `grid`, or (grid 0) sums of at most `digits` terms +-2**i, i <= `top`."""

    grid: int
    digits: int = 0
    top: int = 0

    @classmethod
    def read(cls, told: object) -> Slopes:
        """From the JSON of a certificate.

        Raises:
            Malformed: it is none.
        """
        if not isinstance(told, dict):
            raise Malformed("the slopes are not an object")
        if "grid" in told:
            require_keys(told, {"grid"}, "the set of slopes")
            return cls(integer(told["grid"], 1, 2**62, "the grid of slopes"))
        require_keys(told, {"digits", "top"}, "the set of slopes")
        digits = integer(told["digits"], 0, _MOST_DIGITS, "the digits of slopes")
        return cls(0, digits, integer(told["top"], 0, _MOST_TOP, "the top of slopes"))

    def meet(self, low: int, high: int) -> bool:
        """Whether a member lies in low..high."""
        if low > high:
            return False
        if self.grid:
            return high // self.grid * self.grid >= low
        return self._sums_meet(low, high)

    def _sums_meet(self, low: int, high: int) -> bool:
        """Try all sums, largest powers first.

        What is left of a sum, r terms of at most 2**i, is at most r 2**i large. That
        keeps only a few sums in play.
        """
        sums = {0: self.digits}  # sum so far -> most terms that are left
        for power in range(self.top, -1, -1):
            grown: dict[int, int] = {}
            for total, left in sums.items():
                for count in range(-left, left + 1):
                    value, rest = total + count * 2**power, left - abs(count)
                    room = rest * 2 ** (power - 1) if power else 0
                    if low - room <= value <= high + room:
                        grown[value] = max(rest, grown.get(value, 0))
            sums = grown
            if any(low <= value <= high for value in sums):
                return True
        return low <= 0 <= high


@dataclass(frozen=True)
class Bound:
    """A claim that gates need some number of pieces.

    Attributes:
        pieces: as the certificate has it.
        slopes, shift: of lines; the shift is the largest that the claim speaks of.
        witnesses: input codes.
    """

    pieces: int
    slopes: Slopes | None
    shift: int
    witnesses: list[list[int]]

    @classmethod
    def read(cls, told: object, form: Form, input: Format) -> Bound:
        """From the JSON of a certificate.

        Raises:
            Malformed: it is none, or not one for this form.
        """
        if form.pieces is None:
            raise Malformed("the form has no pieces that could be counted")
        if not isinstance(told, dict):
            raise Malformed("a bound is not an object")
        of_lines = form.name != "thresholds"
        proof = told.get("witnesses") != [] or "slopes" in told
        extra = {"slopes", "shift"} if of_lines and proof else set()
        require_keys(told, {"pieces", "witnesses", *extra}, "a bound")
        pieces = integer(told["pieces"], 1, 2**input.bits, "pieces")
        slopes = Slopes.read(told["slopes"]) if extra else None
        shift = integer(told["shift"], form.shift, MOST_SHIFT, "shift") if extra else 0
        bound = cls(pieces, slopes, shift, _witnesses(told["witnesses"], input))
        bound._require_member(form)
        return bound

    def _require_member(self, form: Form) -> None:
        """The form must be one of those that the claim speaks of."""
        if self.slopes is None:
            return
        for slope in set(form.slopes):
            scaled = slope * 2 ** (self.shift - form.shift)
            if not self.slopes.meet(scaled, scaled):
                raise Malformed("the form has a slope that the claim does not speak of")

    def proven(self, form: Form, low: Integers, high: Integers, input: Format) -> int:
        """The number of pieces that the witnesses prove these gates to need.

        Raises:
            Malformed: a piece may serve a witness.
        """
        gates = _Gates(low, high, self.shift, input)
        for witness in self.witnesses:
            if not gates.refute(witness, self.slopes):
                raise Malformed(f"one piece may serve the inputs {witness} of a witness")
        if form.name == "segment_tree":
            return 1 + len(_inner_nodes(self.witnesses, input))
        if any(one[-1] > other[0] for one, other in pairwise(self.witnesses)):
            raise Malformed("the witnesses overlap")
        return 1 + len(self.witnesses)


@dataclass(frozen=True)
class _Gates:
    low: Integers
    high: Integers
    shift: int
    input: Format

    def refute(self, witness: list[int], slopes: Slopes | None) -> bool:
        """Whether no single piece serves the inputs."""
        bounds = []
        for code in witness:
            index = code - self.input.low
            low, high = int(self.low[index]), int(self.high[index])
            if low > high:
                return True
            bounds.append((code, low, high))
        if slopes is None:
            return any(a[1] > b[2] or b[1] > a[2] for a, b in combinations(bounds, 2))
        return not slopes.meet(*self._slopes(bounds))

    def _slopes(self, bounds: list[tuple[int, int, int]]) -> tuple[int, int]:
        """First and last slope that every pair of inputs leaves; rounded inwards."""
        unit = 2**self.shift
        least, most = [], []
        for (x0, low0, high0), (x1, low1, high1) in combinations(bounds, 2):
            rise = low1 * unit - ((high0 + 1) * unit - 1)
            least.append(-(-rise // (x1 - x0)))
            most.append(((high1 + 1) * unit - 1 - low0 * unit) // (x1 - x0))
        return max(least), min(most)


def _witnesses(told: object, input: Format) -> list[list[int]]:
    if not isinstance(told, list) or len(told) > 2**input.bits:
        raise Malformed("the witnesses are not a list, or too many")
    for witness in told:
        if not isinstance(witness, list) or not 2 <= len(witness) <= _MOST_INPUTS:
            raise Malformed(f"a witness is not a list of 2 to {_MOST_INPUTS} inputs")
        for code in witness:
            integer(code, input.low, input.high, "an input of a witness")
        if any(one >= other for one, other in pairwise(witness)):
            raise Malformed("the inputs of a witness do not increase")
    return told


def _inner_nodes(witnesses: list[list[int]], input: Format) -> set[tuple[int, int]]:
    """Size (as a power of two) and place of the intervals around witnesses."""
    nodes: set[tuple[int, int]] = set()
    for witness in witnesses:
        first, last = witness[0] - input.low, witness[-1] - input.low
        for power in range(input.bits + 1):
            if first // 2**power == last // 2**power:
                nodes.add((power, first // 2**power))
    return nodes
