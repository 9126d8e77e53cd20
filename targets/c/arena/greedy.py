"""Offsets by rule: one block after the other into the gap that it fills best."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from actc.targets.c.arena.problem import Layout, Problem, dying, lifetimes


@dataclass(frozen=True, slots=True)
class _Block:
    """Items that share an offset.

    Attributes:
        items: the items.
        size: of the largest.
        first, last: places in the order at which one of them is in memory.
    """

    items: tuple[int, ...]
    size: int
    first: int
    last: int


_Key = Callable[[_Block], tuple[int, ...]]


def _by_size(block: _Block) -> tuple[int, ...]:
    return -block.size, block.first


def _by_area(block: _Block) -> tuple[int, ...]:
    return -block.size * (block.last - block.first + 1), block.first


def _by_time(block: _Block) -> tuple[int, ...]:
    return block.first, -block.size


def _by_length(block: _Block) -> tuple[int, ...]:
    return block.first - block.last, -block.size, block.first


KEYS: tuple[_Key, ...] = (_by_size, _by_area, _by_time, _by_length)


def greedy(problem: Problem, order: Sequence[int]) -> Layout:
    """The usual plan: in this order, largest buffers first, each into the best gap."""
    return _placed(problem, order, _by_size, dying(problem, order))


def best(problem: Problem, orders: Iterable[Sequence[int]]) -> Layout:
    """The smallest of many greedy layouts; the first of equal ones."""
    found: Layout | None = None
    for order in orders:
        for shared in (dying(problem, order), []):
            for key in KEYS:
                layout = _placed(problem, order, key, shared)
                if found is None or layout.size < found.size:
                    found = layout
    assert found is not None
    return found


def _placed(
    problem: Problem, order: Sequence[int], key: _Key, shared: Sequence[tuple[int, int]]
) -> Layout:
    blocks, used = _blocks(problem, order, shared)
    offsets = [0] * len(problem.items)
    done: list[tuple[_Block, int]] = []
    for block in sorted(blocks, key=key):
        offset = _best_gap(block, done)
        done.append((block, offset))
        for item in block.items:
            offsets[item] = offset
    size = max([0, *(offset + block.size for block, offset in done)])
    return Layout(tuple(order), tuple(offsets), size, frozenset(used))


def _blocks(
    problem: Problem, order: Sequence[int], shared: Sequence[tuple[int, int]]
) -> tuple[list[_Block], list[tuple[int, int]]]:
    """Items joined along the pairs, each with at most one in front and one behind."""
    spans = lifetimes(problem, order)
    behind: dict[int, int] = {}
    for x, y in sorted(shared, key=lambda pair: -problem.items[pair[0]].size):
        if x not in behind and y not in behind.values():
            behind[x] = y
    blocks = []
    for start in range(len(problem.items)):
        if start in behind.values():
            continue
        chain = [start]
        while chain[-1] in behind:
            chain.append(behind[chain[-1]])
        size = max(problem.items[i].size for i in chain)
        blocks.append(_Block(tuple(chain), size, spans[chain[0]][0], spans[chain[-1]][1]))
    return blocks, sorted(behind.items())


def _best_gap(block: _Block, done: Sequence[tuple[_Block, int]]) -> int:
    """The offset in the smallest gap that holds a block, else behind all that are there then."""
    there = sorted(
        (offset, offset + other.size)
        for other, offset in done
        if other.first <= block.last and block.first <= other.last
    )
    end, found, least = 0, -1, -1
    for start, stop in there:
        room = start - end
        if room >= block.size and (found < 0 or room < least):
            found, least = end, room
        end = max(end, stop)
    return end if found < 0 else found
