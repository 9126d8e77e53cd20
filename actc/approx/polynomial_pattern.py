"""Pattern search (Hooke and Jeeves, 1961) over a box of integers.

A heuristic: it ends where no neighbour along an axis is cheaper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

Point = tuple[int, ...]

_FIRST_STEP = 4


class Costed(Protocol):
    """What a point gives."""

    @property
    def cost(self) -> tuple[int, ...]:
        """Lower is better."""


Found = TypeVar("Found", bound=Costed)


def pattern_search(
    box: list[tuple[int, int]],
    starts: Iterable[Point],
    evaluate: Callable[[Point, Found | None], Found | None],
) -> tuple[Point, Found] | None:
    """The cheapest of all points looked at, with what it gives; None if all give none.

    Args:
        box: first and last value of each coordinate.
        starts: points, moved into the box.
        evaluate: what a point gives, or None; it is told the best so far, so that it
            need not complete what cannot be better. Called once for each point.
    """
    seen: set[Point] = set()
    best: tuple[Point, Found] | None = None

    def improve(points: Iterable[Point]) -> bool:
        nonlocal best
        before = best
        for point in points:
            inside = _inside(box, point)
            if inside in seen:
                continue
            seen.add(inside)
            found = evaluate(inside, best[1] if best else None)
            if found is not None and (best is None or found.cost < best[1].cost):
                best = inside, found
        return best is not before

    improve(starts)
    step = _FIRST_STEP
    while best is not None and step:
        if not improve(_neighbours(best[0], step)):
            step //= 2
    return best


def _inside(box: list[tuple[int, int]], point: Point) -> Point:
    pairs = zip(point, box, strict=True)
    return tuple(min(max(value, low), high) for value, (low, high) in pairs)


def _neighbours(point: Point, step: int) -> list[Point]:
    """Down and up along each axis, in a fixed order."""
    found = []
    for axis in range(len(point)):
        for move in (-step, step):
            found.append((*point[:axis], point[axis] + move, *point[axis + 1 :]))
    return found
