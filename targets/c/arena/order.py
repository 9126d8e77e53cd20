"""The least sum of what must be in memory at once, over all orders: a lower bound, exact."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from actc.targets.c.arena.problem import Problem

MOST_STATES = 30_000
"""Sets of steps that the search may reach."""


@dataclass(frozen=True, slots=True)
class Order:
    """The result of the search.

    Attributes:
        bound: no layout is smaller, in units.
        order: one that reaches it with its sums; None where the search was too large, and the
            bound then is what a single step needs.
    """

    bound: int
    order: tuple[int, ...] | None


class _Search:
    """Dijkstra's search over sets of finished steps; a path costs its largest sum."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.before = [sum(1 << b for b in some) for some in problem.before]
        self.readers = [sum(1 << r for r in item.readers) for item in problem.items]
        self.written: list[list[int]] = [[] for _ in range(problem.steps)]
        for index, item in enumerate(problem.items):
            self.written[item.producer].append(index)
        self.sources: dict[int, list[int]] = {}
        for x, y in sorted(problem.in_place):
            self.sources.setdefault(y, []).append(x)

    def need(self, done: int, step: int) -> int:
        """Units in memory while `step` runs behind the steps `done`."""
        items, total = self.problem.items, 0
        for index, item in enumerate(items):
            produced = done >> item.producer & 1
            if produced and self.readers[index] & ~done:
                total += item.size
        for y in self.written[step]:
            total += items[y].size
            last = [
                min(items[x].size, items[y].size)
                for x in self.sources.get(y, [])
                if not self.readers[x] & ~(done | 1 << step)
            ]
            total -= max(last, default=0)
        return total

    def least(self) -> int:
        """What some step needs in any order: its inputs and its result."""
        items, most = self.problem.items, 0
        for step in range(self.problem.steps):
            read = sum(item.size for item in items if step in item.readers)
            for y in self.written[step]:
                saved = [min(items[x].size, items[y].size) for x in self.sources.get(y, [])]
                most = max(most, read + items[y].size - max(saved, default=0))
        return most

    def run(self) -> Order:
        """Search."""
        full = (1 << self.problem.steps) - 1
        queue: list[tuple[int, int, int, tuple[int, ...]]] = [(0, 0, 0, ())]
        seen: set[int] = set()
        while queue:
            cost, _, done, path = heapq.heappop(queue)
            if done == full:
                return Order(cost, path)
            if done in seen:
                continue
            seen.add(done)
            if len(seen) > MOST_STATES:
                break
            for step in range(self.problem.steps):
                if done >> step & 1 or self.before[step] & ~done:
                    continue
                then = max(cost, self.need(done, step))
                entry = (then, -len(path), done | 1 << step, (*path, step))
                heapq.heappush(queue, entry)
        return Order(self.least(), None)


def least_peak(problem: Problem) -> Order:
    """The least peak of live buffers over all orders, and an order that has it."""
    return _Search(problem).run()
