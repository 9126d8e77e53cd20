"""Order and offsets as one integer program, solved by HiGHS.

As in the planning of scratchpad memories for accelerators: binaries say which step runs when,
from these follows when a buffer is in memory, and two buffers that are in memory at one time lie
above or below each other, unless a step writes in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from actc.targets.c.arena.problem import Layout, Problem

MOST_VARIABLES = 12_000
"""A larger program is not tried."""
_NODES = 50_000

Terms = list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Solved:
    """What the solver found.

    Attributes:
        layout: None if it found nothing better than was known.
        bound: no layout is smaller, in units.
        complete: whether the bound is the minimum, or no smaller layout than the known one exists.
    """

    layout: Layout | None
    bound: int
    complete: bool


class _Model:
    """Columns and rows of an integer program."""

    def __init__(self) -> None:
        self.low: list[float] = []
        self.high: list[float] = []
        self.whole: list[int] = []
        self.rows: list[Terms] = []
        self.limits: list[float] = []

    def variable(self, low: float, high: float, whole: bool) -> int:
        """A new column."""
        self.low.append(low)
        self.high.append(high)
        self.whole.append(int(whole))
        return len(self.low) - 1

    def at_most(self, terms: Terms, limit: float) -> None:
        """A row: the sum of factor * variable is at most `limit`."""
        self.rows.append(terms)
        self.limits.append(limit)

    def equal(self, terms: Terms, value: float) -> None:
        """Two rows."""
        self.at_most(terms, value)
        self.at_most([(v, -f) for v, f in terms], -value)

    def matrix(self) -> csr_array:
        """All rows."""
        entries = [(r, v, f) for r, terms in enumerate(self.rows) for v, f in terms]
        rows, columns, factors = zip(*entries, strict=True)
        shape = (len(self.rows), len(self.low))
        return csr_array((factors, (rows, columns)), shape=shape)


def windows(problem: Problem) -> tuple[list[int], list[int]]:
    """The first and the last place at which each step can run."""
    steps, ancestors = problem.steps, problem.ancestors
    behind = [sum(step in some for some in ancestors) for step in range(steps)]
    return [len(some) for some in ancestors], [steps - 1 - count for count in behind]


def _variables(problem: Problem) -> int:
    """About how many variables the program has; more than a few too many at most."""
    first, last = windows(problem)
    spans = [
        (first[i.producer], max([last[i.producer], *(last[r] for r in i.readers)]))
        for i in problem.items
    ]
    total = sum(b - a + 1 for a, b in zip(first, last, strict=True))
    total += sum(b - a + 1 for a, b in spans)
    for (a, b), (c, d) in combinations(spans, 2):
        total += 2 if a <= d and c <= b else 0
    return total


class _Program(_Model):
    """The integer program of a problem.

    Args:
        lower: no layout is smaller.
        upper: a layout of this size is known; only smaller ones are wanted.
    """

    def __init__(self, problem: Problem, lower: int, upper: int) -> None:
        super().__init__()
        self.problem, self.upper = problem, upper
        self.size = self.variable(lower, upper - 1, whole=False)
        self._windows()
        self._steps()
        self._offsets()
        self._live()
        self._pairs()
        self._peaks()

    def _windows(self) -> None:
        self.first, self.last = windows(self.problem)

    def _steps(self) -> None:
        steps = self.problem.steps
        self.runs = [
            {t: self.variable(0, 1, whole=True) for t in range(self.first[s], self.last[s] + 1)}
            for s in range(steps)
        ]
        for some in self.runs:
            self.equal([(v, 1.0) for v in some.values()], 1.0)
        for t in range(steps):
            self.equal([(some[t], 1.0) for some in self.runs if t in some], 1.0)
        for step, before in enumerate(self.problem.before):
            for other in before:
                for t in range(self.first[step], self.last[step] + 1):
                    late = self.until(other, t - 1)
                    self.at_most([*self.until(step, t), *_times(late, -1.0)], 0.0)

    def until(self, step: int, place: int) -> Terms:
        """Whether a step runs at this place or before: a sum."""
        return [(v, 1.0) for t, v in self.runs[step].items() if t <= place]

    def _offsets(self) -> None:
        self.offsets = []
        for item in self.problem.items:
            offset = self.variable(0, self.upper - item.size, whole=False)
            self.at_most([(offset, 1.0), (self.size, -1.0)], -item.size)
            self.offsets.append(offset)

    def _live(self) -> None:
        """Whether an item is in memory at a place."""
        self.live: list[dict[int, int]] = []
        for item in self.problem.items:
            readers = item.readers or {item.producer}
            start, end = self.first[item.producer], max(self.last[r] for r in readers)
            sure = range(self.last[item.producer], max(self.first[r] for r in readers) + 1)
            some = {}
            for t in range(start, end + 1):
                some[t] = self.variable(float(t in sure), 1, whole=False)
                if t in sure:
                    continue
                for reader in readers:
                    done = _times(self.until(reader, t - 1), -1.0)
                    self.at_most([*self.until(item.producer, t), *done, (some[t], -1.0)], 0.0)
            self.live.append(some)

    def _pairs(self) -> None:
        """Items in memory at one time lie apart, or share an offset where a step allows it."""
        self.joins: dict[tuple[int, int], int] = {}
        for x, y in sorted(self.problem.in_place):
            self.joins[x, y] = self._join(x, y)
        for i, j in combinations(range(len(self.problem.items)), 2):
            times = sorted(self.live[i].keys() & self.live[j].keys())
            if not times:
                continue
            apart = [self._above(i, j), self._above(j, i)]
            ways = [(v, -1.0) for v in apart]
            ways += [(self.joins[p], -1.0) for p in ((i, j), (j, i)) if p in self.joins]
            for t in times:
                self.at_most([(self.live[i][t], 1.0), (self.live[j][t], 1.0), *ways], 1.0)

    def _above(self, i: int, j: int) -> int:
        """A binary: item j lies above item i."""
        found = self.variable(0, 1, whole=True)
        terms = [(self.offsets[i], 1.0), (self.offsets[j], -1.0), (found, float(self.upper))]
        self.at_most(terms, self.upper - self.problem.items[i].size)
        return found

    def _join(self, x: int, y: int) -> int:
        """A binary: y is written over x, which nobody reads later."""
        found, room = self.variable(0, 1, whole=True), float(self.upper)
        a, b = self.offsets[x], self.offsets[y]
        self.at_most([(a, 1.0), (b, -1.0), (found, room)], room)
        self.at_most([(b, 1.0), (a, -1.0), (found, room)], room)
        writer = self.problem.items[y].producer
        for reader in self.problem.items[x].readers - {writer}:
            for t in range(self.first[writer], self.last[writer] + 1):
                early = _times(self.until(reader, t - 1), -1.0)
                self.at_most([*self.until(writer, t), *early, (found, 1.0)], 1.0)
        return found

    def _peaks(self) -> None:
        """What is in memory at one place fits; follows from the rest, but not its relaxation."""
        for t in range(self.problem.steps):
            terms: Terms = [(self.size, -1.0)]
            for item, some in zip(self.problem.items, self.live, strict=True):
                terms += [(some[t], float(item.size))] if t in some else []
            for (x, y), join in self.joins.items():
                runs = self.runs[self.problem.items[y].producer]
                if t not in runs:
                    continue
                saved = self.variable(0, 1, whole=False)
                self.at_most([(saved, 1.0), (join, -1.0)], 0.0)
                self.at_most([(saved, 1.0), (runs[t], -1.0)], 0.0)
                least = min(self.problem.items[x].size, self.problem.items[y].size)
                terms.append((saved, -float(least)))
            self.at_most(terms, 0.0)

    def layout(self, x: npt.NDArray[np.float64]) -> Layout:
        """The layout that a solution stands for."""
        places = [max(some, key=lambda t: x[some[t]]) for some in self.runs]
        order = tuple(sorted(range(self.problem.steps), key=lambda s: places[s]))
        offsets = tuple(round(float(x[v])) for v in self.offsets)
        ends = [o + item.size for o, item in zip(offsets, self.problem.items, strict=True)]
        shared = frozenset(pair for pair, v in self.joins.items() if x[v] > 0.5)
        return Layout(order, offsets, max([0, *ends]), shared)


def _times(terms: Sequence[tuple[int, float]], factor: float) -> Terms:
    return [(v, f * factor) for v, f in terms]


def solve(problem: Problem, lower: int, upper: int, seconds: float) -> Solved:
    """Search for a layout that is smaller than a known one.

    Args:
        lower: no layout is smaller, in units. upper: size of the known one, above `lower`.
        seconds: limit of the search.
    """
    if _variables(problem) > MOST_VARIABLES:
        return Solved(None, lower, False)
    program = _Program(problem, lower, upper)
    cost = np.zeros(len(program.low))
    cost[program.size] = 1.0
    limits = LinearConstraint(program.matrix(), ub=np.array(program.limits))
    options = {"time_limit": seconds, "node_limit": _NODES, "mip_rel_gap": 0.0}
    result = milp(
        cost, integrality=np.array(program.whole), constraints=limits,
        bounds=Bounds(np.array(program.low), np.array(program.high)), options=options,
    )  # fmt: skip
    if result.status == 2:  # infeasible: there is none
        return Solved(None, upper, True)
    layout = program.layout(result.x) if result.x is not None else None
    dual = getattr(result, "mip_dual_bound", None)
    bound = lower if dual is None or not np.isfinite(dual) else int(np.ceil(dual - 1e-6))
    bound = max(lower, min(bound, upper))
    return Solved(layout, bound, result.status == 0)
