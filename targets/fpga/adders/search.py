"""Sharing: two-term common subexpressions, by what they save.

Every output is a row of terms. The pair of terms that saves the most adder cells, times its
occurrences but one, becomes a node, and each occurrence one term; then again, until no
pair occurs twice (Potkonjak, Srivastava and Chandrakasan 1996; Hosangadi, Fallah and
Kastner 2006). What is left of a row is summed pair by pair, the cheapest sum first.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from actc.targets.fpga.adders.cost import adder_bits, cells_of
from actc.targets.fpga.adders.program import Program, Sum, Term

Row = dict[tuple[int, int], int]
"""(node, shift) -> sign."""


@dataclass
class Taste:
    """What a search prefers; drawn at random for repeated searches.

    Attributes:
        power: of the cells of a sum, where pairs are compared.
        noise: relative, of each comparison.
        random: where the noise is drawn from.
    """

    power: float = 1.0
    noise: float = 0.0
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def score(self, count: int, cells: int) -> float:
        """How good it is to share a sum of so many cells among `count` terms."""
        score: float = (count - 1) * float(cells) ** self.power
        return score * (1.0 + self.noise * self.random.random()) if self.noise else score


class Search:
    """Rows over the nodes of a program, and how often each pair of terms stands in them."""

    def __init__(
        self,
        program: Program,
        rows: Iterable[Iterable[Term]],
        family: str,
        limits: Sequence[int | None],
        taste: Taste,
    ) -> None:
        self.program = program
        self.rows: list[Row] = [{} for _ in limits]
        self.cells = cells_of(family)
        self.limits = limits
        self.taste = taste
        self.counts: dict[Sum, int] = {}
        self.where: dict[int, set[int]] = {}
        self.heap: list[tuple[float, Sum]] = []
        for number, terms in enumerate(rows):
            for term in terms:
                self._insert(number, term)
        self._start()

    # -- rows

    def _pairs(self, number: int, term: Term) -> Iterator[Sum]:
        node, shift, sign = term
        for (other, place), its in self.rows[number].items():
            if shift < place or (shift == place and node < other):
                yield Sum(node, other, place - shift, sign * its)
            else:
                yield Sum(other, node, shift - place, sign * its)

    def _insert(self, number: int, term: Term) -> list[Sum]:
        touched = []
        counts = self.counts
        for pair in self._pairs(number, term):
            counts[pair] = counts.get(pair, 0) + 1
            touched.append(pair)
        self.rows[number][term.node, term.shift] = term.sign
        self.where.setdefault(term.node, set()).add(number)
        return touched

    def _remove(self, number: int, term: Term) -> None:
        row, counts = self.rows[number], self.counts
        del row[term.node, term.shift]
        for pair in self._pairs(number, term):
            left = counts[pair] - 1
            if left:
                counts[pair] = left
            else:
                del counts[pair]

    # -- sharing

    def _score(self, pair: Sum, count: int) -> float:
        program = self.program
        cells = self.cells(adder_bits(program, pair, program.result(pair)))
        return self.taste.score(count, cells)

    def _start(self) -> None:
        self.heap = [(-self._score(p, n), p) for p, n in self.counts.items() if n > 1]
        heapq.heapify(self.heap)

    def share(self) -> None:
        """Make nodes of pairs until none is worth it."""
        while self.heap:
            found, pair = heapq.heappop(self.heap)
            count = self.counts.get(pair, 0)
            if count < 2:
                continue
            score = -self._score(pair, count)
            if score > found + abs(found) * self.taste.noise + 1e-9:
                heapq.heappush(self.heap, (score, pair))
                continue
            places = self._in_time(pair, self._places(pair))
            if len(places) > 1:
                self._take(pair, places)

    def _places(self, pair: Sum) -> list[tuple[int, int]]:
        """Rows and shifts where a pair stands and may be taken, none overlapping another."""
        places = []
        both = self.where.get(pair.first, set()) & self.where.get(pair.second, set())
        for number in sorted(both):
            row = self.rows[number]
            taken: set[tuple[int, int]] = set()
            for node, shift in sorted(key for key in row if key[0] == pair.first):
                first, second = (node, shift), (pair.second, shift + pair.shift)
                sign = row.get(second)
                if sign is None or row[first] * sign != pair.sign:
                    continue
                if first not in taken and second not in taken:
                    taken |= {first, second}
                    places.append((number, shift))
        return places

    def _in_time(self, pair: Sum, places: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """The places that rows can give and still meet their limits of depth.

        The terms of a row fit under a limit if and only if the sum of two to their depths
        is at most two to the limit (Kraft).
        """
        depths = self.program.depths
        a, b = depths[pair.first], depths[pair.second]
        more = (2 << max(a, b)) - (1 << a) - (1 << b)
        weights: dict[int, int] = {}
        kept = []
        for number, shift in places:
            limit = self.limits[number]
            if limit is not None:
                if number not in weights:
                    weights[number] = sum(1 << depths[node] for node, _ in self.rows[number])
                if weights[number] + more > 1 << limit:
                    continue
                weights[number] += more
            kept.append((number, shift))
        return kept

    def _take(self, pair: Sum, places: list[tuple[int, int]]) -> None:
        new = self.program.add(pair)
        touched: dict[Sum, None] = {}
        for number, shift in places:
            row = self.rows[number]
            second = pair.second, shift + pair.shift
            sign = row[pair.first, shift]
            self._remove(number, Term(pair.first, shift, sign))
            self._remove(number, Term(*second, row[second]))
            touched |= dict.fromkeys(self._insert(number, Term(new, shift, sign)))
        for found in touched:
            count = self.counts.get(found, 0)
            if count > 1:
                heapq.heappush(self.heap, (-self._score(found, count), found))

    # -- sums

    def finish(self, progress: Callable[[float], None] | None = None) -> list[Term | None]:
        """Sum what is left of each row."""
        outputs: list[Term | None] = []
        for number, row in enumerate(self.rows):
            terms = [Term(node, shift, sign) for (node, shift), sign in row.items()]
            outputs.append(self._total(terms, self.limits[number]) if terms else None)
            if progress is not None:
                progress((number + 1) / len(self.rows))
        return outputs

    def _total(self, terms: list[Term], limit: int | None) -> Term:
        program = self.program
        alive = dict(enumerate(terms))
        new = len(terms) - 1
        heap: list[tuple[int, int, int, int]] = []

        def offer(i: int, j: int) -> None:
            pair, _, _ = program.joined(alive[i], alive[j])
            result = program.result(pair)
            cells = 0 if pair in program.known else self.cells(adder_bits(program, pair, result))
            heapq.heappush(heap, (cells, result.width + pair.shift, i, j))

        for i in alive:
            for j in range(i):
                offer(i, j)
        while len(alive) > 1:
            _, _, i, j = heapq.heappop(heap)
            if i not in alive or j not in alive:
                continue
            a, b = alive[i], alive[j]
            if limit is not None:
                depths = program.depths
                da, db = depths[a.node], depths[b.node]
                weight = sum(1 << depths[t.node] for t in alive.values())
                if weight - (1 << da) - (1 << db) + (2 << max(da, db)) > 1 << limit:
                    continue
            del alive[i], alive[j]
            new += 1
            alive[new] = program.join(a, b)
            for other in list(alive):
                if other != new:
                    offer(new, other)
        return next(iter(alive.values()))
