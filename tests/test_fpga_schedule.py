"""Schedules of pipelines against the enumeration of all of them."""

from __future__ import annotations

import itertools
from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from actc.targets.fpga.pipeline.schedule import (
    Problem,
    earliest,
    fewest_registers,
    fewest_stages,
    latest,
    long_paths,
    shortest_period,
)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    count = draw(st.integers(2, 5))
    operands: list[tuple[int, ...]] = [()]
    delays = [0.0]
    for node in range(1, count):
        read = draw(st.sets(st.integers(0, node - 1), max_size=3))
        operands.append(tuple(sorted(read)))
        delays.append(float(draw(st.integers(0, 4))) if read else 0.0)
    outputs = draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=2))
    edges = [(o, node) for node, read in enumerate(operands) for o in read if len(read) == 1]
    clocked = draw(st.sets(st.sampled_from(edges), max_size=1)) if edges else set()
    return Problem(
        delays=tuple(delays),
        widths=tuple(draw(st.integers(1, 9)) for _ in range(count)),
        operands=tuple(operands),
        outputs=tuple(sorted(outputs)),
        steps=dict.fromkeys(clocked, 1),
        savings={
            (o, node): delays[node] / 2
            for node, read in enumerate(operands)
            for o in read
            if draw(st.booleans())
        },
        first=draw(st.integers(0, 1)),
    )


def allowed(problem: Problem, period: float, latency: int, stages: tuple[int, ...]) -> bool:
    """Whether a schedule keeps the rules, by following every path."""
    for node, read in enumerate(problem.operands):
        low, high = 0, latency
        if problem.delays[node]:
            low, high = problem.first, latency - 1
        if not read:
            high = 0
        if not low <= stages[node] <= high:
            return False
        for operand in read:
            between = stages[node] - stages[operand]
            if between < 0 or between != problem.steps.get((operand, node), between):
                return False

    def longest(node: int) -> float:
        """The longest path to a node within its stage."""
        before = [
            longest(operand) - problem.savings.get((operand, node), 0.0)
            for operand in problem.operands[node]
            if stages[operand] == stages[node]
        ]
        return problem.delays[node] + max([0.0, *before])

    return all(longest(node) <= period for node in range(len(problem.delays)))


def cost(problem: Problem, latency: int, stages: tuple[int, ...]) -> int:
    bits = 0
    for node, width in enumerate(problem.widths):
        ends = [stages[reader] for reader, read in enumerate(problem.operands) if node in read]
        ends += [latency] if node in problem.outputs else []
        bits += width * (max(ends, default=stages[node]) - stages[node])
    return bits


def schedules(problem: Problem, period: float, latency: int) -> list[tuple[int, ...]]:
    choices = itertools.product(range(latency + 1), repeat=len(problem.delays))
    return [stages for stages in choices if allowed(problem, period, latency, stages)]


@given(problems(), st.integers(1, 9))
@settings(max_examples=80, deadline=None)
def test_stages_are_the_best_ones(problem: Problem, period: float) -> None:
    for latency in (1, 2, 3):
        found = schedules(problem, period, latency)
        assert (fewest_stages(problem, period) <= latency) == bool(found)
        if not found:
            continue
        stages = tuple(fewest_registers(problem, period, latency).tolist())
        assert stages in found
        assert cost(problem, latency, stages) == min(cost(problem, latency, s) for s in found)
        for node, column in enumerate(zip(*found, strict=True)):
            assert earliest(problem, period)[0][node] == min(column)
            last = latest(problem, period, latency)[node]
            assert last >= max(column) if problem.steps else last == max(column)


@given(problems(), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_periods_are_the_shortest(problem: Problem, latency: int) -> None:
    # all delays are whole numbers and savings halves, so the shortest period is one
    best = next((p / 2 for p in range(60) if schedules(problem, p / 2, latency)), inf)
    found = shortest_period(problem, latency)
    assert best <= found <= best + 1e-3 if best < inf else found == inf


@given(st.lists(st.floats(0.1, 3.0), min_size=3, max_size=12), st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_sums_that_are_rounded_differently(delays: list[float], stages: int) -> None:
    """A chain, at a period that the delays of some neighbours meet exactly."""
    operands: list[tuple[int, ...]] = [(), *((node,) for node in range(len(delays)))]
    problem = Problem(
        delays=(0.0, *delays),
        widths=(1,) * (len(delays) + 1),
        operands=tuple(operands),
        outputs=(len(delays),),
    )
    period = max(sum(delays[n : n + stages]) for n in range(len(delays)))
    latency = int(fewest_stages(problem, period))
    assert fewest_registers(problem, period, latency).max() == latency - 1


def test_only_pairs_that_others_do_not_imply() -> None:
    # a chain of five additions of 2 ns each, at 5 ns
    chain = Problem(
        delays=(0.0, 2.0, 2.0, 2.0, 2.0, 2.0),
        widths=(1,) * 6,
        operands=((), (0,), (1,), (2,), (3,), (4,)),
        outputs=(5,),
    )
    assert long_paths(chain, 5.0, [(0, 9)] * 6) == [(1, 3), (2, 4), (3, 5)]
    # what the windows tell already
    windows = [(0, 0), (0, 1), (0, 1), (2, 3), (1, 3), (2, 3)]
    assert long_paths(chain, 5.0, windows) == [(3, 5)]
