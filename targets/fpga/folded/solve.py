"""Foldings by integer programs: one option for each stage, solved to proven optimality.

Variables x[i][o] choose the options of items; y[e][a, b] says that an edge lies between words
of a and b elements. Sums of y over b equal the sum of those x whose option gives words of a,
and likewise for b, so that y is the product and nothing is approximated. HiGHS solves it,
through scipy.optimize.milp.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, sparse

from actc.diagnostics import Diagnostic
from actc.errors import InternalError
from actc.targets.fpga.folded.choice import Choice, choice_of, share
from actc.targets.fpga.folded.costs.area import Area
from actc.targets.fpga.folded.costs.clocks import needed_share
from actc.targets.fpga.folded.folding import Folding
from actc.targets.fpga.folded.items import Integers, Option, undominated
from actc.targets.fpga.folded.problem import Edge, Problem
from actc.targets.fpga.folded.sharing import EngineOption, Sharing

Floats = npt.NDArray[np.float64]

_OPTIMAL, _INFEASIBLE = 0, 2
_UNIT = 1e4
"""By which shares are scaled: the solver stops within 1e-6 of the best objective."""
_GAIN = 1e-7
"""Of a share, that another design must save: less than a logic cell of the largest device."""


def least_area(
    problem: Problem, interval: int | None = None, latency: float | None = None
) -> Choice | None:
    """The foldings of least share of the device, with an engine where that is smaller.

    Where a latency is asked for there is none, as samples behind would take turns on it, too.

    Args:
        interval: clocks per sample, at most; None: any number.
        latency: clocks, at most.

    Returns:
        None if none keep to the budget.

    Raises:
        InternalError: the solver gave up.
    """
    if latency is not None:
        program = _Program(problem, interval)
        program.limit(problem.budget)
        program.at_most([(program.add_times(), 1.0)], latency + 1e-3)
        return program.solve(program.share())
    best = _smallest(problem, interval)
    for variant in problem.variants:
        best = _smallest(variant, interval, best) or best
    return best


def _smallest(problem: Problem, interval: int | None, best: Choice | None = None) -> Choice | None:
    """The least area of one set of stages on an engine; None also if `best` is as small."""
    if problem.is_slower(interval):
        return None
    program = _Program(problem, interval, timed=False)
    program.limit(problem.budget)
    objective = program.share()
    if best is not None:
        bound = share(best.area, problem.device) - _GAIN
        program.at_most([(k, v * _UNIT) for k, v in objective.items()], bound * _UNIT)
    return program.solve(objective)


def least_latency(problem: Problem, interval: int | None = None) -> Choice | None:
    """The foldings of least latency; among these those of least share of the device.

    Args:
        interval: clocks per sample, at most.
    """
    program = _Program(problem, interval)
    program.limit(problem.budget)
    ends = program.add_times()
    found = program.solve({ends: 1.0})
    return None if found is None else least_area(problem, interval, found.latency)


def least_excess(problem: Problem, interval: int | None = None) -> Choice | None:
    """The foldings whose largest share of a budget is least, whether they fit or not.

    Returns:
        None if no folding is so fast, or takes a resource that there is nothing of.
    """
    best: Choice | None = None
    for variant in (problem, *problem.variants):
        if variant.is_slower(interval):
            continue
        program = _Program(variant, interval, timed=False, excess=True)
        factor = program.variable(0.0, np.inf)
        program.limit(variant.budget, factor)
        if best is not None:
            program.at_most([(factor, 1.0)], _excess(problem, best) - _GAIN)
        objective = {factor: 1.0, **{k: 1e-6 * v for k, v in program.share().items()}}
        best = program.solve(objective) or best
    return best


def _excess(problem: Problem, choice: Choice) -> float:
    pairs = zip(choice.area, problem.budget, strict=True)
    return max(used / there for used, there in pairs if there)


def fastest(problem: Problem) -> Choice | None:
    """The foldings of most samples per second that fit, of least share among these.

    A larger interval allows all that a smaller one does, so bisection over all intervals that
    stages can have finds the least that fits. An engine is taken where that is faster still.
    """
    best: Choice | None = None
    for variant in (problem, *problem.variants):
        best = _faster(variant, best)
    if best is None or not problem.variants:
        return best
    return least_area(problem, best.interval)


def _faster(problem: Problem, best: Choice | None) -> Choice | None:
    """The fastest of one set of stages on an engine, or what is known if that is no slower."""
    found = _smallest(problem, None if best is None else best.interval - 1)
    if found is None:
        return best
    intervals = problem.intervals()
    low, high = 0, intervals.index(found.interval)
    while low < high:
        middle = (low + high) // 2
        other = _smallest(problem, intervals[middle])
        if other is None:
            low = middle + 1
        else:
            found, high = other, intervals.index(other.interval)
    return found


@dataclass
class _Program:
    """minimize c z  subject to  A z in bounds, for one problem and one longest interval."""

    problem: Problem
    interval: int | None
    timed: bool = True
    excess: bool = False
    columns: list[tuple[float, float, bool]] = field(default_factory=list)
    rows: list[tuple[list[tuple[int, float]], float, float]] = field(default_factory=list)
    options: list[list[tuple[int, Option]]] = field(default_factory=list)
    pairs: list[list[tuple[int, int, int]]] = field(default_factory=list)
    engines: list[tuple[int, EngineOption]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.problem.sharing is not None:
            assert not self.timed, "what a sample waits for its turns depends on others"
            found = self.problem.sharing.worthwhile(self.interval)
            self.engines = [(self.variable(0, 1, True), option) for option in found]
        for item in range(len(self.problem.items)):
            own = [(self.variable(0, 1, True), option) for option in self._allowed(item)]
            self.options.append(own)
            self.rows.append(([(column, 1.0) for column, _ in own], 1.0, 1.0))
        for edge in self.problem.edges:
            self.pairs.append(self._connect(edge))
        if self.problem.sharing is not None:
            self._share(self.problem.sharing)

    def variable(self, low: float, high: float, integral: bool = False) -> int:
        """A new variable; its column."""
        self.columns.append((low, high, integral))
        return len(self.columns) - 1

    def at_most(self, terms: list[tuple[int, float]], bound: float) -> None:
        """A new constraint."""
        self.rows.append((terms, -np.inf, bound))

    def limit(self, budget: Area, factor: int | None = None) -> None:
        """No more than a budget, times a variable.

        Areas are integers: half a unit more changes nothing but for the solver's tolerances.
        """
        for place, available in enumerate(budget):
            terms = [(column, float(area[place])) for column, area in self._areas() if area[place]]
            unit = max(available, 1)
            terms = [(column, value / unit) for column, value in terms]
            if factor is None or not available:
                self.at_most(terms, (available + 0.5) / unit)
            else:
                self.at_most([*terms, (factor, -1.0)], 0.0)

    def share(self) -> dict[int, float]:
        """The objective: shares of the device."""
        whole = self.problem.device
        return {
            column: share(Area(*(int(v) for v in area)), whole) for column, area in self._areas()
        }

    def add_times(self) -> int:
        """Variables of when stages give their first and last results; the latest of exits.

        The same as :func:`~actc.targets.fpga.folded.costs.latency.program_latency`.
        """
        program, entries = self.problem.program, len(self.problem.program.entries)
        firsts = [self.variable(0, np.inf) for _ in self.problem.items]
        lasts = [self.variable(0, np.inf) for _ in self.problem.items]
        for item in range(entries):
            work = self._chosen(item, lambda option: option.clocks.work)
            self.at_most([*work, (lasts[item], -1.0), (firsts[item], 1.0)], 0.0)
        for edge, pairs in zip(self.problem.edges, self.pairs, strict=True):
            first, last = firsts[edge.source], lasts[edge.source]
            need = needed_share(program.stages[edge.reader - entries])
            own = self._chosen(edge.reader, lambda option: option.clocks.first)
            mine = firsts[edge.reader]
            self.at_most([*own, (first, 1 - need), (last, need), (mine, -1.0)], 0.0)
            own = self._chosen(edge.reader, lambda option: option.clocks.last)
            self.at_most([*own, (last, 1.0), (lasts[edge.reader], -1.0)], 0.0)
            moved = [(column, float(edge.clocks(a, b))) for column, a, b in pairs]
            self.at_most([*own, *moved, (first, 1.0), (lasts[edge.reader], -1.0)], 0.0)
        for item in range(entries, len(self.problem.items)):
            rest = self._chosen(item, lambda option: option.clocks.rest)
            self.at_most([*rest, (firsts[item], 1.0), (lasts[item], -1.0)], 0.0)
        ends = self.variable(0, np.inf)
        for number in program.exits:
            item = -1 - number if number < 0 else entries + number
            self.at_most([(lasts[item], 1.0), (ends, -1.0)], 0.0)
        return ends

    def solve(self, objective: dict[int, float]) -> Choice | None:
        """The best choice; None: there is none."""
        shared = [] if self.problem.sharing is None else [self.engines]
        if any(not own for own in [*self.options, *self.pairs, *shared]):
            return None
        costs = np.zeros(len(self.columns))
        for column, value in objective.items():
            costs[column] = value
        low, high, integral = (np.array(column) for column in zip(*self.columns, strict=True))
        result = optimize.milp(
            costs * _UNIT / max(float(np.abs(costs).max()), 1e-300),
            integrality=integral.astype(np.int64),
            bounds=optimize.Bounds(low, high),
            constraints=self._constraint(),
            options={"mip_rel_gap": 0.0},
        )
        if result.status == _INFEASIBLE:
            return None
        if result.status != _OPTIMAL:
            raise InternalError(Diagnostic("ACT0901", f"the solver gave up: {result.message}"))
        chosen = [max(own, key=lambda pair: result.x[pair[0]])[1] for own in self.options]
        engine = max(self.engines, key=lambda pair: result.x[pair[0]])[1] if self.engines else None
        return choice_of(self.problem, chosen, engine)

    def _allowed(self, item: int) -> list[Option]:
        """Options that are fast enough and fit by themselves, where it can be told."""
        given, budget = self.problem.items[item], np.array(list(self.problem.budget))
        kept = np.ones(len(given.options), bool)
        if self.interval is not None:
            kept &= given.works <= self.interval
        if not self.excess:
            kept &= (given.areas <= budget).all(axis=1)
        places = np.flatnonzero(kept)
        if not self.timed:  # what is faster than it must be has no other merit
            places = places[_least(given.words[places], given.areas[places])]
        found = [given.options[place] for place in places]
        if self.problem.sharing is None:
            return found
        shapes = {_shape(option.folding) for _, option in self.engines}
        return [option for option in found if not option.turns or _shape(option.folding) in shapes]

    def _connect(self, edge: Edge) -> list[tuple[int, int, int]]:
        """Variables of an edge: column, elements on both sides."""
        sides = [
            _by_word(self.options[edge.source], lambda option: option.gives),
            _by_word(self.options[edge.reader], lambda option: option.reads),
        ]
        found = [
            (self.variable(0, 1), a, b)
            for a in sides[0]
            for b in sides[1]
            if self.interval is None or edge.clocks(a, b) <= self.interval
        ]
        for side, words in enumerate(sides):
            for word, columns in words.items():
                terms = [(pair[0], 1.0) for pair in found if pair[1 + side] == word]
                self.rows.append(([*terms, *((column, -1.0) for column in columns)], 0.0, 0.0))
        return found

    def _share(self, sharing: Sharing) -> None:
        """One engine; its stages are folded as it is, and what they give leaves in time."""
        self.rows.append(([(column, 1.0) for column, _ in self.engines], 1.0, 1.0))
        first = len(self.problem.program.entries)
        items = [first + member for member in sharing.members]
        for item in items:
            by_shape: dict[tuple[int, int, int], list[tuple[int, float]]] = {}
            for column, option in self.options[item]:
                by_shape.setdefault(_shape(option.folding), []).append((column, 1.0))
            for column, engine in self.engines:
                by_shape.setdefault(_shape(engine.folding), []).append((column, -1.0))
            self.rows += [(terms, 0.0, 0.0) for terms in by_shape.values()]
        for edge, pairs in zip(self.problem.edges, self.pairs, strict=True):
            if edge.source in items:
                moved = [(column, float(edge.clocks(a, b))) for column, a, b in pairs]
                own = self._chosen(edge.source, lambda option: -option.turns)
                self.at_most([*moved, *own], 0.0)

    def _areas(self) -> list[tuple[int, tuple[int, ...]]]:
        """What each variable takes."""
        own = [(column, tuple(option.area)) for row in self.options for column, option in row]
        for edge, pairs in zip(self.problem.edges, self.pairs, strict=True):
            own += [(column, tuple(edge.area(a, b))) for column, a, b in pairs]
        own += [(column, tuple(option.area)) for column, option in self.engines]
        return own

    def _chosen(self, item: int, value: Callable[[Option], float]) -> list[tuple[int, float]]:
        return [(column, float(value(option))) for column, option in self.options[item]]

    def _constraint(self) -> optimize.LinearConstraint:
        entries: list[tuple[int, int, float]] = [
            (row, column, value)
            for row, (terms, _, _) in enumerate(self.rows)
            for column, value in terms
        ]
        places = np.array([entry[:2] for entry in entries]).T
        values = np.array([entry[2] for entry in entries])
        shape = (len(self.rows), len(self.columns))
        matrix: Any = sparse.csr_array((values, (places[0], places[1])), shape=shape)
        bounds = np.array([row[1:] for row in self.rows])
        return optimize.LinearConstraint(matrix, bounds[:, 0], bounds[:, 1])


def _shape(folding: Folding | None) -> tuple[int, int, int]:
    assert folding is not None, "entries are on no engine"
    return folding.pe, folding.simd, folding.lanes


def _by_word(
    options: list[tuple[int, Option]], word: Callable[[Option], int]
) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for column, option in options:
        found.setdefault(word(option), []).append(column)
    return found


def _least(words: Integers, areas: Integers) -> list[int]:
    """Places of options that none with the same words beats in area."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, pair in enumerate(words.tolist()):
        groups.setdefault(tuple(pair), []).append(place)
    return sorted(
        group[kept] for group in groups.values() for kept in undominated(areas[np.array(group)])
    )
