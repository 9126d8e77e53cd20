"""Sharing: two-term common subexpressions, by what they save.

Every output is a row: a constant for each node that it reads. The pair of digits that
saves the most becomes a node, and each occurrence a digit of that node; then again, until
no pair occurs twice (Potkonjak, Srivastava and Chandrakasan 1996; Hosangadi, Fallah and
Kastner 2006). Digits are those of every form of a constant with the fewest digits, so forms
are chosen by what they share.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

from actc.targets.fpga.adders.cost import adder_bits, cells_of
from actc.targets.fpga.adders.digits import digit_count, minimal_digits, minimal_pairs
from actc.targets.fpga.adders.program import Program, Sum

Row = dict[int, int]
"""Node -> its constant."""

# So that pairs are counted fast, a digit is one integer (shift, node, whether negative),
# and so is a pair (first node, then the second digit relative to the first).
_PLACE = 24
_LOW = (1 << _PLACE) - 1
_FIRST = 40


def _pair(key: int) -> Sum:
    rest = key & ((1 << _FIRST) - 1)
    return Sum(key >> _FIRST, (rest & _LOW) >> 1, rest >> _PLACE, -1 if rest & 1 else 1)


def _codes(node: int, constant: int) -> list[int]:
    return [place << _PLACE | node << 1 | (sign < 0) for place, sign in minimal_digits(constant)]


def _keys(digits: Sequence[int], others: Iterable[int]) -> list[int]:
    """The pairs of each digit with each of the others, of other nodes."""
    keys = []
    for x in digits:
        place, node = x & ~_LOW, (x & _LOW) >> 1 << _FIRST
        for y in others:
            if x < y:
                keys.append(node | (y - place) & ~1 | (x ^ y) & 1)
            else:
                keys.append((y & _LOW) >> 1 << _FIRST | (x - (y & ~_LOW)) & ~1 | (x ^ y) & 1)
    return keys


def _keys_inside(node: int, constant: int) -> list[int]:
    """The pairs of digits of one constant."""
    return [
        node << _FIRST | (q - p) << _PLACE | node << 1 | (s != t)
        for (p, s), (q, t) in minimal_pairs(constant)
    ]


class Search:
    """Rows over the nodes of a program, and how often each pair of digits stands in them.

    Pairs are compared by their adder cells to a power, times their occurrences but one. Of
    equal ones the one of the first nodes is taken, so the order of the inputs matters.

    Attributes:
        rows: what is left of each output.
    """

    def __init__(
        self,
        program: Program,
        rows: Iterable[Row],
        family: str,
        limits: Sequence[int | None],
        power: float,
    ) -> None:
        self.program = program
        self.rows: list[Row] = [{} for _ in limits]
        self._digits: list[dict[int, None]] = [{} for _ in limits]
        self._cells = cells_of(family)
        self._limits = limits
        self._power = power
        self._counts: dict[int, int] = {}
        self._prices: dict[int, float] = {}
        self._where: dict[int, dict[int, None]] = {}
        self._offered: dict[int, int] = {}
        self._heap: list[tuple[float, int]] = []
        for number, row in enumerate(rows):
            for node, constant in row.items():
                self._set(number, node, constant)
        self._offer(self._counts)

    # -- rows

    def _set(self, number: int, node: int, constant: int) -> list[int]:
        """Give a row a constant for a node; what pairs that makes."""
        row, digits, counts = self.rows[number], self._digits[number], self._counts
        old = row.pop(node, 0)
        if old:
            codes = _codes(node, old)
            for code in codes:
                del digits[code]
            for key in _keys(codes, digits) + _keys_inside(node, old):
                counts[key] -= 1
        if not constant:
            self._where[node].pop(number, None)
            return []
        row[node] = constant
        codes = _codes(node, constant)
        keys = _keys(codes, digits) + _keys_inside(node, constant)
        for key in keys:
            counts[key] = counts.get(key, 0) + 1
        digits |= dict.fromkeys(codes)
        self._where.setdefault(node, {})[number] = None
        return keys

    # -- sharing

    def _price(self, key: int) -> float:
        price = self._prices.get(key)
        if price is None:
            pair = _pair(key)
            cells = self._cells(adder_bits(self.program, pair, self.program.result(pair)))
            price = self._prices[key] = float(cells**self._power)
        return price

    def _offer(self, keys: Iterable[int]) -> None:
        """Put pairs on the heap that now stand more often than when they came there last."""
        counts, offered = self._counts, self._offered
        for key in keys:
            count = counts[key]
            if count > offered.get(key, 1):
                offered[key] = count
                heapq.heappush(self._heap, (-(count - 1) * self._price(key), key))

    def share(self) -> None:
        """Make nodes of pairs until none is worth it."""
        while self._heap:
            score, key = heapq.heappop(self._heap)
            if self._counts[key] < 2:
                self._offered.pop(key, None)
                continue
            pair = _pair(key)
            places = self._places(pair)
            found = -(len(places) - 1) * self._price(key)
            if len(places) < 2:
                self._offered.pop(key, None)
            elif found > score and self._heap and found > self._heap[0][0]:
                heapq.heappush(self._heap, (found, key))
            else:
                self._offered.pop(key, None)
                self._take(pair, places)

    def _places(self, pair: Sum) -> list[tuple[int, int, int]]:
        """Rows, shifts and signs where a pair can be taken, all of them together."""
        first, second, shift, sign, *_ = pair
        places = []
        for number in sorted(self._where[first].keys() & self._where[second].keys()):
            row = self.rows[number]
            left = {first: row[first], second: row[second]}
            room = self._room(number)
            for place, its in minimal_digits(row[first]):
                one = 1 << place
                rest = _without(left, (first, its * one), (second, sign * its * one << shift))
                if rest is None:
                    continue
                if room is not None:
                    room -= self._weight_of(pair)
                    if room < 0:
                        break
                left = rest
                places.append((number, place, its))
        return places

    def _room(self, number: int) -> int | None:
        """What a row may still add to the sum of two to the depths of its digits.

        A row can be summed within a limit of depth if and only if this sum is at most two
        to the limit (Kraft's inequality).
        """
        limit = self._limits[number]
        if limit is None:
            return None
        depths = self.program.depths
        used = sum(digit_count(c) << depths[node] for node, c in self.rows[number].items())
        return (1 << limit) - used

    def _weight_of(self, pair: Sum) -> int:
        a, b = self.program.depths[pair.first], self.program.depths[pair.second]
        return (2 << max(a, b)) - (1 << a) - (1 << b)

    def _take(self, pair: Sum, places: list[tuple[int, int, int]]) -> None:
        new = self.program.add(pair)
        changes: dict[int, dict[int, int]] = {}
        for number, place, sign in places:
            row = changes.setdefault(number, {})
            one = sign << place
            for node, digit in (
                (pair.first, -one),
                (pair.second, -pair.sign * one << pair.shift),
                (new, one),
            ):
                row[node] = row.get(node, 0) + digit
        touched: dict[int, None] = {}
        for number, row in changes.items():
            for node, change in row.items():
                constant = self.rows[number].get(node, 0) + change
                touched |= dict.fromkeys(self._set(number, node, constant))
        self._offer(touched)


def _without(constants: Row, *digits: tuple[int, int]) -> Row | None:
    """Constants less some digits; None if one is not among the fewest that make its constant."""
    left = dict(constants)
    for node, digit in digits:
        rest = left[node] - digit
        if digit_count(rest) >= digit_count(left[node]):
            return None
        left[node] = rest
    return left
