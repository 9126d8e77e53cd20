"""Orders in which a few terms can be summed, with single bits as carries; see docs/adders.md."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import cycle
from typing import NamedTuple

import numpy as np

from actc.targets.fpga.adders.cost import cells_of, cells_with_carry
from actc.targets.fpga.hdl import Range

_LEAST = 3
"""Bits of a chain from which a carry may enter it; shorter ones are look-up tables."""


class Word(NamedTuple):
    """``sign * (value << place)``, with the bounds of the value."""

    low: int
    high: int
    place: int
    sign: int

    @property
    def width(self) -> int:
        """Bits of the value."""
        return Range(self.low, self.high).width

    @property
    def rest(self) -> Word:
        """Without the lowest bit."""
        return Word(self.low >> 1, self.high >> 1, self.place + 1, self.sign)

    @property
    def splits(self) -> bool:
        """Whether it is narrower without its lowest bit."""
        return self.width > 1 or self.low >= 0


class Step(NamedTuple):
    """Two words that are joined, the first one never negated, and the word a bit is taken of.

    Words are counted: the terms first, then of each step the rest of what a bit was taken
    of, if any was, and the sum.
    """

    first: int
    second: int
    taken: int


class Plan(NamedTuple):
    """An order, and the logic cells it takes."""

    cells: int
    steps: tuple[Step, ...]


class Taste(NamedTuple):
    """What a trial prefers: `carry` places for a carry, `cells` per cell, and noise."""

    carry: float
    cells: float
    noise: float


class _Way(NamedTuple):
    """How two words can be joined.

    Attributes:
        turned: whether the second word comes first.
        low, high: bounds of the sum.
        sign: of the sum, relative to the first word.
        taken: sign of a bit that enters as the carry, relative to the first word; 0: none.
        cells: that it takes.
    """

    turned: bool
    low: int
    high: int
    sign: int
    taken: int
    cells: int


def tastes(trials: int, random: np.random.Generator) -> list[Taste]:
    """The first trials are without noise, the others with some."""
    plain = [Taste(carry, cells, 0.0) for carry in (1.0, 2.0, 0.0) for cells in (0.5, 0.0)]
    drawn = zip(
        random.integers(0, 3, trials).tolist(),
        random.uniform(0.3, 2.0, trials).tolist(),
        strict=True,
    )
    return (plain + [Taste(float(carry), 0.5, noise) for carry, noise in drawn])[:trials]


class _Pair(NamedTuple):
    """Two words that can be joined, first that of the lower place; pairs with low keys first."""

    key: float
    cells: int
    first: int
    second: int


class Trial:
    """One order of sums: the pair with the lowest key is joined, then the next one.

    The key is the highest bit of the sum, so that long sums come last, changed by taste.
    """

    def __init__(
        self,
        words: Sequence[Word],
        result: Range,
        family: str,
        taste: Taste,
        random: np.random.Generator,
    ) -> None:
        self._words = list(words)
        self._result = result
        self._family = family
        self._taste = taste
        self._noise = cycle((random.random(len(words) ** 2) * taste.noise).tolist())
        self._live: dict[int, None] = {}
        self._pairs: list[_Pair] = []
        self._splits: Counter[tuple[int, int]] = Counter()
        for index in range(len(words)):
            self._enter(index)

    def plan(self, negated: dict[int, int]) -> Plan:
        """The steps, and their cells; `negated` outputs have to be turned at the end."""
        cells, steps = 0, []
        while len(self._live) > 1:
            step, cost = self._joined(*self._best())
            steps.append(step)
            cells += cost
        last = self._words[-1]
        if steps and negated[last.sign]:
            cells += negated[last.sign] * cells_of(self._family)(last.width)
        return Plan(cells, tuple(steps))

    # -- words

    def _enter(self, index: int) -> None:
        word = self._words[index]
        for other in self._live:
            first, second = (
                (other, index) if self._words[other].place <= word.place else (index, other)
            )
            way = self._ways(first, second)[0]
            place = self._words[first].place
            key = Range(way.low, way.high).width + place + self._taste.cells * way.cells
            heapq.heappush(self._pairs, _Pair(key + next(self._noise), way.cells, first, second))
        self._live[index] = None
        self._splits[word.place, word.sign] += word.splits

    def _leave(self, index: int) -> None:
        word = self._words[index]
        del self._live[index]
        self._splits[word.place, word.sign] -= word.splits

    def _ways(self, first: int, second: int) -> tuple[_Way, ...]:
        a, b = self._words[first], self._words[second]
        shift, sign = b.place - a.place, a.sign * b.sign
        return _ways(a.low, a.high, b.low, b.high, shift, sign, self._family)

    # -- pairs

    def _best(self) -> tuple[_Pair, _Way]:
        """The pair to join now: one that a carry can enter may have a higher key."""
        passed: list[_Pair] = []
        found: tuple[_Pair, _Way] | None = None
        while self._pairs:
            pair = heapq.heappop(self._pairs)
            if pair.first not in self._live or pair.second not in self._live:
                continue
            if passed and pair.key > passed[0].key + self._taste.carry:
                passed.append(pair)
                break
            passed.append(pair)
            way = self._way(pair)
            if way.taken or found is None:
                found = pair, way
            if way.taken:
                break
        assert found is not None
        for pair in passed:
            if pair is not found[0]:
                heapq.heappush(self._pairs, pair)
        return found

    def _way(self, pair: _Pair) -> _Way:
        """The first way with a carry that some other word has, or the one without."""
        a, b = self._words[pair.first], self._words[pair.second]
        plain, *others = self._ways(pair.first, pair.second)
        for way in others:
            sign = a.sign * way.taken
            count = self._splits[b.place, sign]
            for word in (a, b):
                count -= word.splits and (word.place, word.sign) == (b.place, sign)
            if count > 0:
                return way
        return plain

    def _joined(self, pair: _Pair, way: _Way) -> tuple[Step, int]:
        first, second = pair.first, pair.second
        a, b = self._words[first], self._words[second]
        self._leave(first)
        self._leave(second)
        taken = -1
        if way.taken:
            taken = self._giver(b.place, a.sign * way.taken)
            self._leave(taken)
            rest = self._words[taken].rest
            self._words.append(rest)
            if rest.low or rest.high:
                self._enter(len(self._words) - 1)
        total = Word(way.low, way.high, a.place, a.sign * way.sign)
        cells = way.cells
        if not self._live:  # the last sum: its range is known exactly
            ends = self._result if total.sign > 0 else -self._result
            total = total._replace(low=ends.low >> total.place, high=ends.high >> total.place)
            bits = max(total.width - b.place + a.place, 1)
            if way.taken:
                shorter = min(a.width - b.place + a.place, b.width)
                cells = min(cells, cells_with_carry(self._family)(bits, shorter))
            else:
                cells = min(cells, cells_of(self._family)(bits))
        self._words.append(total)
        self._enter(len(self._words) - 1)
        return Step(*((second, first) if way.turned else (first, second)), taken), cells

    def _giver(self, place: int, sign: int) -> int:
        """The narrowest word of a place and a sign that can give its lowest bit."""
        fit = [
            (word.width, index)
            for index in self._live
            if (word := self._words[index]).place == place and word.sign == sign and word.splits
        ]
        return min(fit)[1]


@lru_cache(maxsize=1 << 16)
def _ways(
    a_low: int, a_high: int, b_low: int, b_high: int, shift: int, sign: int, family: str
) -> tuple[_Way, ...]:
    """How two words can be joined: without a carry, then with one where that costs no more."""
    low, high = _sum(a_low, a_high, b_low, b_high, shift, sign)
    bits = max(Range(low, high).width - shift, 1)
    apart = sign > 0 and a_low >= 0 and a_high < 1 << shift
    cells = 0 if apart else cells_of(family)(bits)
    found = [_Way(False, low, high, 1, 0, cells)]
    bounds = [(False, 1, sign, _sum(a_low, a_high, b_low, b_high + 1, shift, sign))]
    if shift == 0 and sign < 0:
        bounds.append((True, -1, 1, _sum(b_low, b_high, a_low, a_high + 1, 0, sign)))
    shorter = min(Range(a_low, a_high).width - shift, Range(b_low, b_high).width)
    for turned, its, taken, (low, high) in bounds:
        bits = Range(low, high).width - shift
        cost = cells_with_carry(family)(bits, shorter)
        if bits >= _LEAST and cost <= cells:
            found.append(_Way(turned, low, high, its, taken, cost))
    return tuple(found)


def _sum(
    a_low: int, a_high: int, b_low: int, b_high: int, shift: int, sign: int
) -> tuple[int, int]:
    """Bounds of ``a + sign * (b << shift)``."""
    if sign > 0:
        return a_low + (b_low << shift), a_high + (b_high << shift)
    return a_low - (b_high << shift), a_high - (b_low << shift)
