"""The arena of the target c: checked, minimal against brute force, smaller than the greedy plan."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from c_networks import NETWORKS

from actc.targets.c.arena import plan as plans
from actc.targets.c.arena.check import faults
from actc.targets.c.arena.greedy import greedy
from actc.targets.c.arena.ilp import solve
from actc.targets.c.arena.order import least_peak
from actc.targets.c.arena.plan import planned
from actc.targets.c.arena.problem import Item, Layout, Problem
from actc.targets.c.memory import as_text, described, in_place, memory_of
from actc.targets.c.program import examine, program_of
from actc.targets.tvm.kernels.strided import MaxPool
from actc.targets.tvm.plan import Call


def some(seed: int, steps: int, largest: int = 4) -> Problem:
    """A random graph of steps; some may write in place."""
    rng = random.Random(seed)
    before = [
        frozenset(rng.sample(range(step), min(step, rng.choice([1, 1, 2]))))
        for step in range(steps)
    ]
    items = tuple(
        Item(
            f"b{step}",
            rng.randint(1, largest),
            step,
            frozenset(s for s in range(steps) if step in before[s]),
        )
        for step in range(steps)
    )
    pairs = {(b, s) for s in range(steps) for b in before[s] if rng.random() < 0.4}
    return Problem(tuple(before), items, frozenset(pairs))


def orders(problem: Problem, done: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """All orders that are possible."""
    if len(done) == problem.steps:
        yield done
    for step in range(problem.steps):
        if step not in done and problem.before[step] <= set(done):
            yield from orders(problem, (*done, step))


def fits(problem: Problem, order: tuple[int, ...], size: int) -> bool:
    """Whether any offsets are right, by trying all, and by nothing of what plans arenas."""
    at = {step: place for place, step in enumerate(order)}
    spans = [
        (at[i.producer], max([at[i.producer], *(at[r] for r in i.readers)])) for i in problem.items
    ]

    def clash(i: int, j: int, offsets: list[int]) -> bool:
        if spans[i][0] > spans[j][0]:
            i, j = j, i
        if spans[i][1] < spans[j][0]:
            return False
        level = offsets[i] == offsets[j] and spans[i][1] == spans[j][0]
        if (i, j) in problem.in_place and level:
            return False
        a, b = problem.items[i].size, problem.items[j].size
        return offsets[i] < offsets[j] + b and offsets[j] < offsets[i] + a

    def place(offsets: list[int]) -> bool:
        number = len(offsets)
        if number == len(problem.items):
            return True
        for offset in range(size - problem.items[number].size + 1):
            tried = [*offsets, offset]
            if not any(clash(i, number, tried) for i in range(number)) and place(tried):
                return True
        return False

    return place([])


def least(problem: Problem) -> int:
    size = max(item.size for item in problem.items)
    while not any(fits(problem, order, size) for order in orders(problem)):
        size += 1
    return size


@pytest.mark.parametrize("seed", range(12))
def test_small_graphs_take_the_minimum_of_brute_force(seed: int) -> None:
    problem = some(seed, 6)
    found = planned(problem)
    assert faults(problem, found.layout) == []
    assert found.layout.size == least(problem) == found.bound
    assert found.proof in ("bound", "integer program")
    assert found.greedy.size >= found.layout.size


@pytest.mark.parametrize("seed", range(8))
def test_the_integer_program_alone_finds_the_minimum(seed: int) -> None:
    problem = some(100 + seed, 6)
    wanted = least(problem)
    solved = solve(problem, 1, wanted + 3, 60)
    assert solved.complete
    assert solved.bound == wanted
    assert solved.layout is not None
    assert faults(problem, solved.layout) == []
    assert solved.layout.size == wanted
    nothing = solve(problem, 1, wanted, 60)
    assert (nothing.layout, nothing.bound, nothing.complete) == (None, wanted, True)


def test_larger_graphs_are_better_than_the_greedy_plan() -> None:
    proofs = []
    for seed in range(10):
        problem = some(seed, 12, largest=9)
        found = planned(problem)
        assert faults(problem, found.layout) == []
        assert found.bound <= found.layout.size <= found.greedy.size
        proofs.append(found.proof)
    assert {"bound", "integer program"} <= set(proofs)


def test_a_search_without_time_says_that_it_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    open_ones = [some(seed, 12, largest=9) for seed in range(10)]
    found = [planned(problem, 0) for problem in open_ones]
    assert {f.proof for f in found} == {"bound", "none"}
    for one in found:
        assert (one.proof == "none") == (one.bound < one.layout.size)
    monkeypatch.setattr("actc.targets.c.arena.ilp.MOST_VARIABLES", 10)
    plans.planned.cache_clear()
    assert {planned(problem).proof for problem in open_ones} == {"bound", "none"}
    plans.planned.cache_clear()


@pytest.mark.parametrize("seed", range(6))
def test_the_least_peak_is_that_of_all_orders(seed: int) -> None:
    problem = replace(some(200 + seed, 6), in_place=frozenset())

    def peak(order: tuple[int, ...]) -> int:
        most = 0
        for place in range(len(order)):
            done, left = set(order[: place + 1]), set(order[place:])
            most = max(
                most,
                sum(
                    i.size
                    for i in problem.items
                    if i.producer in done and (i.readers & left or i.producer == order[place])
                ),
            )
        return most

    assert least_peak(problem).bound == min(map(peak, orders(problem)))


def test_the_checker_sees_what_is_wrong() -> None:
    chain = Problem(
        (frozenset(), frozenset({0}), frozenset({0, 1})),
        (
            Item("a", 2, 0, frozenset({1, 2})),
            Item("b", 2, 1, frozenset({2})),
            Item("c", 1, 2, frozenset()),
        ),
        frozenset({(1, 2)}),
    )
    right = Layout((0, 1, 2), (0, 2, 2), 4)
    assert faults(chain, right) == []
    for wrong, said in (
        (replace(right, offsets=(0, 1, 2)), "written over"),
        (replace(right, offsets=(0, 2, 3)), "written over"),  # in place, but not level
        (replace(right, offsets=(0, 2, 0)), "written over"),
        (replace(right, size=3), "leaves the memory"),
        (replace(right, order=(1, 0, 2)), "too early"),
        (replace(right, order=(0, 1)), "every step once"),
        (replace(right, offsets=(-1, 2, 2)), "leaves the memory"),
    ):
        assert any(said in fault for fault in faults(chain, wrong)), said


def test_a_value_that_is_lost_is_seen() -> None:
    chain = Problem(
        (frozenset(), frozenset({0}), frozenset({0})),
        (
            Item("a", 2, 0, frozenset({1, 2})),
            Item("b", 1, 1, frozenset()),
            Item("c", 1, 2, frozenset()),
        ),
        frozenset({(0, 1)}),
    )
    assert any("is lost" in f for f in faults(chain, Layout((0, 1, 2), (0, 0, 2), 3)))
    assert faults(chain, Layout((0, 2, 1), (0, 0, 2), 3)) == []
    assert planned(chain).layout.size == 3


def test_a_plan_that_is_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = some(1, 8)
    wrong = replace(greedy(problem, problem.natural), offsets=(0,) * 8)
    monkeypatch.setattr(plans, "best", lambda *_: wrong)
    plans.planned.cache_clear()
    with pytest.raises(AssertionError, match=r"lost|written over"):
        planned(problem, 0)
    plans.planned.cache_clear()


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_planned_and_described(name: str) -> None:
    plan, _ = examine(NETWORKS[name]().model)
    memory = memory_of(program_of(plan), 20)
    facts = described(memory, 100, 8)
    assert faults(memory.problem, memory.plan.layout) == []
    assert memory.plan.proof in ("bound", "integer program")
    text = as_text(memory, facts)
    assert f"arena             {memory.arena} bytes (minimal: " in text
    assert f"greedy plan     {memory.plan.greedy.size * 4} bytes" in text
    assert facts["arena_bytes"] == memory.arena


def pool(size: int, kernel: int, stride: int, pad: int) -> Call:
    out = (size + 2 * pad - kernel) // stride + 1
    sides = (kernel, kernel), (stride, stride), (pad, pad), (1, 1)
    return Call(MaxPool(1, size, size, 3, out, out, *sides), ("x",), "y", "pool")


def test_pooling_writes_in_place_only_downwards() -> None:
    program = program_of(examine(NETWORKS["convolutions"]().model)[0])
    assert in_place(pool(8, 2, 2, 0), "x", program)
    assert in_place(pool(8, 3, 1, 0), "x", program)
    assert not in_place(pool(8, 3, 1, 1), "x", program)  # its second pixel reads the first again
