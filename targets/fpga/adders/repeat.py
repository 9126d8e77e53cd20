"""Repeated searches: each changes the order of the inputs that was the best until then.

How many are made depends on the rows and the effort, never on time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from actc.targets.fpga.adders.cost import adder_cost
from actc.targets.fpga.adders.digits import canonical_digits, digit_count, minimal_digits
from actc.targets.fpga.adders.options import AdderOptions
from actc.targets.fpga.adders.program import AdderGraph, Program, Term, moved, needed
from actc.targets.fpga.adders.search import Row, Search
from actc.targets.fpga.adders.total import total
from actc.targets.fpga.hdl import Range

_PAIRS = (1_000_000, 3_000_000, 3_000_000, 6_000_000)
"""By effort: pairs of digits that one search may count at once; beyond, inputs go in blocks."""

_WORK = (0, 0, 1_000_000, 12_000_000)
"""By effort: pairs of digits that repeated searches may count in all."""

_SEARCHES = (1, 1, 60, 300)
"""By effort: at most so many searches, however small the matrix."""

_POWER = 2.0
"""The power of a first search: wide sums count for more than they cost, as they end rows."""


def best_graph(
    ranges: Sequence[Range],
    rows: Sequence[Row],
    options: AdderOptions,
    progress: Callable[[float], None],
) -> AdderGraph:
    """The cheapest adder graph found for rows over inputs of these ranges."""
    affordable = _WORK[options.effort] // max(_pairs(rows), 1)
    searches = min(max(affordable, 1), _SEARCHES[options.effort])
    random = np.random.default_rng(options.seed)
    taste = _Taste(tuple(range(len(ranges))), _POWER)
    best: tuple[int, AdderGraph] | None = None
    kept = taste
    for number in range(searches):
        graph = _reordered(ranges, rows, taste.order, options, taste.power)
        cost = adder_cost(graph, options.family)
        if best is None or cost <= best[0]:
            best, kept = (cost, graph), taste
        taste = kept.changed(random)
        progress((number + 1) / searches)
    assert best is not None
    return best[1]


class _Taste(NamedTuple):
    """What a greedy search depends on.

    Attributes:
        order: of the inputs; of equal pairs the one of the first nodes is taken.
        power: of the cells of a pair in its price.
    """

    order: tuple[int, ...]
    power: float

    def changed(self, random: np.random.Generator) -> _Taste:
        """With up to a fifth of the inputs elsewhere, and another power."""
        order, count = list(self.order), len(self.order)
        for place in random.integers(0, count, max(int(count * random.uniform(0.03, 0.2)), 1)):
            order.insert(int(random.integers(0, count)), order.pop(place))
        power = self.power + float(random.normal(0.0, 0.2))
        return _Taste(tuple(order), min(max(power, 1.2), 3.5))


def _reordered(
    ranges: Sequence[Range],
    rows: Sequence[Row],
    order: Sequence[int],
    options: AdderOptions,
    power: float,
) -> AdderGraph:
    """The graph of a search that sees the inputs in another order."""
    place = {index: number for number, index in enumerate(order)}
    given = [dict(sorted((place[index], c) for index, c in row.items())) for row in rows]
    program = Program.of([ranges[index] for index in order])
    found = _graph(program, given, options, power)
    back = list(order)
    made = Program.of(ranges)
    for node in found.program.sums:
        back.append(made.add(moved(node, back)))
    terms = (term and term._replace(node=back[term.node]) for term in found.outputs)
    return AdderGraph(made, tuple(terms))


def _graph(
    program: Program, rows: Sequence[Row], options: AdderOptions, power: float
) -> AdderGraph:
    limits = [_limit(row, options.max_depth) for row in rows]
    family = options.family
    for block in _blocks(rows, len(program.ranges), _PAIRS[options.effort]):
        parts = [{node: c for node, c in row.items() if node in block} for row in rows]
        search = Search(program, parts, family, limits, power)
        search.share()
        rows = [
            {node: c for node, c in row.items() if node not in block} | part
            for row, part in zip(rows, search.rows, strict=True)
        ]
    outputs = [
        total(program, _terms(row), family, limit) for row, limit in zip(rows, limits, strict=True)
    ]
    return needed(program, outputs)


def _pairs(rows: Sequence[Row]) -> int:
    """Pairs of digits that a search over all rows counts first."""
    return sum(sum(len(minimal_digits(c)) for c in row.values()) ** 2 // 2 for row in rows)


def _blocks(rows: Sequence[Row], inputs: int, limit: int) -> list[range]:
    """Inputs in as few equal blocks as keep the pairs of each within a limit."""
    count = max(round(np.sqrt(_pairs(rows) / limit)), 1)
    bounds = np.linspace(0, inputs, count + 1).astype(int).tolist()
    return [range(low, high) for low, high in itertools.pairwise(bounds)]


def _limit(row: Row, depth: int | None) -> int | None:
    """The limit of depth of a row, as far as its digits allow one."""
    if depth is None:
        return None
    return max(depth, (sum(digit_count(c) for c in row.values()) - 1).bit_length())


def _terms(row: Row) -> list[Term]:
    return [
        Term(node, place, sign)
        for node, constant in row.items()
        for place, sign in canonical_digits(constant)
    ]
