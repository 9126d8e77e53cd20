"""The smallest arena that is found, and what is proved of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from actc.targets.c.arena.check import faults
from actc.targets.c.arena.greedy import best, greedy
from actc.targets.c.arena.ilp import solve
from actc.targets.c.arena.order import least_peak
from actc.targets.c.arena.problem import Layout, Problem

SECONDS = 60.0

Proof = Literal["bound", "integer program", "none"]


@dataclass(frozen=True, slots=True)
class Planned:
    """A layout, the usual one, and a bound.

    Attributes:
        layout: the smallest that was found.
        greedy: that of the planner's order, largest buffers first.
        bound: no layout is smaller, in units.
        proof: why the layout is minimal: it meets the bound of what is in memory at once; the
            integer program says so; "none": it may not be minimal.
    """

    layout: Layout
    greedy: Layout
    bound: int
    proof: Proof


@lru_cache(maxsize=64)
def planned(problem: Problem, seconds: float = SECONDS) -> Planned:
    """Plan order and offsets.

    Args:
        seconds: limit of the integer program, which is solved where rules miss the bound; 0: it
            is not.

    Raises:
        AssertionError: a layout is wrong, which is a mistake of this package.
    """
    usual = greedy(problem, problem.natural)
    peak = least_peak(problem)
    orders = [problem.natural, *([peak.order] if peak.order is not None else [])]
    found = best(problem, orders)
    proof: Proof = "bound" if found.size == peak.bound else "none"
    bound = peak.bound
    if seconds and found.size > bound and peak.order is not None:
        solved = solve(_in_order(problem, peak.order), bound, found.size, seconds / 4)
        found = _better(problem, found, solved.layout)
        proof = "integer program" if found.size == bound else "none"
    if seconds and found.size > bound:
        solved = solve(problem, peak.bound, found.size, seconds)
        found = _better(problem, found, solved.layout)
        bound = solved.bound
        proof = "integer program" if solved.complete and found.size == bound else "none"
    for layout in (usual, found):
        wrong = faults(problem, layout)
        assert not wrong, wrong
    return Planned(found, usual, bound, proof)


def _in_order(problem: Problem, order: Sequence[int]) -> Problem:
    """The problem with this order alone."""
    before = [frozenset[int]()] * problem.steps
    for step, then in pairwise(order):
        before[then] = frozenset({step})
    return replace(problem, before=tuple(before))


def _better(problem: Problem, known: Layout, found: Layout | None) -> Layout:
    """The smaller of two layouts, if the second is right."""
    if found is None or faults(problem, found) or found.size >= known.size:
        return known
    return found
