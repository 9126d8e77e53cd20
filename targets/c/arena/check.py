"""Whether a layout is right: written apart from all that makes one."""

from __future__ import annotations

from actc.targets.c.arena.problem import Layout, Problem


def faults(problem: Problem, layout: Layout) -> list[str]:
    """What is wrong with a layout, replayed step by step over single units of memory.

    Each unit remembers whose value it holds. A step must find every unit of what it reads; it
    then writes its result. Only a pair of `in_place` may be written over while it is read, and
    then from the same offset on.
    """
    if sorted(layout.order) != list(range(problem.steps)):
        return ["the order does not hold every step once"]
    found: list[str] = []
    memory: list[int | None] = [None] * layout.size
    done: set[int] = set()
    for step in layout.order:
        if not problem.before[step] <= done:
            found.append(f"step {step} runs too early")
        read = [i for i, item in enumerate(problem.items) if step in item.readers]
        for i in read:
            found += _missing(problem, layout, memory, i, step)
        for i, item in enumerate(problem.items):
            if item.producer == step:
                found += _written(problem, layout, memory, read, i)
        done.add(step)
    return found


def _span(problem: Problem, layout: Layout, item: int) -> range:
    first = layout.offsets[item]
    return range(first, first + problem.items[item].size)


def _missing(
    problem: Problem, layout: Layout, memory: list[int | None], item: int, step: int
) -> list[str]:
    held = all(
        0 <= unit < len(memory) and memory[unit] == item for unit in _span(problem, layout, item)
    )
    return [] if held else [f"{problem.items[item].name} is lost before step {step} reads it"]


def _written(
    problem: Problem, layout: Layout, memory: list[int | None], read: list[int], item: int
) -> list[str]:
    found = []
    span = _span(problem, layout, item)
    if span.start < 0 or span.stop > len(memory):
        return [f"{problem.items[item].name} leaves the memory"]
    for other in read:
        meets = set(span) & set(_span(problem, layout, other))
        level = layout.offsets[item] == layout.offsets[other]
        if meets and not ((other, item) in problem.in_place and level):
            names = problem.items[item].name, problem.items[other].name
            found.append(f"{names[0]} is written over {names[1]}, which its step reads")
    for unit in span:
        memory[unit] = item
    return found
