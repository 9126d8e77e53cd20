"""The sum of a few terms, pair by pair: first the sum whose highest bit is the lowest."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

from actc.targets.fpga.adders.cost import adder_bits, cells_of
from actc.targets.fpga.adders.program import Program, Term


class Total:
    """Terms that are summed, and the pairs of them, in the order of their sum's highest bit."""

    def __init__(self, program: Program, family: str, limit: int | None) -> None:
        self.program = program
        self._cells: Callable[[int], int] = cells_of(family)
        self._limit = limit
        self._terms: dict[int, Term] = {}
        self._count = 0
        self._heap: list[tuple[int, int, int, int]] = []

    def add(self, term: Term) -> None:
        """One term more."""
        program = self.program
        for index, other in self._terms.items():
            pair, shift, _ = program.joined(term, other)
            result = program.result(pair)
            cells = 0 if pair in program.known else self._cells(adder_bits(program, pair, result))
            heapq.heappush(self._heap, (result.width + shift, cells, index, self._count))
        self._terms[self._count] = term
        self._count += 1

    def join(self) -> Term:
        """All of them, summed."""
        while len(self._terms) > 1:
            _, _, i, j = heapq.heappop(self._heap)
            if i in self._terms and j in self._terms and self._in_time(i, j):
                first, second = self._terms.pop(i), self._terms.pop(j)
                self.add(self.program.join(first, second))
        return next(iter(self._terms.values()))

    def _in_time(self, i: int, j: int) -> bool:
        if self._limit is None:
            return True
        depths = [self.program.depths[term.node] for term in self._terms.values()]
        a, b = (self.program.depths[self._terms[k].node] for k in (i, j))
        weight = sum(1 << depth for depth in depths) - (1 << a) - (1 << b) + (2 << max(a, b))
        return weight <= 1 << self._limit


def total(program: Program, terms: Sequence[Term], family: str, limit: int | None) -> Term | None:
    """The sum of terms within a limit of depth; None of no terms.

    The limit holds if the sum of two to the depths of the terms is at most two to the limit.
    Two of the least depth can then always be joined; so a pair that is too deep now, which
    it remains, is not needed.
    """
    if not terms:
        return None
    summed = Total(program, family, limit)
    for term in terms:
        summed.add(term)
    return summed.join()
