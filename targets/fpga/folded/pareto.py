"""The Pareto front of foldings: share of the device against samples per second."""

from __future__ import annotations

from actc.targets.fpga.folded.choice import Choice, share
from actc.targets.fpga.folded.problem import Problem
from actc.targets.fpga.folded.solve import fastest, least_area

_SAME = 1e-9
"""Shares that differ by less are equal: a logic cell of the largest device is far more."""


def front(problem: Problem) -> list[Choice]:
    """All foldings of which none is faster and smaller, the fastest first.

    The least share is a falling staircase of the interval. Between two intervals of equal
    share there is no step, so halving finds all of them.

    Returns:
        one for each step, with the least interval of its share; empty if nothing fits.
    """
    first = fastest(problem)
    if first is None:
        return []
    last = least_area(problem)
    assert last is not None
    every = {value for one in (problem, *problem.variants) for value in one.intervals()}
    intervals = sorted(value for value in every if value <= last.interval)
    found = {first.interval: first, last.interval: last}
    pending = [(first.interval, last.interval)]
    while pending:
        low, high = pending.pop()
        between = [value for value in intervals if low < value < high]
        if not between or _share(problem, found[low]) - _share(problem, found[high]) < _SAME:
            continue
        middle = between[len(between) // 2]
        choice = least_area(problem, middle)
        assert choice is not None
        found[choice.interval] = choice
        pending += [(low, choice.interval), (choice.interval, high)]
        if choice.interval < middle:  # the same share up to there
            found[middle] = choice
            pending[-1] = (middle, high)
    return _steps(problem, found)


def _steps(problem: Problem, found: dict[int, Choice]) -> list[Choice]:
    """Of choices by interval, those that are smaller than all faster ones."""
    steps: list[Choice] = []
    for interval in sorted(found):
        choice = found[interval]
        if not steps or _share(problem, choice) < _share(problem, steps[-1]) - _SAME:
            steps.append(choice)
    return steps


def _share(problem: Problem, choice: Choice) -> float:
    return share(choice.area, problem.device)
