"""What is to be planned: steps, the buffers that they read and write, and where these may share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Item:
    """A buffer.

    Attributes:
        name: of the buffer.
        size: units of memory, at least 1.
        producer: the step that writes it.
        readers: the steps that read it.
    """

    name: str
    size: int
    producer: int
    readers: frozenset[int]


@dataclass(frozen=True)
class Problem:
    """Steps in some order that may be changed, and buffers in one block of memory.

    Attributes:
        before: for each step the steps that come before it.
        items: the buffers.
        in_place: pairs of items (x, y): the step that writes y reads x, and may write y to the
            start of x if x is not read later.
    """

    before: tuple[frozenset[int], ...]
    items: tuple[Item, ...]
    in_place: frozenset[tuple[int, int]] = frozenset()

    @property
    def steps(self) -> int:
        """How many there are."""
        return len(self.before)

    @cached_property
    def ancestors(self) -> tuple[frozenset[int], ...]:
        """For each step all that come before it, also by others."""
        found: dict[int, frozenset[int]] = {}
        for step in self.natural:
            found[step] = self.before[step].union(*(found[b] for b in self.before[step]))
        return tuple(found[step] for step in range(self.steps))

    @cached_property
    def natural(self) -> tuple[int, ...]:
        """The order of the steps' numbers, as far as it is possible."""
        done: list[int] = []
        seen: set[int] = set()
        while len(done) < self.steps:
            ready = (s for s in range(self.steps) if s not in seen and self.before[s] <= seen)
            step = next(ready, None)
            if step is None:
                raise ValueError("the steps wait for each other")
            done.append(step)
            seen.add(step)
        return tuple(done)


@dataclass(frozen=True, slots=True)
class Layout:
    """A solution.

    Attributes:
        order: the steps as they run.
        offsets: of each item, in units.
        size: of the block, in units.
        shared: the pairs of `in_place` of which it makes use.
    """

    order: tuple[int, ...]
    offsets: tuple[int, ...]
    size: int
    shared: frozenset[tuple[int, int]] = frozenset()


def lifetimes(problem: Problem, order: Sequence[int]) -> list[tuple[int, int]]:
    """First and last place in the order at which each item is in memory."""
    place = {step: index for index, step in enumerate(order)}
    return [
        (place[item.producer], max([place[item.producer], *(place[r] for r in item.readers)]))
        for item in problem.items
    ]


def dying(problem: Problem, order: Sequence[int]) -> list[tuple[int, int]]:
    """The pairs of `in_place` whose first is not read after the second is written."""
    spans = lifetimes(problem, order)
    return sorted((x, y) for x, y in problem.in_place if spans[x][1] == spans[y][0])
